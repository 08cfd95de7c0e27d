"""What messages between services cost: facts published, sent and received in a second, from one service to another in
one process, on a PostgreSQL started for it.

Run with `python -m bench.messages [--seconds 2]`; it takes about twenty times that. The ratios matter: each number is
compared with a floor measured in the same run, plain statements that write the same rows and nothing more. The absolute
numbers belong to the machine, whose processors the database shares.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr
from sqlalchemy import create_engine, insert, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from beiyuan.postgres import EmbeddedPostgres
from chassis.core import clock, keys
from chassis.core.client import Directory
from chassis.core.db import naming
from chassis.core.ids import new_id
from chassis.core.inbox import Subscriptions
from chassis.core.messages import MAX_BATCH, Envelope, Message, publish
from chassis.core.migrations import create_chassis_tables, create_job_tables, keep_headers_of_answers
from chassis.core.runtime import Parts, Runtime
from chassis.core.settings import ServiceSettings
from chassis.web.app import Service, build_service

NAMES = ("sender", "receiver")
WRITERS = 8
SINGLE = 100
ROUNDS = 3


class Base(DeclarativeBase):
    """Base of the one table that both services have."""

    metadata = naming()


class Reading(Base):
    """What is written at either end: a meter's reading."""

    __tablename__ = "reading"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    meter: Mapped[int]
    value: Mapped[int]


class MeterRead(Message):
    """A meter was read."""

    type: ClassVar[str] = "sender.meter_read.v1"
    to: ClassVar[tuple[str, ...]] = ("receiver",)

    reading: UUID
    meter: int
    value: int

    @property
    def aggregate(self) -> str:
        return f"meter/{self.meter}"


class MeterReadIn(BaseModel):
    """The receiver's view of it."""

    reading: UUID
    meter: int
    value: int


subscriptions = Subscriptions()
taken = asyncio.Event()


@subscriptions.on("sender.meter_read.v1", MeterReadIn)
async def take_reading(session: AsyncSession, fact: MeterReadIn, envelope: Envelope) -> None:
    """Keep the reading."""
    await write(session, fact.reading, fact.value)
    taken.set()


async def write(session: AsyncSession, reading: UUID, number: int) -> None:
    """The row that is written at either end, one statement."""
    await session.execute(insert(Reading).values(id=reading, meter=number % 97, value=number))


async def write_alone(runtime: Runtime, number: int) -> None:
    """The floor of publishing: the same change, which nobody is told of."""
    async with runtime.db.transaction() as session:
        await write(session, new_id(), number)


async def write_and_publish(runtime: Runtime, number: int) -> None:
    """A change and the fact that tells of it, in one transaction."""
    async with runtime.db.transaction() as session:
        reading = new_id()
        await write(session, reading, number)
        fact = MeterRead(occurred_at=clock.now(), reading=reading, meter=number % 97, value=number)
        await publish(session, fact)


async def concurrently(seconds: float, work: Callable[[int], Awaitable[None]]) -> tuple[int, float]:
    """Do it again and again for so many seconds, WRITERS at once. Returns how often, and how often in a second."""
    numbers, done = itertools.count(), 0
    started = time.perf_counter()

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < started + seconds:
            await work(next(numbers))
            done += 1

    await asyncio.gather(*(worker() for _ in range(WRITERS)))
    return done, done / (time.perf_counter() - started)


async def deliver(runtime: Runtime) -> float:
    """Send everything that waits. Returns how many messages in a second."""
    relay, sent, started = runtime.relay(), 0, time.perf_counter()
    while batch := await relay.send_batch("receiver"):
        sent += batch
    return sent / (time.perf_counter() - started)


async def write_in_batches(runtime: Runtime, count: int) -> float:
    """The floor of delivering: the receiver's rows in transactions as large as a batch. Returns rows in a second."""
    started = time.perf_counter()
    for first in range(0, count, MAX_BATCH):
        async with runtime.db.transaction() as session:
            for number in range(first, min(first + MAX_BATCH, count)):
                await write(session, new_id(), number)
    return count / (time.perf_counter() - started)


async def wait_for(runtime: Runtime, count: int) -> None:
    """Return when the receiver has so many readings."""
    while True:
        async with runtime.db.transaction() as session:
            if (await session.scalar(text("SELECT count(*) FROM reading")) or 0) >= count:
                return
        await asyncio.sleep(0.02)


async def clear(*runtimes: Runtime) -> None:
    """Forget every reading and message, so that each measurement begins alike."""
    for runtime in runtimes:
        async with runtime.db.transaction() as session:
            await session.execute(text("TRUNCATE reading, delivery, message, received"))


async def measure_single(sender: Runtime) -> list[float]:
    """Seconds from before a change is made until its message takes effect, one at a time."""
    seconds = []
    for number in range(SINGLE):
        taken.clear()
        started = time.perf_counter()
        await write_and_publish(sender, number)
        await taken.wait()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)


async def measure(sender: Runtime, receiver: Runtime, seconds: float) -> None:
    """Measure everything, ROUNDS times by turns, and print the best of each: what disturbs a machine only slows it."""
    await concurrently(seconds / 2, lambda number: write_and_publish(sender, number))  # to warm up
    await deliver(sender)
    best: defaultdict[str, float] = defaultdict(float)
    for _ in range(ROUNDS):
        for what, rate in (await measure_once(sender, receiver, seconds)).items():
            best[what] = max(best[what], rate)
    report(f"changes published, {WRITERS} at once", best["published"], "the same without publishing", best["alone"])
    report("messages sent and received, a backlog", best["delivered"], "the receiver's rows alone", best["rows"])
    report("published, sent and received, all at once", best["together"], "publishing alone", best["published"])
    await clear(sender, receiver)
    relaying = asyncio.create_task(sender.relay().run())
    single = await measure_single(sender)
    relaying.cancel()
    median, worst = statistics.median(single) * 1000, single[int(SINGLE * 0.99)] * 1000
    print(f"{'one message, from change to effect':<44}{median:>8.1f} ms; 99 of 100 within {worst:.1f} ms")


async def measure_once(sender: Runtime, receiver: Runtime, seconds: float) -> dict[str, float]:
    """Each rate, one after the other, beginning with empty tables."""
    await clear(sender, receiver)
    _, alone = await concurrently(seconds, lambda number: write_alone(sender, number))
    count, published = await concurrently(seconds, lambda number: write_and_publish(sender, number))
    rows = await write_in_batches(receiver, count)
    delivered = await deliver(sender)
    await clear(sender, receiver)
    relaying = asyncio.create_task(sender.relay().run())
    started = time.perf_counter()
    count, _ = await concurrently(seconds, lambda number: write_and_publish(sender, number))
    await wait_for(receiver, count)
    together = count / (time.perf_counter() - started)
    relaying.cancel()
    with suppress(asyncio.CancelledError):
        await relaying
    return {"alone": alone, "published": published, "rows": rows, "delivered": delivered, "together": together}


def report(what: str, rate: float, floor_of: str, floor: float) -> None:
    """Print a rate beside its floor."""
    print(f"{what:<44}{rate:>8.0f} /s  = {rate / floor:4.2f} of {floor_of} ({floor:.0f} /s)")


def create_schemas(url: str) -> None:
    """A schema for each of the two, with the chassis's tables."""
    for name in NAMES:
        engine = create_engine(
            url.replace("postgresql", "postgresql+psycopg", 1), connect_args={"options": f"-c search_path={name}"}
        )
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
            with Operations.context(MigrationContext.configure(connection)):
                create_chassis_tables()
                create_job_tables()
                keep_headers_of_answers()
            Base.metadata.create_all(connection)
        engine.dispose()


@asynccontextmanager
async def services(url: str, folder: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """Both services in this process, with nothing running but what is measured."""
    keys.create_key_files(folder, processes=NAMES, data_services=NAMES)
    settings: dict[str, Any] = {"keys_dir": folder, "jobs_enabled": False, "relay_enabled": False, "home": folder}
    directory, runtimes = Directory(), []
    parts = (
        Parts(name="sender", publishes=(MeterRead,)),
        Parts(name="receiver", subscriptions=subscriptions.by_type),
    )
    async with AsyncExitStack() as stack:
        for part in parts:
            service = Service(parts=part, title=part.name, description="", routers=[])
            app: FastAPI = build_service(service, ServiceSettings(database_url=SecretStr(url), **settings), directory)
            await stack.enter_async_context(app.router.lifespan_context(app))
            directory.host(part.name, app)
            runtimes.append(app.state.runtime)
        yield runtimes[0], runtimes[1]


async def run(url: str, folder: Path, seconds: float) -> None:
    """The measurement, within its time."""
    async with asyncio.timeout(60 + 60 * seconds), services(url, folder) as (sender, receiver):
        await measure(sender, receiver, seconds)


def main() -> None:
    """Start a database, measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        create_schemas(postgres.url())
        asyncio.run(run(postgres.url(), Path(folder) / "keys", seconds))


if __name__ == "__main__":
    main()
