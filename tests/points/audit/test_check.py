"""`beiyuan points check`: clean where nothing is off, also while others write; what is off is found and named."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import psycopg
import pytest
from typer.testing import CliRunner

from beiyuan.cli import app
from beiyuan.names import SERVICES
from chassis.core.ids import new_id
from services.points.audit import queries
from services.points.audit.queries import CHECKS, audit, snapshot
from services.points.audit.terms import Check, Finding
from tests.points.audit.conftest import live, read_boards
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family, Order


class Corruption(NamedTuple):
    """One thing that the tables' owner may do behind the ledger's back, and how it is told.

    `row` finds what is changed and `{id}`, or whatever it selects, stands in for it in the rest.
    """

    name: str
    check: str
    row: str
    change: str
    subject: str
    detail: str


WALLET = "ledger = 'civic' AND purpose = 'wallet' AND merged_into_id IS NULL"
CORRUPTIONS = [
    Corruption(
        "a balance is raised",
        "balances are those of the entries",
        f"SELECT id FROM account WHERE {WALLET} AND balance > 0",
        "UPDATE account SET balance = balance + 1 WHERE id = '{id}'",
        "account {id}",
        "its last entry says",
    ),
    Corruption(
        "points come from nowhere",
        "every ledger comes to zero",
        f"SELECT id FROM account WHERE {WALLET} AND balance > 0",
        "UPDATE account SET balance = balance + 1 WHERE id = '{id}'",
        "ledger civic",
        "come to 1, not to zero",
    ),
    Corruption(
        "an old balance is changed",
        "balances are those of the entries",
        "SELECT credit_account_id AS id, credit_version AS n, id AS t FROM transfer WHERE sequence = 3",
        "UPDATE transfer SET credit_balance = credit_balance + 1 WHERE id = '{t}'",
        "account {id}",
        "after entry {n}",
    ),
    Corruption(
        "an entry bears another version",
        "balances are those of the entries",
        "SELECT debit_account_id AS id, debit_version + 1 AS n, id AS t FROM transfer WHERE sequence = 5",
        "UPDATE transfer SET debit_version = {n} WHERE id = '{t}'",
        "account {id}",
        "entry {n} does not follow",
    ),
    Corruption(
        "a version is skipped",
        "balances are those of the entries",
        f"SELECT id, version + 1 AS n FROM account WHERE {WALLET} AND version > 1",
        "UPDATE account SET version = {n} WHERE id = '{id}'",
        "account {id}",
        "version {n}, but",
    ),
    Corruption(
        "an amount is changed",
        "balances are those of the entries",
        "SELECT debit_account_id AS id, debit_version AS n, id AS t FROM transfer WHERE sequence = 4",
        "UPDATE transfer SET amount = amount + 7 WHERE id = '{t}'",
        "account {id}",
        "after entry {n}",
    ),
    Corruption(
        "a transfer is deleted",
        "numbers are dense, times never go back",
        "SELECT a.id, a.ledger, a.sequence AS n, b.id AS next FROM transfer a"
        " JOIN transfer b ON b.ledger = a.ledger AND b.sequence = a.sequence + 1",
        "DELETE FROM transfer WHERE id = '{id}'",
        "transfer {next}",
        "number {n} is missing",
    ),
    Corruption(
        "the last transfer is deleted",
        "every ledger comes to zero",
        "SELECT id, last_sequence AS n FROM ledger JOIN transfer ON ledger = name AND sequence = last_sequence"
        " WHERE name = 'staff'",
        "DELETE FROM transfer WHERE id = '{id}'",
        "ledger staff",
        "its last number is {n}",
    ),
    Corruption(
        "a transfer is antedated",
        "numbers are dense, times never go back",
        "SELECT id FROM transfer WHERE sequence = 20 AND ledger = 'civic'",
        "UPDATE transfer SET posted_at = posted_at - interval '99 years' WHERE id = '{id}'",
        "transfer {id}",
        "before the one that it follows",
    ),
    Corruption(
        "the ledger's clock is put back",
        "every ledger comes to zero",
        "SELECT name AS id FROM ledger WHERE name = 'civic'",
        "UPDATE ledger SET last_posted_at = last_posted_at - interval '99 years' WHERE name = '{id}'",
        "ledger {id}",
        "posted after the time",
    ),
    Corruption(
        "a transfer crosses into the other ledger",
        "numbers are dense, times never go back",
        "SELECT transfer.id, other.id AS other FROM transfer, account other"
        " WHERE transfer.ledger = 'civic' AND sequence = 9 AND other.ledger = 'staff' AND purpose = 'wallet'",
        "UPDATE transfer SET credit_account_id = '{other}' WHERE id = '{id}'",
        "transfer {id}",
        "of another ledger",
    ),
    Corruption(
        "an award says more than it moved",
        "numbers are dense, times never go back",
        "SELECT transfer_id AS id FROM award WHERE transfer_id IS NOT NULL",
        "UPDATE award SET points = points + 1, points_due = points_due + 1 WHERE transfer_id = '{id}'",
        "transfer {id}",
        "points for an award of",
    ),
    Corruption(
        "free points appear in a lot",
        "lots are what their allocations left",
        "SELECT id, account_id FROM lot WHERE free + held < amount",
        "UPDATE lot SET free = free + 1 WHERE id = '{id}'",
        "lot {id} of account {account_id}",
        "with allocations of",
    ),
    Corruption(
        "a lot moves to another family",
        "balances are those of lots, holds and debts",
        f"SELECT lot.id, account_id, other.id AS other FROM lot, (SELECT id FROM account WHERE {WALLET}) AS other"
        " WHERE free > 0 AND account_id <> other.id",
        "UPDATE lot SET account_id = '{other}' WHERE id = '{id}'",
        "account {account_id}",
        "but its lots have",
    ),
    Corruption(
        "an allocation is deleted",
        "lots are what their allocations left",
        "SELECT lot_id AS id, cause_id FROM allocation",
        "DELETE FROM allocation WHERE lot_id = '{id}' AND cause_id = '{cause_id}'",
        "lot {id} ",
        "with allocations of",
    ),
    Corruption(
        "a lot claims to be older",
        "lots are what their allocations left",
        "SELECT id FROM lot",
        "UPDATE lot SET sequence = sequence - 1 WHERE id = '{id}'",
        "lot {id} ",
        "not what its transfer made",
    ),
    Corruption(
        "a lot is deleted",
        "allocations have a lot and a cause",
        "SELECT lot_id AS id, cause_id FROM allocation",
        "DELETE FROM lot WHERE id = '{id}'",
        "allocation of lot {id} by {cause_id}",
        "no such lot",
    ),
    Corruption(
        "an allocation has no cause",
        "allocations have a lot and a cause",
        "SELECT lot_id AS id, cause_id, gen_random_uuid() AS other FROM allocation",
        "UPDATE allocation SET cause_id = '{other}' WHERE lot_id = '{id}' AND cause_id = '{cause_id}'",
        "allocation of lot {id} by {other}",
        "caused it",
    ),
    Corruption(
        "the transfer that made a lot is deleted",
        "lots are what their allocations left",
        "SELECT id, account_id FROM lot",
        "DELETE FROM transfer WHERE id = '{id}'",
        "lot {id} of account {account_id}",
        "is not there",
    ),
    Corruption(
        "an account is deleted",
        "numbers are dense, times never go back",
        "SELECT credit_account_id AS id, transfer.id AS t FROM transfer WHERE code = 'award'",
        "DELETE FROM account WHERE id = '{id}'",
        "transfer {t}",
        "an account of it is not there",
    ),
    Corruption(
        "held points are let go",
        "balances are those of lots, holds and debts",
        "SELECT debit_account_id AS id FROM hold WHERE state = 'open' AND ledger = 'staff'",
        "UPDATE account SET held = held - 1 WHERE id = '{id}'",
        "account {id}",
        "but its open holds have",
    ),
    Corruption(
        "a lot forgets what it holds",
        "lots are what their allocations left",
        "SELECT id, account_id FROM lot WHERE held > 0",
        "UPDATE lot SET held = held - 1, free = free + 1 WHERE id = '{id}'",
        "lot {id} of account {account_id}",
        "but open holds allocated",
    ),
    Corruption(
        "what lots hold is not what is held",
        "balances are those of lots, holds and debts",
        "SELECT id, account_id FROM lot WHERE held > 0",
        "UPDATE lot SET held = held - 1, free = free + 1 WHERE id = '{id}'",
        "account {account_id}",
        "but its lots hold",
    ),
    Corruption(
        "a hold allocates less than it keeps",
        "holds are what they allocated and posted",
        "SELECT hold_id AS id, lot_id FROM hold_lot",
        "DELETE FROM hold_lot WHERE hold_id = '{id}' AND lot_id = '{lot_id}'",
        "hold {id} ",
        "it allocated",
    ),
    Corruption(
        "a hold says that it posted more",
        "holds are what they allocated and posted",
        "SELECT id FROM hold WHERE state = 'posted' AND posted_amount < amount",
        "UPDATE hold SET posted_amount = amount WHERE id = '{id}'",
        "hold {id} ",
        "it says that it posted",
    ),
    Corruption(
        "a debt is forgiven",
        "balances are those of lots, holds and debts",
        "SELECT id FROM account WHERE debt > 0",
        "UPDATE account SET debt = 0 WHERE id = '{id}'",
        "account {id}",
        "but its lots have",
    ),
    Corruption(
        "a debt is left unpaid",
        "balances are those of lots, holds and debts",
        "SELECT account_id AS id FROM lot WHERE free > 0",
        "UPDATE account SET debt = debt + 1 WHERE id = '{id}'",
        "account {id}",
        "is free",
    ),
    Corruption(
        "a staff wallet owes",
        "balances are those of lots, holds and debts",
        "SELECT id FROM account WHERE ledger = 'staff' AND purpose = 'wallet'",
        "UPDATE account SET debt = 1 WHERE id = '{id}'",
        "account {id}",
        "keeps no lots",
    ),
    Corruption(
        "a family that is gone has points again",
        "merged accounts are empty",
        "SELECT id FROM account WHERE merged_into_id IS NOT NULL",
        "UPDATE account SET balance = 4 WHERE id = '{id}'",
        "account {id}",
        "merged, and yet its balance is 4",
    ),
    Corruption(
        "a pointer leads to one that is gone",
        "merged accounts are empty",
        "SELECT standing.id, gone.id AS gone FROM account gone,"
        f" (SELECT id FROM account WHERE {WALLET}) AS standing WHERE gone.merged_into_id IS NOT NULL",
        "UPDATE account SET merged_into_id = '{gone}' WHERE id = '{id}'",
        "account {id}",
        "merged itself",
    ),
    Corruption(
        "a merger is forgotten",
        "merged accounts are empty",
        "SELECT old_account_id AS id FROM merger",
        "DELETE FROM merger WHERE old_account_id = '{id}'",
        "account {id}",
        "do not agree",
    ),
    Corruption(
        "more is taken back than was given",
        "reversals do not go beyond",
        "SELECT reverses_id AS id, id AS t FROM transfer WHERE reverses_id IS NOT NULL",
        "UPDATE transfer SET amount = amount + 1000 WHERE id = '{t}'",
        "transfer {id}",
        "were taken back",
    ),
    Corruption(
        "what cannot be taken back is taken back",
        "reversals do not go beyond",
        "SELECT reverses_id AS id FROM transfer WHERE reverses_id IS NOT NULL",
        "UPDATE transfer SET code = 'merger' WHERE id = '{id}'",
        "transfer {id}",
        "were taken back",
    ),
    Corruption(
        "a reference is used twice",
        "references are unique",
        "SELECT a.id, b.reference AS other FROM transfer a, transfer b WHERE a.id <> b.id",
        "ALTER TABLE transfer DROP CONSTRAINT uq_transfer_reference;"
        "UPDATE transfer SET reference = '{other}' WHERE id = '{id}'",
        "reference {other}",
        "2 transfers bear it",
    ),
    Corruption(
        "a cap is emptied",
        "caps are the awards that stand",
        "SELECT rule_code, holder_id AS id, period FROM cap_use WHERE used > 0",
        "UPDATE cap_use SET used = 0 WHERE rule_code = '{rule_code}' AND holder_id = '{id}' AND period = '{period}'",
        "cap of {rule_code} for ",
        "0 used, but standing awards of",
    ),
    Corruption(
        "a coupon is made",
        "the coupon liability is that of open coupons",
        "SELECT coupon.id, account.id AS account FROM coupon, account"
        " WHERE state = 'effective' AND purpose = 'coupon_liability'",
        "UPDATE coupon SET cost = cost + 1 WHERE id = '{id}'",
        "account {account}",
        "but open coupons of",
    ),
    Corruption(
        "a merchant is owed more",
        "merchants are owed for the coupons used",
        "SELECT coupon.id, account.id AS account FROM coupon JOIN account ON owner_id = used_by",
        "UPDATE coupon SET cost = cost - 1 WHERE id = '{id}'",
        "account {account}",
        "but coupons used of",
    ),
    Corruption(
        "a used coupon is made good again",
        "coupons are what happened to them",
        "SELECT id FROM coupon WHERE state = 'used'",
        "UPDATE coupon SET state = 'effective', used_at = NULL, used_by = NULL, mchid = NULL, store_id = NULL,"
        " use_time = NULL, use_no = NULL, use_transfer_id = NULL WHERE id = '{id}'",
        "coupon {id}",
        "it is effective, but last it was used",
    ),
    Corruption(
        "what happened to a coupon is deleted",
        "coupons are what happened to them",
        "SELECT coupon_id AS id, number FROM coupon_event WHERE kind = 'returned'",
        "DELETE FROM coupon_event WHERE coupon_id = '{id}' AND number = {number}",
        "coupon {id}",
        "things happened to it, but",
    ),
    Corruption(
        "a return is told of another use",
        "coupons are what happened to them",
        "SELECT back.coupon_id AS id, back.number, other.use_no FROM coupon_event back, coupon_event other"
        " WHERE back.kind = 'returned' AND other.kind = 'used' AND other.coupon_id <> back.coupon_id",
        "UPDATE coupon_event SET use_no = '{use_no}' WHERE coupon_id = '{id}' AND number = {number}",
        "coupon {id}, event {number}",
        "not that of a coupon that was returned",
    ),
    Corruption(
        "an expired coupon's points are those of another",
        "coupons are what happened to them",
        "SELECT coupon_id AS id, number, transfer_id AS t FROM coupon_event WHERE kind = 'expired'",
        "UPDATE transfer SET amount = amount + 1 WHERE id = '{t}'",
        "coupon {id}, event {number}",
        "expired moved",
    ),
    Corruption(
        "a score is raised",
        "boards are what the ledger says",
        "SELECT board_id, subject_id AS id, ledger, period, starts_on FROM board_score"
        " JOIN board ON board.id = board_id WHERE period = 'week'",
        "UPDATE board_score SET score = score + 64000 WHERE board_id = {board_id} AND subject_id = '{id}'",
        "{id} on the board {ledger}/{period} from {starts_on}",
        "the ledger",
    ),
    Corruption(
        "somebody is taken off a board",
        "boards are what the ledger says",
        "SELECT board_id, subject_id AS id FROM board_score JOIN board ON board.id = board_id WHERE period = 'all'",
        "DELETE FROM board_score WHERE board_id = {board_id} AND subject_id = '{id}'",
        "{id} on the board ",
        "it shows 0, the ledger",
    ),
    Corruption(
        "a family is not followed",
        "families that joined others are one on the boards",
        "SELECT household_id AS id FROM board_heir JOIN account ON owner_id = household_id"
        " JOIN merger ON old_account_id = account.id"
        " WHERE sequence < (SELECT sequence FROM board_mark WHERE ledger = 'civic')",
        "DELETE FROM board_heir WHERE household_id = '{id}'",
        "household {id}",
        "have not followed",
    ),
    Corruption(
        "a rank is counted wrong",
        "ranks are counted right",
        "SELECT board_id AS id, level, bucket FROM board_bucket WHERE level = 1",
        "UPDATE board_bucket SET subjects = subjects + 1"
        " WHERE board_id = {id} AND level = {level} AND bucket = {bucket}",
        "board {id}",
        "in bucket {bucket} of level {level}",
    ),
    Corruption(
        "a use is in no bill",
        "every use of a coupon is in the bills",
        "SELECT transfer_id AS id, coupon_id FROM coupon_event WHERE kind = 'used'",
        "DELETE FROM coupon_event WHERE transfer_id = '{id}'",
        "transfer {id}",
        "no coupon says that it was used by it",
    ),
    Corruption(
        "a use is told of another merchant",
        "every use of a coupon is in the bills",
        "SELECT transfer_id AS id FROM coupon_event WHERE kind = 'used'",
        "UPDATE coupon_event SET merchant_id = gen_random_uuid() WHERE transfer_id = '{id}'",
        "transfer {id}",
        "another merchant",
    ),
    Corruption(
        "a statement asks for more money",
        "statements are what the ledger says",
        "SELECT id, payable_fen + 1 AS more FROM merchant_statement WHERE state = 'draft'",
        "UPDATE merchant_statement SET payable_fen = {more} WHERE id = '{id}'",
        "statement {id}",
        "{more} fen to pay, the coupons come to",
    ),
    Corruption(
        "a statement forgets a use",
        "statements are what the ledger says",
        "SELECT id, uses - 1 AS left, returns FROM merchant_statement WHERE uses > 0",
        "UPDATE merchant_statement SET uses = {left} WHERE id = '{id}'",
        "statement {id}",
        "{left} uses and {returns} returns, the ledger has",
    ),
    Corruption(
        "a statement is adjusted by nobody",
        "statements are what the ledger says",
        "SELECT statement_id AS id, fen FROM statement_adjustment",
        "UPDATE statement_adjustment SET state = 'rejected' WHERE statement_id = '{id}'",
        "statement {id}",
        "adjusted by {fen} fen, the approved adjustments come to 0",
    ),
    Corruption(
        "a month leaves out what was posted after the one before it",
        "statements are what the ledger says",
        "SELECT id FROM merchant_statement WHERE state = 'draft'",
        "UPDATE merchant_statement SET first_number = first_number - 1 WHERE id = '{id}'",
        "statement {id}",
        "does not go on where",
    ),
    Corruption(
        "more is paid than was due",
        "payments are those of statements",
        "SELECT id, amount_fen + 1 AS more FROM settlement_payment",
        "UPDATE settlement_payment SET amount_fen = {more} WHERE id = '{id}'",
        "payment {id}",
        "{more} fen, its statements come to",
    ),
    Corruption(
        "a month is paid without its points",
        "payments are those of statements",
        "SELECT id, points FROM merchant_statement WHERE state = 'paid'",
        "UPDATE merchant_statement SET transfer_id = NULL WHERE id = '{id}'",
        "statement {id}",
        "{points} points were settled by a transfer of 0",
    ),
    Corruption(
        "a settlement is of no month",
        "payments are those of statements",
        "SELECT transfer_id AS id FROM merchant_statement WHERE state = 'paid'",
        "UPDATE merchant_statement SET transfer_id = NULL WHERE transfer_id = '{id}'",
        "transfer {id}",
        "no statement was settled by it",
    ),
    Corruption(
        "what is settled is forgotten",
        "what is settled stays as it is",
        "SELECT id FROM merchant WHERE settled_before IS NOT NULL",
        "UPDATE merchant SET settled_before = NULL WHERE id = '{id}'",
        "merchant {id}",
        "settled before nothing",
    ),
    Corruption(
        "a settled use is taken back",
        "what is settled stays as it is",
        "SELECT used.id AS used, back.id AS id FROM merchant_statement JOIN transfer used ON code = 'use'"
        " AND used.sequence < end_number, transfer back WHERE merchant_statement.state = 'paid'"
        " AND back.id = merchant_statement.transfer_id",
        "UPDATE transfer SET code = 'reversal', reverses_id = '{used}' WHERE id = '{id}'",
        "transfer {id}",
        "it took back a use that was settled",
    ),
]


def found(connection: psycopg.Connection, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    return [finding for part in audit(connection, checks) for finding in part.findings]


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=[corruption.name for corruption in CORRUPTIONS])
def test_one_row_changed_behind_the_ledgers_back_is_found_and_named(
    owner: psycopg.Connection, corruption: Corruption
) -> None:
    with owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute(
            f"{corruption.row} ORDER BY id LIMIT 1".replace("LIMIT 1 ORDER BY id", "").encode()
        ).fetchone()
    assert row is not None, "the past must have such a row"
    owner.execute(corruption.change.format_map(row).encode())
    told = found(owner, [check for check in CHECKS if check.name == corruption.check])
    assert any(
        corruption.subject.format_map(row) in finding.subject and corruption.detail.format_map(row) in finding.detail
        for finding in told
    ), told


def test_every_check_has_a_corruption_that_it_finds() -> None:
    assert {corruption.check for corruption in CORRUPTIONS} == {check.name for check in CHECKS}


@pytest.mark.parametrize("rows", [3, 100_000])
def test_nothing_is_off_after_a_mixed_past_however_it_is_sliced(
    lived: Points, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(queries, "SLICE_ROWS", rows)
    with snapshot(lived.town.database.url("points")) as connection:
        assert found(connection) == []


def test_every_slice_is_looked_at(owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SLICE_ROWS", 7)
    monkeypatch.setattr(queries, "MOST_FINDINGS", 10_000)
    owner.execute("UPDATE account SET balance = balance + 1, held = held + 1")
    owner.execute("UPDATE transfer SET posted_at = posted_at - interval '9 years' * sequence")
    owner.execute("ALTER TABLE lot DROP CONSTRAINT ck_lot_amounts")
    owner.execute("UPDATE lot SET amount = amount + 1")
    owner.execute("UPDATE hold SET amount = amount + 1000")
    told: dict[str, set[str]] = {}
    for finding in found(owner):
        told.setdefault(finding.check, set()).add(finding.subject)
    for check, rows in (
        ("balances are those of the entries", "account"),
        ("balances are those of lots, holds and debts", "account"),
        ("lots are what their allocations left", "lot"),
        ("holds are what they allocated and posted", "hold WHERE ledger = 'civic'"),
    ):
        count = owner.execute(f"SELECT count(*) FROM {rows}".encode()).fetchone()
        assert (len(told[check]),) == count, check
    transfers = owner.execute("SELECT count(*) - count(DISTINCT ledger) FROM transfer").fetchone()
    assert (len(told["numbers are dense, times never go back"]),) == transfers


def test_no_more_is_told_of_one_check_than_anybody_reads(
    owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SLICE_ROWS", 7)
    monkeypatch.setattr(queries, "MOST_FINDINGS", 5)
    owner.execute("UPDATE account SET balance = balance + 1")
    told = found(owner, [check for check in CHECKS if check.name == "balances are those of the entries"])
    assert len(told) == 5


async def test_a_family_without_points_that_joined_another_just_now_is_nothing_off(own_points: Points) -> None:
    old, new = Family(), Family()
    gone, stays = Attendance(household_id=old.id), Attendance(household_id=new.id)
    verified = gone.verified(60)
    await own_points.tell(verified, gone.withdrawn(verified), stays.verified(60))
    await read_boards(own_points)
    await own_points.tell(old.dissolved(2, new.id))
    with snapshot(own_points.town.database.url("points")) as connection:
        [mark] = connection.execute(
            "SELECT board_mark.sequence = merger.sequence FROM merger JOIN board_mark USING (ledger)"
        ).fetchall()
        assert mark == (True,), "the boards have followed all numbers, and the family has none"
        assert found(connection) == []


async def test_nothing_is_off_while_others_write(own_points: Points) -> None:
    await live(own_points)
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            attendance, family = Attendance(), Family()
            verified = attendance.verified(60)
            await own_points.deliver(verified, *Order().handled(new_id()))
            await own_points.deliver(family.changed(1), family.dissolved(2, attendance.household_id))
            await own_points.deliver(attendance.withdrawn(verified))
            await read_boards(own_points)

    writing = [asyncio.create_task(write()) for _ in range(2)]
    try:
        for _ in range(3):
            assert await asyncio.to_thread(_findings_now, own_points) == []
    finally:
        done.set()
        await asyncio.gather(*writing)


def _findings_now(points: Points) -> list[Finding]:
    with snapshot(points.town.database.url("points")) as connection:
        return found(connection)


def test_the_audit_can_write_nothing(lived: Points) -> None:
    with (
        snapshot(lived.town.database.url("points")) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("UPDATE account SET balance = 0")


def test_the_command_exits_1_and_names_the_account(lived: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    database = lived.town.database
    monkeypatch.setenv("BEIYUAN_ADMIN_DATABASE_URL", database.admin_url)
    for service in SERVICES:
        monkeypatch.setenv(f"BEIYUAN_{service.upper()}_DATABASE_URL", database.url(service))
    clean = CliRunner().invoke(app, ["points", "check"])
    assert (clean.exit_code, "nothing is off" in clean.stdout) == (0, True), clean.output
    options = "-c search_path=points"
    with psycopg.connect(database.admin_url, options=options, autocommit=True) as admin:
        row = admin.execute("SELECT id FROM account WHERE purpose = 'issuance' AND ledger = 'civic'").fetchone()
        assert row is not None
        admin.execute("UPDATE account SET balance = balance - 1 WHERE id = %s", row)
        try:
            off = CliRunner().invoke(app, ["points", "check"])
        finally:
            admin.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", row)
    assert off.exit_code == 1
    assert f"account {row[0]}: " in off.stdout
    assert "ledger civic: its accounts come to -1" in off.stdout
