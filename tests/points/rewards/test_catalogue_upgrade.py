"""An installation from before rewards were drafted and approved: what was on offer goes on, and every coupon stays."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from beiyuan.migrate import migrate
from chassis.core.ids import new_id
from services.points.ledger.terms import coupon_liability, household_wallet, issuance
from services.points.terms import LedgerName
from tests.points.conftest import service_on
from tests.points.rewards.conftest import Household, Merchant, Shop
from tests.points.rewards.office import AUDITOR, Office
from tests.points.test_upgrade import connect, migrated_to
from tests.town import TestDatabase

THEN = datetime(2026, 3, 2, 4, tzinfo=UTC)


def insert(connection: psycopg.Connection[Any], table: str, **values: Any) -> None:
    """One row as the service of then wrote it."""
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})".encode(), list(values.values()))


def write_past(connection: psycopg.Connection[Any], family: Household, merchant: Merchant, reward: UUID) -> str:
    """A household that was awarded 24 points and got a coupon for 12 of them; the coupon's number."""
    insert(connection, "reward", id=reward, title="理发券", description="凭券理发一次。", kind="service", cost=12,
           face_fen=2000, payable_fen=1500, stock=7, household_limit=2, valid_days=30, starts_at=THEN,
           ends_at=datetime(2099, 1, 1, tzinfo=UTC))  # fmt: skip
    insert(connection, "reward_merchant", reward_id=reward, merchant_id=merchant.id)
    wallet, bank, liability = household_wallet(family.id), issuance(LedgerName.CIVIC), coupon_liability()
    for key, balance, version in ((wallet, 12, 2), (bank, -24, 1), (liability, 12, 1)):
        insert(connection, "account", id=key.id, ledger="civic", owner_kind=key.owner_kind, owner_id=key.owner_id,
               purpose=key.purpose, floor=key.floor, balance=balance, held=0, debt=0, version=version,
               opened_at=THEN)  # fmt: skip
    award, issue, coupon_id = new_id(), new_id(), "12345678901234"
    for number, (id_, debit, credit, amount, code, reference, after) in enumerate(
        (
            (award, bank, wallet, 24, "award", "given/1", (1, -24, 1, 24)),
            (issue, wallet, liability, 12, "redemption", f"coupon/{coupon_id}/issue", (2, 12, 1, 12)),
        ),
        1,
    ):
        insert(connection, "transfer", id=id_, ledger="civic", sequence=number, debit_account_id=debit.id,
               debit_version=after[0], debit_balance=after[1], credit_account_id=credit.id, credit_version=after[2],
               credit_balance=after[3], amount=amount, code=code, reference=reference, occurred_at=THEN,
               posted_at=THEN)  # fmt: skip
    insert(connection, "lot", id=award, sequence=1, account_id=wallet.id, expires_at=datetime(2099, 1, 1, tzinfo=UTC),
           amount=24, free=12, held=0)  # fmt: skip
    insert(connection, "allocation", cause_id=issue, lot_id=award, amount=-12)
    connection.execute("UPDATE ledger SET last_sequence = 2, last_posted_at = %s WHERE name = 'civic'", [THEN])
    insert(connection, "coupon", id=coupon_id, reward_id=reward, household_id=family.id, person_id=family.person_id,
           cost=12, face_fen=2000, payable_fen=1500, secret_sealed=b"-", state="effective", issued_at=THEN,
           expires_at=datetime(2026, 4, 2, tzinfo=UTC))  # fmt: skip
    insert(connection, "coupon_event", coupon_id=coupon_id, number=1, kind="issued", at=THEN, transfer_id=issue)
    return coupon_id


async def test_what_was_on_offer_before_is_listed_as_it_was_and_coupons_promise_what_they_did(
    migrated: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    family, merchant, reward = Household(), Merchant(), new_id()
    with migrated_to("0011", migrated) as database:
        with connect(database) as connection:
            coupon_id = write_past(connection, family, merchant, reward)
        migrate(database.admin_url, database.service_urls)
        async with service_on(database, keys_dir, tmp_path) as points:
            shop = Shop(points)
            record = await Office(shop).done("GET", f"/{reward}", AUDITOR)
            assert (record["state"], record["version"], record["drafted_by"]) == ("listed", 0, None)
            promises = ("stock", "left_today", "limit_period", "audience", "refund_on_expiry", "household_limit")
            assert [record[name] for name in promises] == [7, 7, "ever", "everyone", False, 2]
            [kept] = await shop.coupons(family)
            assert (kept["id"], kept["state"], kept["refund_on_expiry"]) == (coupon_id, "expired", False)
            await shop.know(family)
            await shop.coupon(family, reward)
            assert (await shop.balance(family), await shop.stock(reward)) == (0, 6)
            third = await shop.redeem(family, reward)
            assert third.json()["code"] == "household_limit_reached", "the old coupon counts in the household's share"
            await shop.check()
