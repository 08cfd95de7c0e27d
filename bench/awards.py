"""How fast points follow from what others tell: closed orders waiting at the orders service, until every award is
posted in the points service.

Run with `python -m bench.awards [--messages 10000]`. The relay, the points service and the database share the machine,
and the first two a process, which collects its garbage as all of ours do. Each closed order with 双是 earns two awards:
its handler's base and the twenty on top.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from beiyuan.installation import KEY_FILES, service_settings
from beiyuan.migrate import migrate
from beiyuan.postgres import EmbeddedPostgres
from beiyuan.process import collect_less_garbage
from bench.results import Figure
from chassis.core import clock, keys
from chassis.core.client import Directory
from chassis.core.ids import new_id
from chassis.core.messages import publish_all
from chassis.core.runtime import Parts, Runtime
from services.orders.callback.messages import OrderClosed
from services.orders.terms import ClosedWhy, Satisfied, Source
from services.points.app import create_app as create_points
from services.points.settings import PointsSettings

NAMES = ("orders", "points")
HANDLERS = 500
ROUNDS = 3
AWARDS_A_MESSAGE = 2
WANTED = 5000


def closed_order(number: int) -> OrderClosed:
    """An order that was solved to the resident's satisfaction."""
    return OrderClosed(
        occurred_at=clock.now() - timedelta(seconds=1),
        order_id=new_id(),
        number=f"BY-{number}",
        closure_id=new_id(),
        handler_id=UUID(int=1 + number % HANDLERS),
        unit_id=UUID(int=1_000_000 + number % 20),
        community=UUID(int=2_000_000 + number % 13),
        round=1,
        contacted=True,
        solved=True,
        satisfied=Satisfied.SATISFIED,
        double_yes=True,
        why=ClosedWhy.DOUBLE_YES,
        source=Source.QR,
        reporter_id=None,
        reporter_household_id=None,
        real=True,
    )


@asynccontextmanager
async def town(urls: dict[str, str], folder: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """The orders service's relay and the points service, in this process, with nothing else running."""
    keys.create_key_files(folder, processes=[*NAMES, "identity", "gateway"], data_services=NAMES, further=KEY_FILES)
    directory = Directory({})
    shared: dict[str, Any] = {"keys_dir": folder, "home": folder, "jobs_enabled": False, "relay_enabled": False}
    settings = service_settings("points", database_url=urls["points"], **shared)
    assert isinstance(settings, PointsSettings)
    async with AsyncExitStack() as stack:
        app = create_points(settings, directory)
        await stack.enter_async_context(app.router.lifespan_context(app))
        directory.host("points", app)
        parts = Parts(name="orders", publishes=(OrderClosed,))
        orders = Runtime(parts, service_settings("orders", database_url=urls["orders"], **shared), directory)
        await stack.enter_async_context(orders.running())
        yield orders, app.state.runtime


async def once(orders: Runtime, points: Runtime, messages: int) -> float:
    """Messages a second, from the first that is sent to the last that is awarded and noted as sent."""
    async with orders.db.transaction() as session:
        await publish_all(session, [closed_order(number) for number in range(messages)])
    async with points.db.transaction() as session:
        before = await session.scalar(text("SELECT count(*) FROM award"))
    relay, started = orders.relay(), time.perf_counter()
    while await relay.send_batch("points"):
        pass
    elapsed = time.perf_counter() - started
    async with points.db.transaction() as session:
        after = await session.scalar(text("SELECT count(*) FROM award"))
    assert (after or 0) - (before or 0) == AWARDS_A_MESSAGE * messages, "one for each order's base and each 双是"
    return messages / elapsed


async def run(urls: dict[str, str], folder: Path, messages: int) -> list[float]:
    """The measurement, ROUNDS times after one to warm up."""
    async with asyncio.timeout(600), town(urls, folder) as (orders, points):
        await once(orders, points, 500)
        collect_less_garbage()
        for name in NAMES:  # the tables are no longer empty, which the database would notice within the minute
            with psycopg.connect(urls[name], autocommit=True, options=f"-c search_path={name}") as connection:
                connection.execute("ANALYZE")
        return [await once(orders, points, messages) for _ in range(ROUNDS)]


def measure(messages: int) -> Iterator[Figure]:
    """How many awards a second come of messages that wait."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        with psycopg.connect(postgres.url(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE town")
        urls = {
            name: make_url(postgres.url("town"))
            .set(username=f"beiyuan_{name}", password="bench")
            .render_as_string(hide_password=False)
            for name in NAMES
        }
        migrate(postgres.url("town"), urls)
        rates = asyncio.run(run(urls, Path(folder) / "keys", messages))
    rate = statistics.median(rates)
    yield Figure(
        f"awards from {messages:,} messages waiting, {AWARDS_A_MESSAGE} of each",
        measured=AWARDS_A_MESSAGE * rate,
        unit=f"awards/s, of {rate:,.0f} messages/s ({min(rates):,.0f} to {max(rates):,.0f})",
        wanted=f"at least {WANTED:,} awards/s",
        reached=AWARDS_A_MESSAGE * rate >= WANTED,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    for figure in measure(parser.parse_args().messages):
        print(figure)


if __name__ == "__main__":
    main()
