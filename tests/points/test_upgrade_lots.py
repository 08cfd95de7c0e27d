"""An installation from before points expired: every wallet gets the lots that it would have if they always had."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest

from beiyuan.migrate import migrate
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Command, Merge, Reverse, Transfer
from services.points.ledger.core.state import AccountState, LedgerState, NewTransfer, Result, State
from services.points.ledger.terms import AccountKey, TransferCode, coupon_liability, household_wallet, issuance
from services.points.terms import LedgerName
from tests.points.test_upgrade import connect, migrated_to
from tests.town import TestDatabase

CIVIC = LedgerName.CIVIC
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def of_before(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A database as it was when a transfer told only what it moved, and its entries the balances."""
    with migrated_to("0005", migrated) as database:
        yield database


class Past:
    """What happened before, by the rules of today but for expiry: nothing is ever overdue."""

    def __init__(self) -> None:
        self.state = State(LONG_AGO, new_id, {CIVIC: LedgerState(CIVIC, 0, LONG_AGO)})
        self.book = Book(self.state)
        self.merged: dict[UUID, tuple[UUID, int]] = {}
        """Of households that were dissolved: into which, and its version then."""

    def award(self, household: UUID, amount: int) -> NewTransfer:
        return self.transfer(issuance(CIVIC), household_wallet(household), amount, TransferCode.AWARD)

    def spend(self, household: UUID, amount: int) -> NewTransfer:
        return self.transfer(household_wallet(household), coupon_liability(), amount, TransferCode.REDEMPTION)

    def transfer(self, debit: AccountKey, credit: AccountKey, amount: int, code: TransferCode) -> NewTransfer:
        command = Transfer(debit, credit, amount, code, f"past/{new_id()}", self.state.at)
        return given(self.apply(command).transfer)

    def reverse(self, transfer: NewTransfer, amount: int) -> NewTransfer:
        return given(self.apply(Reverse(transfer.id, f"past/{new_id()}", self.state.at, amount)).transfer)

    def merge(self, old: UUID, new: UUID, joined: UUID | None = None) -> Result:
        """A household joins another: `new` stands; `joined` is what identity told, where that was dissolved before."""
        reference = f"merger/{old}/2"
        self.merged[old] = joined or new, 2
        return self.apply(Merge(household_wallet(old), household_wallet(new), reference, self.state.at))

    def apply(self, command: Command) -> Result:
        with self.book.together():
            return self.book.apply(command)

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """As the service of then wrote it."""
        write_rows(connection, "UPDATE ledger SET last_sequence = %s WHERE name = 'civic'", [[len(self.transfers)]])
        accounts = self.state.accounts.values()
        statement = "INSERT INTO account VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        write_rows(connection, statement, [account_row(account) for account in accounts])
        into = [[standing(self.state, account), account.id] for account in accounts if account.merged_into_id]
        write_rows(connection, "UPDATE account SET merged_into_id = %s WHERE id = %s", into)
        statement = "INSERT INTO transfer VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, NULL, %s)"
        write_rows(connection, statement, [transfer_row(transfer) for transfer in self.transfers])
        entries = [row for transfer in self.transfers for row in entry_rows(transfer)]
        write_rows(connection, "INSERT INTO entry VALUES (%s, %s, %s, %s, %s)", entries)
        households = [[old, version, into] for old, (into, version) in self.merged.items()]
        write_rows(connection, "INSERT INTO household VALUES (%s, %s, %s)", households)

    @property
    def transfers(self) -> list[NewTransfer]:
        return self.book.changes.transfers


def write_rows(connection: psycopg.Connection[Any], statement: str, rows: list[Any]) -> None:
    connection.cursor().executemany(statement, rows)


def account_row(account: AccountState) -> list[Any]:
    key = account.key
    numbers = [account.floor, account.balance, account.version, account.opened_at]
    return [account.id, key.ledger, key.owner_kind, key.owner_id, key.purpose, *numbers]


def standing(state: State, account: AccountState) -> UUID:
    while account.merged_into_id:
        account = state.accounts[account.merged_into_id]
    return account.id


def transfer_row(transfer: NewTransfer) -> list[Any]:
    sides = [transfer.debit_account_id, transfer.credit_account_id]
    told = [transfer.code, transfer.reference, transfer.occurred_at, transfer.posted_at, transfer.reverses_id]
    return [transfer.id, transfer.ledger, transfer.sequence, *sides, transfer.amount, *told]


def entry_rows(transfer: NewTransfer) -> list[list[Any]]:
    debit = [transfer.debit_account_id, transfer.debit_version, transfer.id, -transfer.amount, transfer.debit_balance]
    credit = [transfer.credit_account_id, transfer.credit_version, transfer.id, transfer.amount]
    return [debit, [*credit, transfer.credit_balance]]


def given(transfer: NewTransfer | None) -> NewTransfer:
    assert transfer is not None
    return transfer


def lots_in(connection: psycopg.Connection[Any], *households: UUID) -> list[tuple[int, int, int]]:
    """What each lot of these has: (the year in which it expires, what it began with, what is free)."""
    wallets = [household_wallet(household).id for household in households]
    rows = connection.execute(
        "SELECT expires_at, amount, free FROM lot WHERE account_id = ANY(%s) ORDER BY expires_at, sequence", [wallets]
    )
    return [((row["expires_at"] + timedelta(hours=8)).year, row["amount"], row["free"]) for row in rows if row["free"]]


def debt_of(connection: psycopg.Connection[Any], household: UUID) -> int:
    row = connection.execute("SELECT debt FROM account WHERE id = %s", [household_wallet(household).id]).fetchone()
    assert row is not None
    return int(row["debt"])


def test_points_from_before_expire_with_the_end_of_the_year_after_they_were_posted(of_before: TestDatabase) -> None:
    past, household = Past(), new_id()
    for year in (2024, 2025, 2026):
        past.state.at = datetime(year, 5, 1, tzinfo=UTC)
        past.award(household, year - 2014)
    past.state.at = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)  # 23:59 in Beijing
    past.award(household, 1)
    past.state.at = datetime(2026, 12, 31, 16, tzinfo=UTC)
    past.award(household, 2)
    with connect(of_before) as connection:
        past.write(connection)
        migrate(of_before.admin_url, of_before.service_urls)
        assert lots_in(connection, household) == [
            (2026, 10, 10),
            (2027, 11, 11),
            (2028, 12, 12),
            (2028, 1, 1),
            (2029, 2, 2),
        ]


def test_what_was_spent_reversed_and_owed_before_is_remembered_lot_by_lot(of_before: TestDatabase) -> None:
    past, household = Past(), new_id()
    first = past.award(household, 10)
    past.state.at = datetime(2025, 3, 1, tzinfo=UTC)
    second = past.award(household, 20)
    spent = past.spend(household, 15)
    past.reverse(second, 20)  # 15 were there, 5 are owed
    third = past.award(household, 8)  # pays the 5
    past.reverse(spent, 12)  # a coupon returned: 5 to the second lot, 7 to the first
    with connect(of_before) as connection:
        past.write(connection)
        migrate(of_before.admin_url, of_before.service_urls)
        rows = connection.execute("SELECT id, amount, free, held FROM lot ORDER BY sequence").fetchall()
        assert [tuple(row.values()) for row in rows] == [
            (first.id, 10, 7, 0),
            (second.id, 20, 5, 0),
            (third.id, 3, 3, 0),
        ]
        assert debt_of(connection, household) == 0
        taken = connection.execute("SELECT lot_id, amount FROM allocation WHERE cause_id = %s", [spent.id]).fetchall()
        assert {row["lot_id"]: row["amount"] for row in taken} == {first.id: -10, second.id: -5}


def test_mergers_from_before_are_told_with_the_household_that_stood_then(of_before: TestDatabase) -> None:
    past, (poor, owing, rich, last) = Past(), [new_id() for _ in range(4)]
    award = past.award(owing, 10)
    past.spend(owing, 10)
    past.reverse(award, 10)
    past.award(rich, 7)
    past.award(poor, 3)
    past.spend(poor, 3)
    past.merge(poor, owing)  # nothing on it: no transfer
    past.merge(owing, rich)
    past.award(rich, 6)
    past.merge(rich, last)
    before = list(past.book.changes.mergers)
    with connect(of_before) as connection:
        past.write(connection)
        migrate(of_before.admin_url, of_before.service_urls)
        rows = connection.execute("SELECT * FROM merger ORDER BY sequence").fetchall()
    told = ("sequence", "old_account_id", "new_account_id", "transfer_id", "reference")
    assert [[row[name] for name in told] for row in rows] == [
        [getattr(merger, name) for name in told] for merger in before
    ]
    assert all(row["merged_at"] == LONG_AGO and row["ledger"] == "civic" for row in rows)


def act(past: Past, chance: random.Random, households: list[UUID]) -> None:
    """Something that may have happened."""
    standing_ones = [household for household in households if household not in past.merged]
    amount = chance.randint(1, 30)
    match chance.choice(["award", "award", "spend", "spend", "pay", "reverse", "reverse", "merge"]):
        case "award":
            past.award(chance.choice(households), amount)
        case "spend":
            past.spend(chance.choice(households), amount)
        case "pay":
            debit, credit = (household_wallet(chance.choice(households)) for _ in range(2))
            past.transfer(debit, credit, amount, TransferCode.ACTIVITY)
        case "reverse" if past.transfers:
            past.reverse(chance.choice(past.transfers), amount)
        case "merge" if len(standing_ones) > 2 and chance.random() < 0.2:
            old, new = chance.sample(standing_ones, 2)
            past.merge(old, new)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happened_before_the_lots_are_those_of_a_wallet_that_always_kept_them(
    of_before: TestDatabase, seed: int
) -> None:
    chance, past = random.Random(seed), Past()
    households = [uuid5(UUID(int=seed), str(number)) for number in range(12)]
    past.state.at = datetime(2026, 1, 5, tzinfo=UTC)
    for _ in range(600):
        past.state.at += timedelta(hours=16)  # the year ends meanwhile
        try:
            act(past, chance, households)
        except DomainError:
            continue
    changes = past.book.changes
    with connect(of_before) as connection:
        past.write(connection)
        migrate(of_before.admin_url, of_before.service_urls)
        rows = connection.execute("SELECT id, sequence, expires_at, amount, free, held FROM lot").fetchall()
        assert {row["id"]: tuple(row.values())[1:] for row in rows} == {
            lot.id: (lot.sequence, lot.expires_at, lot.amount, lot.free, lot.held) for lot in changes.lots.values()
        }
        owners = connection.execute("SELECT id, account_id FROM lot WHERE free > 0").fetchall()
        assert {row["id"]: row["account_id"] for row in owners} == {
            lot.id: lot.account_id for lot in changes.lots.values() if lot.free
        }
        accounts = connection.execute("SELECT id, balance, debt, held FROM account WHERE ledger = 'civic'").fetchall()
        assert {row["id"]: tuple(row.values())[1:] for row in accounts} == {
            account.id: (account.balance, account.debt, account.held) for account in changes.accounts.values()
        }
        mergers = connection.execute("SELECT id, old_account_id FROM merger").fetchall()
        ours = {row["id"]: row["old_account_id"] for row in mergers}
        told = {merger.id: merger.old_account_id for merger in changes.mergers}
        allocations = connection.execute("SELECT cause_id, lot_id, amount FROM allocation").fetchall()
        assert {(ours.get(row["cause_id"], row["cause_id"]), row["lot_id"], row["amount"]) for row in allocations} == {
            (told.get(cause, cause), lot_id, amount) for cause, lot_id, amount in changes.allocations
        }
