"""抢兑: thousands of households that want the same reward at once, through the ledgers' writer, beside as many plain
transfers through the same writer in the same run.

Run with `python -m bench.flash [--households 5000]`. Writer and database share the machine; nothing comes by HTTP. Each
round has households and a reward of its own, and wallets with points enough. The writer is as the service has it: who
waited for longer than it lets anybody wait would be sent away, and the measurement fail.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import insert

from beiyuan.installation import KEY_FILES, service_settings
from beiyuan.postgres import EmbeddedPostgres
from beiyuan.process import collect_less_garbage
from bench.place import database
from bench.results import Figure
from chassis.core import clock, keys
from chassis.core.actor import Actor
from chassis.core.client import Directory
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from chassis.core.runtime import Runtime
from services.points.app import create_app
from services.points.coupons.redemption import Redeem, Redemption
from services.points.households.tables import Household, Member
from services.points.ledger.actions import Posting
from services.points.ledger.core.commands import Transfer
from services.points.ledger.terms import TransferCode, coupon_liability, household_wallet, issuance
from services.points.ledger.writer import Writer
from services.points.rewards.actions import record_reward
from services.points.rewards.terms import RewardKind
from services.points.settings import PointsSettings
from services.points.terms import LedgerName

ROUNDS = 3
PIECES = 100
COST = 12


class Civic(Posting):
    """Plain transfers of the civic ledger: what any posting costs."""

    def __init__(self) -> None:
        super().__init__([LedgerName.CIVIC])


def transfer(debit: UUID, code: TransferCode, *, back: bool = False) -> Transfer:
    """Points that a household spends, or (`back`) is granted: twice as many."""
    wallet, reference = household_wallet(debit), f"bench/{new_id()}"
    if back:
        return Transfer(issuance(LedgerName.CIVIC), wallet, 2 * COST, code, reference, clock.now(), ("bench", 1))
    return Transfer(wallet, coupon_liability(), COST, code, reference, clock.now())


async def granted(runtime: Runtime, writer: Writer, number: int) -> list[UUID]:
    """So many households of three, each with points for two pieces; the first member has the household's own id."""
    households = [new_id() for _ in range(number)]
    async with runtime.db.transaction() as session:
        await session.execute(insert(Household), [{"id": id_, "version": 1} for id_ in households])
        members = [
            {"household_id": id_, "person_id": person, "child": child, "consented": True}
            for id_ in households
            for person, child in ((id_, False), (new_id(), False), (new_id(), True))
        ]
        await session.execute(insert(Member), members)
    await writer.submit_all(Civic, [transfer(id_, TransferCode.AWARD, back=True) for id_ in households])
    return households


async def reward(runtime: Runtime, stock: int) -> UUID:
    """A reward of so many pieces, on offer."""
    at = clock.now()
    async with runtime.db.transaction() as session:
        made = await record_reward(
            session,
            new_id(),
            title="A measurement",
            description="Wanted by all at once.",
            kind=RewardKind.HONOUR,
            cost=COST,
            face_fen=0,
            payable_fen=0,
            stock=stock,
            household_limit=1,
            valid_days=30,
            starts_at=at - timedelta(days=1),
            ends_at=at + timedelta(days=1),
            merchant_ids=(),
        )
    return made.id


async def timed(attempts: Sequence[Any]) -> tuple[float, Counter[str]]:
    """How many a second were answered, from the first to the last, and how."""
    started = time.perf_counter()
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    elapsed = time.perf_counter() - started
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, DomainError):
            raise answer
    told = Counter(answer.code if isinstance(answer, DomainError) else "done" for answer in answers)
    return len(answers) / elapsed, told


async def one_round(runtime: Runtime, writer: Writer, households: int) -> dict[str, float]:
    """Plain transfers, a hundred pieces for all of them, and a piece for each."""
    rates: dict[str, float] = {}
    families = await granted(runtime, writer, households)
    plain = [writer.submit(Civic, transfer(id_, TransferCode.ADJUSTMENT)) for id_ in families]
    rates["plain"], told = await timed(plain)
    assert told == {"done": households}
    for name, stock in (("flash", PIECES), ("all", households)):
        wanted, families = await reward(runtime, stock), await granted(runtime, writer, households)
        people = [Actor(id_, frozenset({"resident"}), None, None, id_) for id_ in families]
        asked = [writer.submit(Redeem, Redemption(runtime.vault, who, wanted)) for who in people]
        rates[name], told = await timed(asked)
        refused = {"out_of_stock": households - stock} if stock < households else {}
        assert told == {"done": stock} | refused, told
    return rates


async def run(url: str, folder: Path, households: int) -> list[dict[str, float]]:
    """The measurement, ROUNDS times after a small one to warm up."""
    keys.create_key_files(folder, processes=["points", "identity"], data_services=["points"], further=KEY_FILES)
    options: dict[str, Any] = {"keys_dir": folder, "home": folder, "jobs_enabled": False, "relay_enabled": False}
    settings = service_settings("points", database_url=url, **options)
    assert isinstance(settings, PointsSettings)
    async with asyncio.timeout(600), AsyncExitStack() as stack:
        app = create_app(settings, Directory({}))
        await stack.enter_async_context(app.router.lifespan_context(app))
        runtime = app.state.runtime
        writer = Writer(runtime.db, runtime.vault, runtime.metrics)
        stack.push_async_callback(writer.close)
        await one_round(runtime, writer, 300)
        collect_less_garbage()
        with psycopg.connect(url, autocommit=True, options="-c search_path=points") as connection:
            connection.execute("ANALYZE")  # the tables are no longer empty, which the database would notice by itself
        return [await one_round(runtime, writer, households) for _ in range(ROUNDS)]


def measure(households: int) -> Iterator[Figure]:
    """How many a second are served or sent away, beside plain transfers."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        rounds = asyncio.run(run(database(postgres, "flash"), Path(folder) / "keys", households))
    for what, name, wanted in (
        (f"{households:,} households at once for {PIECES} pieces", "flash", 1.0),
        (f"{households:,} households at once for a piece each", "all", 0.5),
    ):
        ratios = [one[name] / one["plain"] for one in rounds]
        rate = statistics.median(one[name] for one in rounds)
        yield Figure(
            what,
            measured=rate,
            unit=f"answers/s, all within {households / rate:.1f} s",
            floor="as many plain transfers through the same writer",
            floor_measured=statistics.median(one["plain"] for one in rounds),
            ratio=statistics.median(ratios),
            spread=(min(ratios), max(ratios)),
            wanted=f"at least {wanted:.2f}",
            reached=statistics.median(ratios) >= wanted,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=5000)
    for figure in measure(parser.parse_args().households):
        print(figure)


if __name__ == "__main__":
    main()
