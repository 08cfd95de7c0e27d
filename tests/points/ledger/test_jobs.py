"""Time passes: points expire, holds lapse, households are told before, whatever becomes of the run that does it."""

import asyncio
import ctypes
import multiprocessing
import signal
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, func, select, text

from chassis.core import clock
from chassis.core.client import Directory
from chassis.core.errors import DomainError
from chassis.core.messages import MessageRow
from chassis.core.relay import prune
from services.points.app import create_app
from services.points.ledger import overdue
from services.points.ledger.actions import Posting, carry_out
from services.points.ledger.core.commands import Award, Command, Merge, Reserve, Transfer
from services.points.ledger.core.state import Result
from services.points.ledger.errors import InsufficientPoints
from services.points.ledger.queries import lock_ledgers
from services.points.ledger.tables import Account, Hold, Lot
from services.points.ledger.tables import Transfer as TransferRow
from services.points.ledger.terms import (
    AccountKey,
    HoldState,
    TransferCode,
    coupon_liability,
    expired,
    household_wallet,
)
from services.points.settings import PointsSettings
from services.points.terms import LedgerName
from tests.points.conftest import Points, service_on
from tests.town import TestDatabase

EARNED = datetime(2026, 3, 2, 4, tzinfo=UTC)
OVER = datetime(2027, 12, 31, 16, tzinfo=UTC)
"""Midnight in Beijing."""


@pytest.fixture
async def points(database: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Points]:
    """A service of the test's own: its ledger's time goes on, and does not come back."""
    async with service_on(database, keys_dir, tmp_path) as service:
        yield service


async def ask(points: Points, at: datetime, commands: Sequence[Command]) -> list[tuple[Result, ...] | DomainError]:
    with clock.frozen(at):
        async with points.db.transaction() as session:
            return await carry_out(session, Posting(), commands)


def awards(wallets: Sequence[AccountKey], at: datetime, amount: int = 10) -> list[Command]:
    return [Award(wallet, amount, ("test", 1), f"test/{uuid4()}", at) for wallet in wallets]


def reserve(wallet: AccountKey, amount: int, at: datetime, lapses_at: datetime) -> Command:
    return Reserve(wallet, coupon_liability(), amount, TransferCode.ACTIVITY, f"test/{uuid4()}", at, lapses_at)


def wallets(count: int) -> list[AccountKey]:
    return [household_wallet(uuid4()) for _ in range(count)]


async def expire(points: Points, at: datetime, at_once: int = overdue.AT_ONCE) -> int:
    with clock.frozen(at):
        return await overdue.expire(points.town.runtime("points"), at, at_once=at_once)


async def lapse(points: Points, at: datetime, at_once: int = overdue.AT_ONCE) -> int:
    with clock.frozen(at):
        return await overdue.lapse(points.town.runtime("points"), at, at_once=at_once)


async def tell(points: Points, at: datetime, at_once: int = overdue.AT_ONCE) -> int:
    with clock.frozen(at):
        return await overdue.tell(points.town.runtime("points"), at, at_once=at_once)


async def balances(points: Points, keys: Sequence[AccountKey]) -> list[int]:
    async with points.db.transaction() as session:
        accounts = {account.id: account for account in await session.scalars(select(Account))}
    return [accounts[key.id].balance if key.id in accounts else 0 for key in keys]


async def expiries(points: Points) -> int:
    """How many transfers of expiry there are."""
    async with points.db.transaction() as session:
        found = select(func.count()).select_from(TransferRow).where(TransferRow.code == TransferCode.EXPIRY)
        return int(await session.scalar(found) or 0)


async def told(points: Points) -> list[tuple[UUID, int, datetime]]:
    """Which household was told of how many points that expire when, in this order."""
    async with points.db.transaction() as session:
        rows = await session.scalars(select(MessageRow).order_by(MessageRow.sequence))
    return [
        (UUID(row.data["household_id"]), row.data["points"], datetime.fromisoformat(row.data["expires_at"]))
        for row in rows
    ]


async def test_all_that_is_due_expires_and_nothing_else(points: Points) -> None:
    old, young = wallets(23), wallets(3)
    await ask(points, EARNED, awards(old, EARNED))
    await ask(points, EARNED, [reserve(old[0], 4, EARNED, OVER + timedelta(days=9))])
    await ask(points, EARNED + timedelta(days=365), awards([*young, old[1]], EARNED))
    assert await expire(points, OVER - timedelta(microseconds=1)) == 0
    assert await expire(points, OVER, at_once=5) == 23
    assert await balances(points, old) == [4, 10] + 21 * [0]
    assert await balances(points, [*young, expired(LedgerName.CIVIC)]) == [10, 10, 10, 226]
    assert await expire(points, OVER) == 0
    await points.check()


async def test_lots_are_picked_by_their_moment_in_whatever_order_they_came(points: Points) -> None:
    """A run goes by (expiry, id), and neither ids nor what happens meanwhile to wallets makes it miss one."""
    old = wallets(12)
    for wallet in old:
        await ask(points, EARNED, awards([wallet], EARNED, amount=1))
    async with points.db.transaction() as session:  # as if the term of points had been another one for some
        for number, lot in enumerate(await session.scalars(select(Lot).order_by(Lot.id.desc()))):
            lot.expires_at = OVER - timedelta(days=number % 3)
    assert await expire(points, OVER, at_once=1) == 12
    async with points.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(Lot.free > 0)) == 0


async def test_expired_points_cannot_be_spent_though_nobody_swept_them(points: Points) -> None:
    [wallet] = wallets(1)
    await ask(points, EARNED, awards([wallet], EARNED))
    spend = Transfer(wallet, coupon_liability(), 1, TransferCode.REDEMPTION, "test/late", OVER)
    [refusal] = await ask(points, OVER, [spend])
    assert isinstance(refusal, InsufficientPoints)
    assert await expire(points, OVER) == 1


async def test_two_runs_at_once_let_each_lot_expire_once(points: Points) -> None:
    await ask(points, EARNED, awards(wallets(40), EARNED))
    done = await asyncio.gather(*(expire(points, OVER, at_once=3) for _ in range(3)))
    assert sum(done) == 40
    assert await expiries(points) == 40
    await points.check()


async def test_spending_and_expiring_at_once_lose_no_point(points: Points) -> None:
    many = wallets(20)
    await ask(points, EARNED, awards(many, EARNED))
    before = OVER - timedelta(seconds=1)

    async def spend(wallet: AccountKey) -> None:
        move = Transfer(wallet, coupon_liability(), 4, TransferCode.REDEMPTION, f"test/{uuid4()}", before)
        await ask(points, before, [move])

    await asyncio.gather(*map(spend, many), expire(points, OVER, at_once=2))
    await expire(points, OVER)
    moved = await balances(points, [coupon_liability(), expired(LedgerName.CIVIC)])
    assert sum(moved) == 200
    assert await balances(points, many) == 20 * [0]
    await points.check()


_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.points.ledger.test_jobs"])


def _die_in_a_run(settings: PointsSettings, at: datetime, steps: int) -> None:
    """A process that is killed at a step of its run: before a statement or a commit of its writing."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    async def run() -> None:
        app: Any = create_app(settings, Directory())
        left = steps

        def step(*_: object) -> None:
            nonlocal left
            if left == 0:
                signal.raise_signal(signal.SIGKILL)
            left -= 1

        engine = app.state.runtime.db.engine.sync_engine
        event.listen(engine, "before_cursor_execute", step)
        event.listen(engine, "commit", step)
        with clock.frozen(at):
            await overdue.expire(app.state.runtime, at, at_once=4)

    asyncio.run(run())


async def test_a_run_that_is_killed_in_the_middle_is_done_by_the_next_one(points: Points) -> None:
    many = wallets(20)
    await ask(points, EARNED, awards(many, EARNED))
    settings: Any = points.town.settings("points")
    left = []
    for steps in (2, 4, 6):
        process = _processes.Process(target=_die_in_a_run, args=(settings, OVER, steps))
        process.start()
        await asyncio.to_thread(process.join, 300)
        assert process.exitcode == -signal.SIGKILL
        left.append(sum(await balances(points, many)))
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] < left[0], "some had done something, and none everything"
    assert await expire(points, OVER) == left[-1] // 10
    assert await balances(points, many) == 20 * [0]
    assert await expiries(points) == 20
    await points.check()


async def test_holds_lapse_at_their_time_and_give_back(points: Points) -> None:
    many = wallets(7)
    await ask(points, EARNED, awards(many, EARNED))
    lapses_at = EARNED + timedelta(days=1)
    await ask(points, EARNED, [reserve(wallet, 6, EARNED, lapses_at) for wallet in many])
    await ask(points, EARNED, [reserve(many[0], 1, EARNED, lapses_at + timedelta(hours=1))])
    assert await lapse(points, lapses_at - timedelta(seconds=1)) == 0
    assert sum(await asyncio.gather(*(lapse(points, lapses_at, at_once=2) for _ in range(2)))) == 7
    async with points.db.transaction() as session:
        states = sorted(await session.scalars(select(Hold.state)))
        held = await session.scalar(select(func.sum(Account.held)))
    assert states == [*7 * [HoldState.LAPSED], HoldState.OPEN]
    assert held == 1


async def test_households_are_told_once_thirty_days_before(points: Points) -> None:
    first, second, merged = wallets(3)
    await ask(points, EARNED, awards([first, first, second, merged], EARNED))
    await ask(points, EARNED, [reserve(first, 5, EARNED, OVER)])
    await ask(points, EARNED, [Merge(merged, second, f"test/{uuid4()}", EARNED)])
    await ask(points, EARNED + timedelta(days=365), awards([first], EARNED))
    early = OVER - overdue.NOTICE
    assert await tell(points, early - timedelta(seconds=1)) == 0
    assert sum(await asyncio.gather(*(tell(points, early, at_once=1) for _ in range(3)))) == 2
    assert await tell(points, OVER - timedelta(days=1)) == 0
    assert sorted(await told(points)) == sorted(
        [(first.owner_id, 15, OVER), (second.owner_id, 20, OVER)],
    )


async def test_who_gets_points_back_late_is_told_at_once_and_nobody_of_what_is_over(points: Points) -> None:
    [wallet] = wallets(1)
    await ask(points, EARNED, awards([wallet], EARNED))
    await ask(points, EARNED, [reserve(wallet, 10, EARNED, OVER - timedelta(days=10))])
    assert await tell(points, OVER - timedelta(days=20)) == 0
    await lapse(points, OVER - timedelta(days=10))
    assert await tell(points, OVER) == 0
    assert await tell(points, OVER - timedelta(days=10)) == 1


async def test_what_nobody_listens_to_is_forgotten_like_all_that_was_delivered(points: Points) -> None:
    await ask(points, EARNED, awards(wallets(2), EARNED))
    early = OVER - overdue.NOTICE
    assert await tell(points, early) == 2
    with clock.frozen(early + timedelta(days=29)):
        assert await prune(points.db, keep=timedelta(days=30)) == 0
    with clock.frozen(early + timedelta(days=31)):
        assert await prune(points.db, keep=timedelta(days=30)) == 2


async def test_the_jobs_do_it_by_themselves(points: Points) -> None:
    runtime = points.town.runtime("points")
    declared = {job.name: job.function for job in runtime.parts.jobs}
    [wallet] = wallets(1)
    await ask(points, EARNED, awards([wallet], EARNED))
    await ask(points, EARNED, [reserve(wallet, 3, EARNED, OVER)])
    with clock.frozen(OVER - timedelta(days=2)):
        await declared["points.tell_of_expiry"](runtime)
    with clock.frozen(OVER):
        await declared["points.lapse_holds"](runtime)
        await declared["points.expire_lots"](runtime)
    assert await told(points) == [(wallet.owner_id, 7, OVER)]
    assert await balances(points, [wallet]) == [0]


async def test_nobody_is_told_of_expiry_by_a_clock_that_is_far_ahead(
    points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, right = points.town.runtime("points"), clock.now
    [wallet] = wallets(1)
    await ask(points, right(), awards([wallet], right()))
    async with points.db.transaction() as session:
        expires_at = (await session.scalars(select(Lot.expires_at))).one()
    [tell_of_expiry] = [job.function for job in runtime.parts.jobs if job.name == "points.tell_of_expiry"]
    with monkeypatch.context() as wrong:
        ahead = expires_at - timedelta(days=1) - right()
        wrong.setattr(clock, "now", lambda: right() + ahead)
        await tell_of_expiry(runtime)
    assert await told(points) == []
    with clock.frozen(expires_at - timedelta(days=1)):
        await tell_of_expiry(runtime)
    assert await told(points) == [(wallet.owner_id, 10, expires_at)]


@pytest.mark.parametrize("job", ["points.lapse_holds", "points.expire_lots"])
async def test_what_a_job_cannot_do_while_the_ledger_is_taken_its_next_run_does(points: Points, job: str) -> None:
    app = await points.town.start("points", lock_timeout_seconds=0.05)
    runtime = app.state.runtime
    run = next(declared.function for declared in runtime.parts.jobs if declared.name == job)
    kept, spent = wallets(2)
    await ask(points, EARNED, awards([kept, spent], EARNED))
    await ask(points, EARNED, [reserve(kept, 10, EARNED, OVER)])

    async def undone() -> tuple[int, int]:
        async with points.db.transaction() as session:
            holds = select(func.count()).select_from(Hold).where(Hold.state == HoldState.OPEN)
            return int(await session.scalar(holds) or 0), sum(await balances(points, [spent]))

    with clock.frozen(OVER):
        async with points.db.transaction() as other:
            await other.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            await lock_ledgers(other)
            await run(runtime)  # and it does not end as a failure
            assert await undone() == (1, 10)
        await run(runtime)
    assert await undone() == ((0, 10) if job == "points.lapse_holds" else (1, 0))
