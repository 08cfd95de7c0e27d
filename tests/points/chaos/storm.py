"""A storm: clients ask, something does harm, everything is settled, and judged."""

import asyncio
import os
import random
import secrets
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from chassis.core import keys
from services.points.settings import PointsSettings
from tests.points.chaos import verdict
from tests.points.chaos.client import act
from tests.points.chaos.harm import Harm, rage
from tests.points.chaos.processes import Server
from tests.points.chaos.records import Story, read_story
from tests.points.chaos.settling import settle
from tests.points.chaos.world import World, let_fade, prepare
from tests.points.conftest import service_on
from tests.points.mortal import processes
from tests.town import TestDatabase, Town

processes.set_forkserver_preload(["tests.points.mortal", "tests.points.chaos.client"])

SERVERS, CLIENTS = 3, 5
END_SECONDS = 150
BEGUN = 20
"""So many answers has each client had when the storm begins, however slow the machine is."""
PATIENT_SECONDS, IMPATIENT_SECONDS = 5, 0.1


def seconds(usual: float) -> float:
    """For how long a storm rages: `BEIYUAN_CHAOS_SECONDS`, or what is usual."""
    return float(os.environ.get("BEIYUAN_CHAOS_SECONDS") or usual)


def seed() -> int:
    """What the clients draw from: `BEIYUAN_CHAOS_SEED`; else any in a long storm, and the same in every short one."""
    if given := os.environ.get("BEIYUAN_CHAOS_SEED"):
        return int(given)
    return secrets.randbelow(10**6) if "BEIYUAN_CHAOS_SECONDS" in os.environ else 20261123


class Storm:
    """A world, the service's processes in it, and the clients' records."""

    def __init__(self, database: TestDatabase, keys_dir: Path, folder: Path, number: int) -> None:
        self.database, self.folder, self.seed = database, folder, number
        self.rng = random.Random(f"{number}/harm")
        self._keys_dir = keys_dir
        for name in ("home", "records"):
            (folder / name).mkdir()
        town = Town(database, keys_dir, folder / "home")
        # The last of them has no patience with locks: it says 503 where the others wait.
        waits = {n: IMPATIENT_SECONDS if n == SERVERS - 1 else PATIENT_SECONDS for n in range(SERVERS)}
        jwks = {"keys": [key.as_dict(private=False) for key in keys.read_signing_keys(keys_dir / "access-tokens.json")]}
        self.servers: list[Server] = []
        for n, wait in waits.items():
            settings = town.settings(
                "points",
                jobs_enabled=True,
                seal_seconds=1,
                lock_timeout_seconds=wait,
                hand_posting_day_limit=10**12,
            )
            assert isinstance(settings, PointsSettings)
            self.servers.append(Server(settings, jwks, folder / f"server-{n}.log", sweeps=n == 0))
        self.world: World = asyncio.run(
            prepare(database, keys_dir, folder / "home", number, tuple(server.url for server in self.servers))
        )

    def start(self) -> None:
        """Start every process of the service."""
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_until_ready()

    def rage(self, harm: Harm, pauses: tuple[float, float], length: float) -> int:
        """Let the clients ask for so many seconds while harm is done. Returns how often it was."""
        stop = processes.Event()
        records = self.folder / "records"
        clients: list[ForkServerProcess] = [
            processes.Process(target=act, args=(self.world, number, records, stop)) for number in range(CLIENTS)
        ]
        try:
            for client in clients:
                client.start()

            def still() -> None:
                for number, client in enumerate(clients):
                    log = records / f"client-{number}.log"
                    assert client.exitcode is None, f"a client gave up:\n{log.read_text()[-4000:]}"

            self._wait_until_begun(still)
            let_fade(self.database, self.world, length)
            done = rage(harm, self.rng, pauses, length, still)
            stop.set()
            for number, client in enumerate(clients):
                client.join(END_SECONDS)
                log = records / f"client-{number}.log"
                assert client.exitcode == 0, f"a client did not end well:\n{log.read_text()[-4000:]}"
        finally:
            for client in clients:
                client.kill()
                client.join()
                client.close()
        return done

    def _wait_until_begun(self, still: Callable[[], None]) -> None:
        deadline = time.monotonic() + END_SECONDS
        records = [self.folder / "records" / f"client-{number}.jsonl" for number in range(CLIENTS)]
        while not all(path.exists() and path.read_text().count('"answered"') >= BEGUN for path in records):
            still()
            assert time.monotonic() < deadline, "the clients are not answered"
            time.sleep(0.05)

    def judge(self) -> Story:
        """Settle what is open, and hold everything against everything."""
        records = self.folder / "records"
        asyncio.run(settle(self.world, records))
        for server in self.servers:
            server.kill()
        story = read_story(records)
        asyncio.run(self._judge(story))
        return story

    async def _judge(self, story: Story) -> None:
        async with service_on(self.database, self._keys_dir, self.folder / "home") as points:
            await verdict.check_all(story, self.world, self.database, points)

    def close(self) -> None:
        """Leave no process behind."""
        for server in self.servers:
            server.close()
