"""Merchants' keys, clerks, statements and webhooks of older versions: each step forward leaves every row as it was."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger.terms import merchant_payable
from tests.points.conftest import service_on
from tests.points.coupons.conftest import Till
from tests.points.coupons.test_upgrade_coupons import Before
from tests.points.rewards.test_catalogue_upgrade import insert
from tests.points.settlement.conftest import Office, Partner
from tests.points.test_upgrade import connect, migrated_to, upgrade
from tests.town import TestDatabase

THEN = datetime(2026, 3, 2, 4, tzinfo=UTC)
LATER = datetime(2026, 5, 20, 4, tzinfo=UTC)
A_DAY = timedelta(days=1)

Rows = dict[str, tuple[list[str], list[str]]]


def all_rows(database: TestDatabase, like: Rows | None = None) -> Rows:
    """Every table's columns and rows as text; of `like`, the same tables and columns."""
    found: Rows = {}
    with connect(database) as connection:
        if like is None:
            columns = connection.execute(
                "SELECT table_name AS name, array_agg(column_name::text ORDER BY ordinal_position) AS columns"
                " FROM information_schema.columns WHERE table_schema = 'points' AND table_name <> 'alembic_version'"
                " GROUP BY table_name"
            ).fetchall()
            wanted = {row["name"]: row["columns"] for row in columns}
        else:
            wanted = {name: columns for name, (columns, _) in like.items()}
        for name, columns in wanted.items():
            quoted = ", ".join(f'"{column}"' for column in columns)
            rows = connection.execute(f'SELECT row({quoted})::text AS "row" FROM "{name}"'.encode()).fetchall()
            found[name] = columns, sorted(row["row"] for row in rows)
    return found


def step(database: TestDatabase, revision: str) -> None:
    """On to a revision, which leaves every row as it was."""
    before = all_rows(database)
    upgrade(database, revision)
    assert all_rows(database, before) == before


def write_keys(database: TestDatabase, merchant: UUID) -> None:
    """What a merchant had before it was on record with us: a store, a key, and a nonce."""
    with connect(database) as connection:
        insert(connection, "merchant_store", merchant_id=merchant, id="store-1", name="总店")
        insert(connection, "merchant_key", merchant_id=merchant, serial_no="K1", algorithm="ed25519", public_key="-",
               sandbox=True, not_before=THEN, not_after=LATER)  # fmt: skip
        insert(connection, "merchant_nonce", merchant_id=merchant, serial_no="K1", nonce="n" * 16, seen_at=THEN)


def write_clerks(database: TestDatabase, merchant: UUID) -> None:
    """What came with 0014: a log, a clerk and somebody who is to be one, wrong tries, a coupon to try tills with."""
    with connect(database) as connection:
        insert(connection, "merchant_event", id=new_id(), merchant_id=merchant, kind="store_added", at=THEN,
               actor_id=new_id(), subject="store-1", reason="开店")  # fmt: skip
        invited = {"merchant_id": merchant, "store_id": "store-1", "name_sealed": b"-", "invited_at": THEN}
        insert(connection, "merchant_clerk", id=new_id(), person_id=new_id(), joined_at=THEN, **invited)
        insert(connection, "merchant_clerk", id=new_id(), code_hash=b"-", code_expires_at=THEN, **invited)
        insert(connection, "clerk_try", person_id=new_id(), hour=THEN, wrong=2)
        insert(connection, "sandbox_coupon", id="01000000000001", face_fen=2000, payable_fen=1500, secret_sealed=b"-",
               state="effective", issued_at=THEN, expires_at=LATER, happened=1, merchant_id=merchant,
               reward_title="试用券")  # fmt: skip


def write_statements(database: TestDatabase, merchant: Partner, end: int) -> UUID:
    """What came with 0015: a month that was disputed, adjusted and confirmed, and the month after it, a draft."""
    statement, later = new_id(), new_id()
    with connect(database) as connection:
        same = {"merchant_id": merchant.id, "mchid": merchant.mchid, "merchant_name": "理发店", "returns": 0}
        insert(connection, "merchant_statement", id=statement, month=date(2026, 3, 1), first_number=0,
               end_number=end, uses=2, face_fen=4000, payable_fen=3000, points=24, adjusted_fen=-500,
               state="confirmed", made_at=THEN + 30 * A_DAY, confirms_at=THEN + 38 * A_DAY,
               confirmed_at=THEN + 38 * A_DAY, **same)  # fmt: skip
        insert(connection, "merchant_statement", id=later, month=date(2026, 4, 1), first_number=end,
               end_number=end, uses=0, face_fen=0, payable_fen=0, points=0, adjusted_fen=0, state="draft",
               made_at=THEN + 60 * A_DAY, confirms_at=THEN + 70 * A_DAY, **same)  # fmt: skip
        insert(connection, "statement_dispute", id=new_id(), statement_id=statement, words="多记一笔",
               raised_by=new_id(), raised_at=THEN + 31 * A_DAY, answer="已扣", answered_by=new_id(),
               answered_at=THEN + 32 * A_DAY)  # fmt: skip
        for fen, state in ((-500, "approved"), (900, "rejected")):
            insert(connection, "statement_adjustment", id=new_id(), statement_id=statement, fen=fen, reason="场地费",
                   state=state, proposed_by=new_id(), proposed_at=THEN + 31 * A_DAY, decided_by=new_id(),
                   decided_at=THEN + 31 * A_DAY)  # fmt: skip
        connection.execute("UPDATE merchant SET settled_before = '2026-04-01' WHERE id = %s", [merchant.id])
    return statement


def write_webhooks(database: TestDatabase, merchant: UUID) -> None:
    """What came with 0016: an endpoint, and something that it is to be told, which failed once."""
    endpoint, event = new_id(), new_id()
    with connect(database) as connection:
        insert(connection, "webhook_endpoint", id=endpoint, merchant_id=merchant, url="https://example.org/hook",
               event_types=["COUPON.USED"], description="", state="disabled", secret_sealed=b"-", created_by=new_id(),
               created_at=THEN, changed_by=new_id(), changed_at=THEN, given_up=0, disabled_at=THEN)  # fmt: skip
        insert(connection, "webhook_event", id=event, merchant_id=merchant, event_type="COUPON.USED", resource="{}",
               created_at=LATER)  # fmt: skip
        insert(connection, "webhook_delivery", endpoint_id=endpoint, event_id=event, state="pending", attempts=1,
               failures=1, next_attempt_at=LATER + A_DAY)  # fmt: skip
        insert(connection, "webhook_attempt", endpoint_id=endpoint, event_id=event, number=1, at=LATER,
               milliseconds=5, status=500)  # fmt: skip
        insert(connection, "webhook_notice", merchant_id=merchant, subject="key/K1", given_at=THEN)


def last_number(database: TestDatabase) -> int:
    with connect(database) as connection:
        row: dict[str, Any] | None = connection.execute(
            "SELECT last_sequence FROM ledger WHERE name = 'civic'"
        ).fetchone()
    assert row is not None
    return int(row["last_sequence"])


async def test_every_row_of_merchants_stays_as_it_was_and_what_was_confirmed_is_paid(
    migrated: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    merchant = Partner()
    with migrated_to("0011", migrated) as database:
        with clock.frozen(THEN):
            await Before(database, Till(merchant)).write()
        upgrade(database, "0013")
        write_keys(database, merchant.id)
        step(database, "0014")
        write_clerks(database, merchant.id)
        step(database, "0015")
        statement = str(write_statements(database, merchant, last_number(database) + 1))
        step(database, "0016")
        write_webhooks(database, merchant.id)
        step(database, "head")
        async with service_on(database, keys_dir, tmp_path) as points:
            office = Office(points)
            with clock.frozen(LATER):
                seen = await office.statement(statement, merchant.manager)
                assert (seen["state"], seen["due_fen"], seen["stores"][0]["uses"]) == ("confirmed", 2500, 2)
                assert [each["answer"] for each in seen["disputes"]] == ["已扣"]
                lines = (await office.file(merchant.manager, statement, "csv")).decode().splitlines()
                assert [line.split(",")[6] for line in lines[1:-1]] == ["USE", "USE", "ADJUST"]
                assert (await office.pay(statement, 2500, "B-1")).status_code == 201
            assert await office.balance(merchant_payable(merchant.id)) == 0
            await office.shop.check()
