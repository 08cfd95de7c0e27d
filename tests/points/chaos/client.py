"""Who asks: a process with a few hands. It writes down what it sends before it sends it, and what is answered."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx2

from tests import signing
from tests.points.chaos.asks import MESSAGES, Ask, Ideas
from tests.points.chaos.processes import born
from tests.points.chaos.world import Tokens, World

HANDS = 6
TIMEOUT_SECONDS = 60
HIT = "Idempotency-Hit"

HABITS = {
    "new": 70,
    "again": 10,
    "other body": 3,
    "same reference": 4,
    "at once": 4,
    "two bodies at once": 3,
    "look": 2,
}
"""How often a hand does what."""


@dataclass(frozen=True)
class Answer:
    """What was answered. `hit`: it says that it was given before."""

    status: int
    hit: bool
    body: Any
    retry_after: str | None = None

    @property
    def code(self) -> str:
        """Of a refusal."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) and self.status >= 400 else ""

    @property
    def settles(self) -> bool:
        """Whether the asker knows now what became of it. Who was told to come again, or that nobody knows, does not."""
        if isinstance(self.body, dict) and "results" in self.body and self.body["results"]:
            first = self.body["results"][0]
            if "outcome" in first:
                return all(result["outcome"] == "accepted" for result in self.body["results"])
        return self.status < 500 and self.code.lower() != "request_in_progress"


class Record:
    """What one client has sent and was answered: a line each, added as it happens."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def add(self, **line: Any) -> None:
        """Write a line, with the time."""
        self._file.write(json.dumps(line | {"at": time.time()}) + "\n")

    def close(self) -> None:
        self._file.close()


class Client:
    """Sends what is asked for to any of the service's processes, and keeps the record."""

    def __init__(self, world: World, record: Record, rng: random.Random) -> None:
        self._world, self._record, self._rng = world, record, rng
        self._tokens = Tokens(world)
        # Idle connections are let go before the servers do so: else one is lost now and then without any harm.
        limits = httpx2.Limits(max_connections=None, keepalive_expiry=1)
        self._http = httpx2.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT_SECONDS, limits=limits)
        self._written: set[str] = set()

    async def send(self, ask: Ask) -> Answer | None:
        """The answer, or None where the connection was lost before there was one."""
        if ask.id not in self._written:
            self._written.add(ask.id)
            self._record.add(**ask.line)
        self._record.add(sent=ask.id)
        try:
            reply = await self._send(ask)
        except httpx2.TransportError as error:
            self._record.add(lost=ask.id, why=repr(error))
            return None
        answer = Answer(reply.status_code, HIT in reply.headers, _json(reply), reply.headers.get("Retry-After"))
        self._record.add(answered=ask.id, answer=vars(answer))
        return answer

    async def look(self, path: str) -> Any:
        """Read something as an administrator; None where it is not answered."""
        try:
            url = self._rng.choice(self._world.urls) + path
            reply = await self._http.get(url, headers={"Authorization": self._tokens.header("admin/0")})
        except httpx2.TransportError:
            return None
        self._record.add(looked=path, status=reply.status_code)
        return reply.json() if reply.status_code == 200 else None

    async def _send(self, ask: Ask) -> httpx2.Response:
        content = json.dumps(ask.body).encode()
        headers = {"Content-Type": "application/cloudevents-batch+json" if ask.path == MESSAGES else "application/json"}
        if ask.who == "till":
            headers["Authorization"] = signing.authorization(
                self._tokens.sign,
                "POST",
                ask.path,
                content,
                mchid=self._world.mchid,
                serial_no=self._world.till_serial,
                timestamp=int(time.time()),
                scheme="HHBY1-ED25519",
            )
        else:
            headers["Authorization"] = self._tokens.header(ask.who)
        if ask.key:
            headers["Idempotency-Key"] = ask.key
        return await self._http.post(self._rng.choice(self._world.urls) + ask.path, content=content, headers=headers)

    async def close(self) -> None:
        await self._http.aclose()
        self._record.close()


def _json(reply: httpx2.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        return reply.text


class Hands:
    """What a client does until it is told to stop."""

    def __init__(self, world: World, number: int, client: Client, rng: random.Random) -> None:
        self._rng, self._client = rng, client
        self._ideas = Ideas(world, number, rng)
        self._past: list[Ask] = []
        self._answered: list[Ask] = []

    async def work(self, stop: Event) -> None:
        """One hand."""
        while not stop.is_set():
            [habit] = self._rng.choices(list(HABITS), list(HABITS.values()))
            await self._do(habit)

    async def _do(self, habit: str) -> None:
        """Do it once. Whether what was asked for before is asked for again, in whatever way, is a matter of chance."""
        rng = self._rng
        if habit == "again" and self._past:
            await self._pursue(rng.choice(self._past[-50:]))
        elif habit == "other body" and self._answered:
            await self._client.send(self._ideas.other_body(rng.choice(self._answered[-50:])))
        elif habit == "same reference" and self._answered:
            await self._pursue(self._ideas.same_reference(rng.choice(self._answered[-50:])))
        elif habit == "look":
            await self._look()
        elif ask := self._ideas.draw():
            if habit == "at once":
                self._past.append(ask)
                await asyncio.gather(*[self._pursue(ask) for _ in range(3)])
            elif habit == "two bodies at once" and ask.key and "reason" in ask.body:
                await asyncio.gather(self._pursue(ask), self._pursue(self._ideas.other_body(ask)))
            else:
                await self._pursue(ask)

    async def _look(self) -> None:
        if page := await self._client.look("/api/points/transfers?limit=20"):
            self._ideas.transfers += [item["id"] for item in page["items"]]

    async def _pursue(self, ask: Ask) -> None:
        """Ask, and ask again where it is not known what became of it: now and then at once, or later, or never."""
        if not self._past or self._past[-1] is not ask:
            self._past.append(ask)
        for _ in range(self._rng.choice([1, 1, 4, 10])):
            answer = await self._client.send(ask)
            if answer is not None and answer.settles:
                if answer.status < 300:
                    self._ideas.learn(ask, answer.status, answer.body)
                if ask.key and "reason" in ask.body:
                    self._answered.append(ask)
                return
            await asyncio.sleep(self._rng.uniform(0.01, 0.3))


async def _act(world: World, number: int, record: Path, stop: Event) -> None:
    rng = random.Random(f"{world.seed}/{number}")
    client = Client(world, Record(record), rng)
    hands = Hands(world, number, client, rng)
    try:
        await asyncio.gather(*[hands.work(stop) for _ in range(HANDS)])
    finally:
        await client.close()


def act(world: World, number: int, folder: Path, stop: Event) -> None:
    """A client's process."""
    born(folder / f"client-{number}.log")
    asyncio.run(_act(world, number, folder / f"client-{number}.jsonl", stop))
