"""Toy services as processes of their own, and a real port for those in the test's process."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from multiprocessing.context import ForkServerProcess
from typing import Any, Self

import httpx2
import uvicorn

from tests.chassis.toy.serve import serve
from tests.chassis.toy.town import ToyTown
from tests.ports import held_port, url_of
from tests.town import actor

PATIENCE_SECONDS = 60

_processes = multiprocessing.get_context("forkserver")  # it imports the service once, and then only forks
_processes.set_forkserver_preload(["tests.chassis.toy.serve"])


async def eventually(happened: Callable[[], Awaitable[bool]], *, what: str) -> None:
    """Return when it has happened; fail if it does not in a minute."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            while not await happened():  # noqa: ASYNC110  # it happens in another process
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            raise AssertionError(f"it never happened that {what}") from None


class Processes:
    """Toy services as processes, on one test database. Every one is killed in the end."""

    def __init__(self, toys: ToyTown) -> None:
        self.toys = toys
        self._held = {name: held_port() for name in ("identity", "sender", "receiver", "second")}
        self.urls = {name: url_of(held) for name, held in self._held.items()}
        self._running: list[ForkServerProcess] = []

    async def start(
        self, name: str, *, at: str = "", moods: dict[str, int] | None = None, die_before_answering: bool = False
    ) -> ForkServerProcess:
        """Start a service and wait until it answers."""
        url = self.urls[at or name]
        settings = self.toys.settings(
            "sender" if name == "work" else name,
            jobs_enabled=name == "work",
            relay_enabled=True,
            relay_backoff_max_seconds=0.3,
        )
        port = int(url.rpartition(":")[2])
        process = _processes.Process(
            target=serve, args=(name, port, settings, self.urls, moods or {}, die_before_answering)
        )
        process.start()
        self._running.append(process)

        async def answers() -> bool:
            assert process.is_alive(), "the process ended by itself"
            return await is_up(url)

        await eventually(answers, what=f"{name} answers")
        return process

    async def write(self, *words: str, at: str = "sender") -> None:
        """Have a sender write notes, over the network."""
        headers = {"Authorization": f"Bearer {self.toys.token(actor('writer'))}"}
        async with httpx2.AsyncClient(
            base_url=self.urls[at], headers=headers, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
        ) as client:
            for each in words:
                answer = await client.post("/api/sender/notes", json={"box": "letters", "words": each})
                assert answer.status_code == 201, answer.text

    async def taken(self, *words: str) -> None:
        """Wait until the receiver has taken at least so many notes; they must be these, each once and in order."""

        async def enough() -> bool:
            return len(await self.toys.taken()) >= len(words)

        await eventually(enough, what=f"{len(words)} notes arrive")
        assert await self.toys.taken() == list(words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.join()
            process.close()
        for held in self._held.values():
            held.close()


async def ended(process: ForkServerProcess) -> int:
    """Wait until the process has ended; how."""

    async def gone() -> bool:
        return not process.is_alive()

    await eventually(gone, what="the process ends")
    assert process.exitcode is not None
    return process.exitcode


async def is_up(url: str) -> bool:
    """Whether a service answers there."""
    async with httpx2.AsyncClient(trust_env=False, verify=False) as client:
        try:
            return (await client.get(f"{url}/healthz")).status_code < 500
        except httpx2.HTTPError:
            return False


@asynccontextmanager
async def listening(app: Any, url: str) -> AsyncIterator[None]:
    """Serve an application of the test's own process on a real port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=int(url.rpartition(":")[2]), log_config=None, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: _started(server), what="the port is open")
        yield
    finally:
        server.should_exit = server.force_exit = True
        await serving


async def _started(server: uvicorn.Server) -> bool:
    return server.started
