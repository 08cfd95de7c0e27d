"""An installation in which a coupon could be issued and used, and nothing else: what there was stays, and goes on."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from beiyuan.migrate import migrate
from chassis.core import clock
from chassis.core.ids import new_id
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Transfer
from services.points.ledger.terms import (
    AccountKey,
    TransferCode,
    coupon_liability,
    household_wallet,
    issuance,
    merchant_payable,
)
from services.points.terms import LedgerName
from tests.points.conftest import service_on
from tests.points.coupons.conftest import Desk, Till
from tests.points.rewards.conftest import Household
from tests.points.test_upgrade import connect, migrated_to
from tests.town import TestDatabase

OPEN, USED, AGAIN = "10000000000001", "10000000000002", "10000000000003"
A_SECOND = timedelta(seconds=1)


class Before:
    """Rows as the service wrote them then."""

    def __init__(self, database: TestDatabase, till: Till) -> None:
        self.database = database
        self.till = till
        self.family = Household()
        self.at = clock.now()
        self.posted: dict[str, UUID] = {}
        self.posted_at: dict[str, datetime] = {}

    async def write(self) -> None:
        """Three coupons of one reward, two of which were used: one by number at a till, one without."""
        wallet, payable = household_wallet(self.family.id), merchant_payable(self.till.merchant.id)
        async for session in sessions(self.database):
            await self._post(session, "given", issuance(LedgerName.CIVIC), wallet, 36, TransferCode.AWARD)
            for coupon in (OPEN, USED, AGAIN):
                issue = f"coupon/{coupon}/issue"
                await self._post(session, issue, wallet, coupon_liability(), 12, TransferCode.REDEMPTION)
            for coupon in (USED, AGAIN):
                await self._post(session, f"coupon/{coupon}/use", coupon_liability(), payable, 12, TransferCode.USE)
            await session.commit()
        with connect(self.database) as connection:
            self._write_coupons(connection)

    async def _post(
        self, session: AsyncSession, name: str, debit: AccountKey, credit: AccountKey, amount: int, code: TransferCode
    ) -> None:
        transfer = (await post(session, Transfer(debit, credit, amount, code, name, self.at))).transfer
        assert transfer is not None
        self.posted[name], self.posted_at[name] = transfer.id, transfer.posted_at

    def _write_coupons(self, connection: psycopg.Connection[dict[str, object]]) -> None:
        reward, merchant, at = new_id(), self.till.merchant, self.at
        connection.execute(
            "INSERT INTO reward (id, title, description, kind, cost, face_fen, payable_fen, stock, household_limit,"
            " valid_days, starts_at, ends_at)"
            " VALUES (%s, '理发券', '', 'service', 12, 2000, 1500, 7, NULL, 30, %s, %s)",
            [reward, at, at + 30 * timedelta(days=1)],
        )
        connection.execute("INSERT INTO reward_merchant VALUES (%s, %s)", [reward, merchant.id])
        connection.execute("INSERT INTO merchant VALUES (%s, %s, '理发店', 'active')", [merchant.id, merchant.mchid])
        for coupon in (OPEN, USED, AGAIN):
            # A clock a little behind the ledger's, which is what a bill goes by.
            use = [at - A_SECOND, merchant.id, merchant.mchid, "store-1", at, f"{coupon}0002"]
            own, state = (use, "used") if coupon != OPEN else ([None] * 6, "effective")
            connection.execute(
                "INSERT INTO coupon"
                " VALUES (%s, %s, %s, %s, 12, 2000, 1500, ''::bytea, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [coupon, reward, self.family.id, self.family.person_id, state, at, at + timedelta(days=30), *own],
            )
            event = "INSERT INTO coupon_event VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            issued = [coupon, 1, "issued", at, self.posted[f"coupon/{coupon}/issue"], *[None] * 6]
            connection.execute(event, issued)
            if coupon != OPEN:
                _, merchant_id, mchid, store_id, use_time, use_no = use
                posted = self.posted[f"coupon/{coupon}/use"]
                used = [coupon, 2, "used", at - A_SECOND, posted, merchant_id, mchid, store_id, use_time, "T-1", use_no]
                connection.execute(event, used)
        answers = [("R-000001", USED, 200, {"use_no": f"{USED}0002"}), ("R-000002", USED, 409, {"code": "COUPON_USED"})]
        for number, coupon, status, answer in answers:
            connection.execute(
                "INSERT INTO merchant_request VALUES (%s, false, 'use', %s, ''::bytea, %s, %s, %s, %s)",
                [merchant.id, number, coupon, status, json.dumps(answer).encode(), at],
            )


async def sessions(database: TestDatabase) -> AsyncIterator[AsyncSession]:
    """A session of the tables' owner."""
    url = database.admin_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_async_engine(url, connect_args={"options": "-c search_path=points -c timezone=UTC"})
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session
    finally:
        await engine.dispose()


async def test_coupons_of_before_keep_what_they_were_and_can_be_locked_undone_and_ended(
    migrated: TestDatabase, keys_dir: Path, tmp_path: Path, till: Till
) -> None:
    with migrated_to("0011", migrated) as database:
        before = Before(database, till)
        await before.write()
        migrate(database.admin_url, database.service_urls)
        async with service_on(database, keys_dir, tmp_path) as points:
            desk = Desk(points)
            async with desk.db.transaction() as session:
                unused, used = await session.get_one(Coupon, OPEN), await session.get_one(Coupon, USED)
            assert (unused.happened, unused.locked_until, unused.refund_on_expiry) == (1, None, False)
            assert unused.issue_transfer_id == before.posted[f"coupon/{OPEN}/issue"]
            assert (used.happened, used.use_transfer_id) == (2, before.posted[f"coupon/{USED}/use"])
            assert used.used_at == before.posted_at[f"coupon/{USED}/use"]
            event = (await desk.events(USED))[1]
            assert (event.out_request_no, event.out_trade_no, event.at) == ("R-000001", "T-1", used.used_at)
            assert (await desk.events(AGAIN))[1].out_request_no is None
            await desk.check()
            assert (await desk.give_back(till, USED, f"{USED}0002")).state is CouponState.EFFECTIVE
            assert (await desk.lock(till, USED)).state is CouponState.LOCKED
            assert (await desk.take(till, USED)).use_no == f"{USED}0004"
            assert (await desk.refund(OPEN)).state is CouponState.REFUNDED
            assert (await desk.balance(before.family), await desk.payable(till.merchant)) == (12, 24)
            await desk.check()
