"""A points service with a past: of everything that a check looks at there is some."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from chassis.core import clock
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Reserve, Reverse, Transfer
from services.points.ledger.terms import AccountKey, TransferCode, household_wallet, issuance
from services.points.merchants.actions import record_merchant
from services.points.settlement import jobs
from services.points.settlement.actions import decide_adjustment, propose_adjustment
from services.points.settlement.payment import Pay, PayStatements
from services.points.settlement.queries import awaited_statements
from services.points.settlement.rules import midnight, next_month
from services.points.settlement.tables import Statement
from services.points.terms import LedgerName, OwnerKind
from tests.points.boards.history import play
from tests.points.conftest import Points, service_on
from tests.points.coupons.conftest import Desk, Till
from tests.points.facts import Attendance, Family, Order
from tests.town import TestDatabase, actor, copy_of

CIVIC = LedgerName.CIVIC


async def live(points: Points) -> None:
    """A mixed past, at the end of which holds are open, a debt is owed, a family is gone, a coupon is used."""
    till = Till()
    await spend(Desk(points), till)
    history = await play(points, seed=5, steps=80)
    with clock.frozen(history.now):
        await owe(points)
        old, new = Family(at=history.now), Family(at=history.now)
        for joining in (old, new):
            await points.tell(Attendance(household_id=joining.id, at=history.now).verified(60))
        await points.tell(old.dissolved(2, new.id))
        handler = AccountKey(LedgerName.STAFF, OwnerKind.PERSON, history.handlers[0][0])
        await points.tell(*Order(at=history.now).handled(history.handlers[0][0]))
        async with points.db.transaction() as session:
            for wallet, amount in ((household_wallet(new.id), 5), (handler, 3)):
                target = issuance(wallet.ledger)
                lapses = history.now.replace(year=history.now.year + 1)
                hold = (wallet, target, amount, TransferCode.ADJUSTMENT, f"test/hold {amount}", history.now, lapses)
                await post(session, Reserve(*hold))
    await settle(points, till)


async def spend(desk: Desk, till: Till) -> None:
    """Coupons of every kind: open, used, returned, refunded, out of use, and expired with and without a promise."""
    family = await desk.household(100)
    reward = await desk.reward(till.merchant, valid_days=1)
    coupons = [(await desk.coupon(family, reward))["id"] for _ in range(5)]
    promised = await desk.reward(till.merchant, valid_days=1, refund_on_expiry=True)
    coupons.append((await desk.coupon(family, promised))["id"])
    for coupon in coupons[:2]:
        await desk.take(till, coupon)
    await desk.give_back(till, coupons[0])
    await desk.lock(till, coupons[0])
    await desk.refund(coupons[2])
    await desk.deactivate(coupons[3])
    with clock.frozen(clock.now() + timedelta(days=3)):
        await desk.expire()
    await desk.coupon(family, await desk.reward(till.merchant, valid_days=90))


async def owe(points: Points) -> None:
    """A family whose award is taken back after it was spent."""
    attendance = Attendance(at=clock.now())
    verified = attendance.verified(60)
    await points.tell(verified)
    wallet = household_wallet(attendance.household_id)
    async with points.db.transaction() as session:
        spent = Transfer(wallet, issuance(CIVIC), 12, TransferCode.ADJUSTMENT, "test/spent", clock.now())
        result = await post(session, spent)
        assert result.transfer is not None
        await post(session, Reverse(result.transfer.id, "test/some back", clock.now(), 2))
    await points.tell(attendance.withdrawn(verified))


async def settle(points: Points, till: Till) -> None:
    """A merchant's first month is adjusted and paid, the next one is a draft."""
    async with points.db.transaction() as session:
        await record_merchant(
            session, till.merchant.id, mchid=till.merchant.mchid, name="麦垛", stores={till.store_id: "总店"}
        )
    async with points.db.transaction() as session:
        [awaited] = await awaited_statements(session)
    second = next_month(awaited.month)
    await jobs.draw_up(points.db, midnight(second) + timedelta(days=1))
    async with points.db.transaction() as session:
        statement = (await session.scalars(select(Statement))).one()
        line = await propose_adjustment(session, actor("administrator"), statement.id, -200, "多付")
        await decide_adjustment(session, actor("administrator"), line.id, approve=True)
        paid = Pay(actor("administrator"), statement.id, statement.due_fen, "B-1")
        confirms_at = statement.confirms_at
    await jobs.draw_up(points.db, midnight(next_month(second)) + timedelta(days=1))
    with clock.frozen(confirms_at):
        await jobs.confirm(points.db, confirms_at)
    await points.town.apps["points"].state.writer.submit(PayStatements, paid)


async def read_boards(points: Points) -> None:
    """Somebody looks at the boards, which brings them up to the ledger."""
    async with points.client(actor("auditor")) as client:
        for ledger in LedgerName:
            answer = await client.get("/api/points/boards/all", params={"ledger": ledger})
            assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
async def lived(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """The service with its past. Tests leave it as it is."""
    with copy_of(migrated) as database:
        async with service_on(database, keys_dir, tmp_path_factory.mktemp("lived")) as points:
            await live(points)
            await read_boards(points)
            yield points


@pytest.fixture
def owner(lived: Points) -> Iterator[psycopg.Connection]:
    """The tables' owner, whom no constraint between tables stops. What they do is undone after the test."""
    options = "-c search_path=points -c session_replication_role=replica"
    with psycopg.connect(lived.town.database.admin_url, options=options) as connection:
        yield connection
        connection.rollback()
