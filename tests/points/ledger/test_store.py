"""The ledger's rows: the database has what the core says, whatever of it a batch had loaded, and under any race."""

import asyncio
import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chassis.core import clock
from chassis.core.db import is_contention
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.ledger import loading, rows
from services.points.ledger.actions import Posting, carry_out, post
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import (
    Award,
    CapKey,
    Command,
    ExpireLot,
    LapseHold,
    Linked,
    Merge,
    PostHold,
    Reserve,
    Reverse,
    TakeBack,
    Transfer,
    VoidHold,
)
from services.points.ledger.core.state import LedgerState, Result, State
from services.points.ledger.errors import ReferenceUsed
from services.points.ledger.queries import lock_ledgers
from services.points.ledger.terms import AccountKey, TransferCode, coupon_liability, household_wallet, issuance
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points

CIVIC, STAFF = LedgerName.CIVIC, LedgerName.STAFF
VERBS = [
    *("award", "award", "give", "spend", "spend", "pay", "hold", "hold", "close", "close", "back", "take", "expire"),
    "merge",
]
START = datetime(2026, 3, 1, tzinfo=UTC)


def numbered(start: int) -> Callable[[], UUID]:
    """Ids one after the other, the same in two places."""
    numbers = itertools.count(start)
    return lambda: UUID(int=next(numbers))


class Chance:
    """Commands that may follow on what happened so far, in a town of few wallets."""

    def __init__(self, seed: int, book: Book) -> None:
        self.random, self.book = random.Random(seed), book
        families = [household_wallet(UUID(int=number)) for number in range(1, 7)]
        people = [AccountKey(STAFF, OwnerKind.PERSON, UUID(int=number)) for number in range(1, 4)]
        self.wallets = {CIVIC: families, STAFF: people}
        self.numbers = itertools.count()

    def commands(self, at: datetime) -> list[Command | Linked]:
        """A batch: usually a few, at times many, some of them linked."""
        size = self.random.choice([1, 1, 2, 3, 8, 30])
        batch = [self.command(at) for _ in range(size)]
        return [Linked((one, self.command(at))) if self.random.random() < 0.1 else one for one in batch]

    def command(self, at: datetime) -> Command:
        ledger = self.random.choice([CIVIC, CIVIC, CIVIC, STAFF])
        wallet, other = (self.random.choice(self.wallets[ledger]) for _ in range(2))
        amount, name = self.random.randint(1, 25), f"test/{next(self.numbers)}"
        code, state = TransferCode.ACTIVITY, self.book.state
        match self.random.choice(VERBS):
            case "award":
                cap = CapKey("volunteer.hour", "household", wallet.owner_id, f"{at.date()}")
                return Award(wallet, amount, ("volunteer.hour", 1), name, at, cap=(cap, 40))
            case "give":
                return Transfer(issuance(ledger), wallet, amount, TransferCode.ADJUSTMENT, name, at)
            case "spend":
                return Transfer(wallet.id, coupon_liability(), amount, TransferCode.REDEMPTION, name, at)
            case "pay":
                return Transfer(wallet, other, amount, code, name, at)
            case "hold":
                return Reserve(wallet, issuance(ledger), amount, code, name, at, at + timedelta(days=amount * 9))
            case "close" if state.holds:
                hold = self.random.choice(list(state.holds))
                part = self.random.choice([None, amount])
                closings: list[Command] = [PostHold(hold, at, part), VoidHold(hold), LapseHold(hold)]
                return self.random.choice(closings)
            case "back" if state.transfers:
                return Reverse(self.random.choice(list(state.transfers)), name, at, self.random.choice([None, amount]))
            case "take" if state.transfers:
                return TakeBack(self.random.choice(list(state.transfers)), amount, name, at)
            case "merge" if self.random.random() < 0.15:
                return Merge(wallet, other, name, at)
        lots = list(state.lots) or [UUID(int=0)]
        return ExpireLot(self.random.choice(lots))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_of_the_ledger_a_batch_loads_the_rows_are_those_of_a_core_that_had_seen_it_all(
    own_points: Points, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "new_id", numbered(10**9))
    monkeypatch.setattr(rows, "FEW", 20)  # small batches are inserted, large ones copied
    async with own_points.db.transaction() as session:
        ledgers: dict[LedgerName, LedgerState] = await lock_ledgers(session)
    book = Book(State(START, numbered(10**9), ledgers))
    chance, at = Chance(seed, book), START
    succeeded = 0
    for _ in range(60):
        at += timedelta(days=chance.random.choice([0, 1, 8, 60]))
        batch = chance.commands(at)
        book.state.at = at
        expected = [in_memory(book, command) for command in batch]
        with clock.frozen(at):
            async with own_points.db.transaction() as session:
                answers = await carry_out(session, Posting(), batch)
        assert [told(answer) for answer in answers] == [told(answer) for answer in expected]
        succeeded += sum(not isinstance(answer, DomainError) for answer in answers)
    assert succeeded > 100
    await check_tables(own_points, book)
    await own_points.check()


def in_memory(book: Book, command: Command | Linked) -> tuple[Result, ...] | DomainError:
    parts = command.commands if isinstance(command, Linked) else (command,)
    try:
        with book.together():
            return tuple([book.apply(part) for part in parts])
    except DomainError as refusal:
        return refusal


def told(answer: tuple[Result, ...] | DomainError) -> Any:
    return answer.code if isinstance(answer, DomainError) else answer


async def check_tables(points: Points, book: Book) -> None:
    """Every row is there as the core said it, and no other."""
    state, changes = book.state, book.changes
    found = {table: await rows_of(points, table) for table in TABLES}
    assert found["ledger"] == {
        (name.value, row.last_sequence, row.last_posted_at) for name, row in state.ledgers.items()
    }
    assert found["account"] == {
        (row.id, row.balance, row.held, row.debt, row.version, row.opened_at, followed(state, row.merged_into_id))
        for row in state.accounts.values()
    }
    assert found["transfer"] == {(*row[:14], *(row.rule or (None, None)), *row[15:]) for row in changes.transfers}
    assert found["lot"] == {
        (row.id, row.sequence, row.account_id if row.free + row.held else None, row.expires_at, row.amount, row.free)
        for row in state.lots.values()
    }
    assert found["allocation"] == set(changes.allocations)
    assert found["hold"] == {
        (row.id, row.debit_account_id, row.amount, row.lapses_at, row.state.value, row.closed_at, row.posted_amount)
        for row in state.holds.values()
    }
    assert found["hold_lot"] == {(row.id, lot, amount) for row in state.holds.values() for lot, amount in row.lots}
    assert found["merger"] == {tuple(getattr(row, name) for name in MERGER.split(", ")) for row in changes.mergers}
    assert found["cap_use"] == {(cap.rule_code, cap.holder_id, cap.period, used) for cap, used in state.caps.items()}


MERGER = "id, ledger, sequence, old_account_id, new_account_id, transfer_id, reference, occurred_at, merged_at"
TABLES = {
    "ledger": "name, last_sequence, last_posted_at",
    "account": "id, balance, held, debt, version, opened_at, merged_into_id",
    "transfer": "id, ledger, sequence, debit_account_id, debit_version, debit_balance, credit_account_id,"
    " credit_version, credit_balance, amount, code, reference, occurred_at, posted_at, rule_code, rule_version,"
    " reverses_id, hold_id, text_hash",
    "lot": "id, sequence, CASE WHEN live THEN account_id END, expires_at, amount, free",
    "allocation": "cause_id, lot_id, amount",
    "hold": "id, debit_account_id, amount, lapses_at, state, closed_at, posted_amount",
    "hold_lot": "hold_id, lot_id, amount",
    "merger": MERGER,
    "cap_use": "rule_code, holder_id, period, used",
}


async def rows_of(points: Points, table: str) -> set[tuple[Any, ...]]:
    async with points.db.transaction() as session:
        found = await session.execute(text(f"SELECT {TABLES[table]} FROM {table}"))
        return {tuple(row) for row in found}


def followed(state: State, account_id: UUID | None) -> UUID | None:
    while account_id and (into := state.accounts[account_id].merged_into_id):
        account_id = into
    return account_id


async def give(points: Points, wallet: AccountKey, amount: int) -> None:
    async with points.db.transaction() as session:
        await post(
            session, Transfer(issuance(wallet.ledger), wallet, amount, TransferCode.AWARD, f"test/{new_id()}", START)
        )


def spending(wallet: AccountKey, amount: int, reference: str = "") -> Transfer:
    name = reference or f"test/{new_id()}"
    return Transfer(wallet, coupon_liability(), amount, TransferCode.REDEMPTION, name, START)


def holding(wallet: AccountKey, amount: int) -> Reserve:
    lapses_at = clock.now() + timedelta(days=1)
    return Reserve(wallet, coupon_liability(), amount, TransferCode.ACTIVITY, f"test/{new_id()}", START, lapses_at)


def merging(old: AccountKey, new: AccountKey) -> Merge:
    return Merge(old, new, f"test/{new_id()}", START)


async def balance(points: Points, wallet: AccountKey) -> tuple[int, int]:
    async with points.db.transaction() as session:
        row = (await session.execute(text("SELECT balance, held FROM account WHERE id = :id"), {"id": wallet.id})).one()
    return row.balance, row.held


async def carried_out(points: Points, *commands: Command | Linked) -> list[str]:
    async with points.db.transaction() as session:
        answers = await carry_out(session, Posting(), commands)
    return [answer.code if isinstance(answer, DomainError) else "done" for answer in answers]


async def test_of_many_who_spend_and_hold_one_wallet_at_once_as_many_succeed_as_it_pays(points: Points) -> None:
    wallet = household_wallet(new_id())
    await give(points, wallet, 100)
    answers = await asyncio.gather(
        *[carried_out(points, spending(wallet, 7)) for _ in range(12)],
        *[carried_out(points, holding(wallet, 7)) for _ in range(12)],
    )
    assert sorted(itertools.chain(*answers)) == ["done"] * 14 + ["insufficient_points"] * 10
    left, held = await balance(points, wallet)
    assert left - held == 100 - 14 * 7
    await points.check()


async def test_points_that_are_held_are_not_spent(points: Points) -> None:
    wallet = household_wallet(new_id())
    await give(points, wallet, 10)
    assert await carried_out(points, holding(wallet, 6), spending(wallet, 5), spending(wallet, 4)) == [
        *("done", "insufficient_points", "done")
    ]
    assert await balance(points, wallet) == (6, 6)
    await points.check()


async def test_no_credit_is_lost_when_many_credit_one_account_at_once(points: Points) -> None:
    wallet = household_wallet(new_id())
    await asyncio.gather(*[give(points, wallet, 3) for _ in range(20)])
    assert await balance(points, wallet) == (60, 0)
    await points.check()


async def test_a_bad_one_in_a_batch_never_fails_its_neighbours(points: Points) -> None:
    wallet, name = household_wallet(new_id()), f"test/{new_id()}"
    await give(points, wallet, 10)
    assert await carried_out(
        points,
        spending(wallet, 3, name),
        spending(wallet, 1, name),
        spending(wallet, 50),
        Linked((spending(wallet, 2), spending(wallet, 9))),
        Transfer(new_id(), wallet, 1, TransferCode.ADJUSTMENT, f"test/{new_id()}", START),
        spending(wallet, 7),
    ) == ["done", "reference_used", "insufficient_points", "insufficient_points", "account_not_found", "done"]
    assert await balance(points, wallet) == (0, 0)
    with pytest.raises(ReferenceUsed):
        async with points.db.transaction() as session:
            await post(session, spending(wallet, 1, name))
    await points.check()


async def test_what_is_held_goes_all_the_way_that_the_mergers_of_one_batch_lead(points: Points) -> None:
    before, old, new, newest = (household_wallet(new_id()) for _ in range(4))
    await give(points, old, 10)
    assert await carried_out(points, holding(old, 10), merging(before, old)) == ["done"] * 2
    assert await carried_out(points, merging(old, new), merging(new, newest)) == ["done"] * 2
    ids = {"ids": [wallet.id for wallet in (before, old, new, newest)]}
    async with points.db.transaction() as session:
        holders = await session.scalars(
            text("SELECT debit_account_id FROM hold WHERE debit_account_id = ANY(:ids)"), ids
        )
        owners = await session.scalars(text("SELECT account_id FROM lot WHERE live AND account_id = ANY(:ids)"), ids)
        heirs = await session.scalars(text("SELECT merged_into_id FROM account WHERE id = ANY(:ids)"), ids)
        assert (holders.all(), owners.all()) == ([newest.id], [newest.id])
        assert set(heirs) == {newest.id, None}
    await points.check()


async def test_who_meets_a_busy_ledger_is_never_told_that_there_is_not_enough(points: Points) -> None:
    wallet = household_wallet(new_id())
    await give(points, wallet, 10)
    async with points.db.transaction() as elsewhere:
        await lock_ledgers(elsewhere, [CIVIC])
        async with points.db.sessions() as session:
            await session.execute(text("SET LOCAL lock_timeout = 100"))
            with pytest.raises(DBAPIError) as caught:
                await post(session, spending(wallet, 10))
    assert is_contention(caught.value)
    assert await carried_out(points, spending(wallet, 10)) == ["done"]


async def test_a_batch_that_the_database_refuses_leaves_nothing(points: Points) -> None:
    wallet = household_wallet(new_id())
    await give(points, wallet, 10)
    with suppress(RuntimeError):
        async with points.db.transaction() as session:
            await carry_out(session, Posting(), [spending(wallet, 4)])
            raise RuntimeError
    assert await balance(points, wallet) == (10, 0)
    await points.check()


async def test_of_thousands_of_small_lots_only_those_that_are_spent_are_looked_at(own_points: Points) -> None:
    wallet = household_wallet(new_id())
    gifts = [Transfer(issuance(CIVIC), wallet, 1, TransferCode.AWARD, f"test/{n}", START) for n in range(3000)]
    assert set(await carried_out(own_points, *gifts)) == {"done"}
    async with own_points.db.transaction() as session:
        ledgers = await lock_ledgers(session, [CIVIC])
        needs = await Posting().prepare(session, clock.now(), [spending(wallet, 20), spending(wallet, 4)])
        state = await loading.load(session, clock.now(), ledgers, needs)
    assert sorted(lot.sequence for lot in state.lots.values()) == list(range(1, 25))
    assert await carried_out(own_points, spending(wallet, 2990), spending(wallet, 11), spending(wallet, 10)) == [
        *("done", "insufficient_points", "done")
    ]
    await own_points.check()
