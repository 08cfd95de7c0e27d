"""A ledger in memory, with short words for what tests ask of it, and what must be true of it whatever that was."""

import copy
import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chassis.core.errors import DomainError
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import (
    AccountRef,
    Award,
    CapKey,
    Command,
    Merge,
    PostHold,
    Reserve,
    Reverse,
    Transfer,
)
from services.points.ledger.core.state import AccountState, Changes, LedgerState, NewTransfer, Result, State
from services.points.ledger.terms import (
    AccountKey,
    HoldState,
    TransferCode,
    coupon_liability,
    expired,
    household_wallet,
)
from services.points.terms import LedgerName, OwnerKind

SPRING = datetime(2026, 3, 2, 4, tzinfo=UTC)
NEXT_SPRING = datetime(2027, 3, 2, 4, tzinfo=UTC)
TOO_LATE = datetime(2027, 12, 31, 16, tzinfo=UTC)
"""Midnight in Beijing: what was posted in 2026 cannot be spent any more."""

LI, WANG, ZHAO = (household_wallet(UUID(int=number)) for number in (1, 2, 3))
NURSE, CLERK = (AccountKey(LedgerName.STAFF, OwnerKind.PERSON, UUID(int=number)) for number in (4, 5))
COUPONS = coupon_liability()
EXPIRED = expired(LedgerName.CIVIC)
CAP = CapKey("volunteer.hour", "person", UUID(int=6), "2026-03-02")


def new_state() -> State:
    ids = itertools.count(1000)
    ledgers = {name: LedgerState(name, 0, SPRING) for name in LedgerName}
    return State(at=SPRING, new_id=lambda: UUID(int=next(ids)), ledgers=ledgers)


class Ledger:
    """A book with short words for what tests ask of it."""

    def __init__(self) -> None:
        self.book = Book(new_state())
        self.state = self.book.state
        self.numbers = itertools.count(1)

    def reference(self) -> str:
        return f"test/{next(self.numbers)}"

    def ask(self, command: Command) -> Result:
        result = self.book.apply(command)
        check(self.state)
        return result

    def refuses(self, error: type[DomainError], *commands: Command) -> None:
        """The commands together are refused, and nothing has changed."""
        before = copy.deepcopy(self.state)
        with pytest.raises(error) as refusal:
            self._ask_together(commands)
        assert type(refusal.value) is error
        assert self.state == before

    def _ask_together(self, commands: Sequence[Command]) -> None:
        with self.book.together():
            for command in commands:
                self.book.apply(command)

    def move(self, debit: AccountRef, credit: AccountRef, amount: int) -> Transfer:
        return Transfer(debit, credit, amount, TransferCode.REDEMPTION, self.reference(), self.state.at)

    def spend(self, wallet: AccountKey, amount: int) -> NewTransfer:
        return posted(self.ask(self.move(wallet, COUPONS, amount)))

    def earn(self, wallet: AccountKey, points: int) -> NewTransfer:
        return posted(self.ask(Award(wallet, points, ("volunteer.hour", 1), self.reference(), self.state.at)))

    def reserve(self, wallet: AccountRef, amount: int, credit: AccountRef = COUPONS, days: int = 1000) -> Reserve:
        lapses_at = self.state.at + timedelta(days=days)
        return Reserve(wallet, credit, amount, TransferCode.ACTIVITY, self.reference(), self.state.at, lapses_at)

    def hold(self, wallet: AccountKey, amount: int, days: int = 1000) -> UUID:
        hold = self.ask(self.reserve(wallet, amount, days=days)).hold
        assert hold
        return hold.id

    def post(self, hold: UUID, amount: int | None = None) -> PostHold:
        return PostHold(hold, self.state.at, amount)

    def reverse(self, transfer: NewTransfer, amount: int | None = None) -> Reverse:
        return Reverse(transfer.id, self.reference(), self.state.at, amount)

    def merge(self, old: AccountKey, new: AccountKey) -> Merge:
        return Merge(old, new, self.reference(), self.state.at)

    def of(self, key: AccountKey) -> AccountState:
        return self.state.accounts[key.id]

    def purse(self, key: AccountKey) -> tuple[int, int, int]:
        """Balance, held, debt."""
        account = self.of(key)
        return account.balance, account.held, account.debt

    def lot(self, transfer: NewTransfer) -> tuple[int, int]:
        """Free, held."""
        lot = self.state.lots[transfer.id]
        return lot.free, lot.held

    @property
    def transfers(self) -> list[NewTransfer]:
        return self.book.changes.transfers

    def allocated(self, cause: UUID) -> dict[UUID, int]:
        return {lot: amount for found, lot, amount in self.book.changes.allocations if found == cause}


def posted(result: Result) -> NewTransfer:
    assert result.transfer
    return result.transfer


def check(state: State) -> None:
    """What is true of a ledger after every command."""
    balance, free, held = defaultdict[LedgerName, int](int), defaultdict[UUID, int](int), defaultdict[UUID, int](int)
    reserved = defaultdict[UUID, int](int)
    for lot in state.lots.values():
        assert min(lot.free, lot.held) >= 0
        assert lot.amount >= max(1, lot.free + lot.held)
        free[lot.account_id] += lot.free
        held[lot.account_id] += lot.held
    for hold in state.holds.values():
        if hold.state is HoldState.OPEN:
            reserved[hold.debit_account_id] += hold.amount
    for account in state.accounts.values():
        balance[account.ledger] += account.balance
        assert account.held == reserved[account.id] >= 0
        assert account.debt >= 0
        if account.keeps_lots:
            assert account.balance == free[account.id] + held[account.id] - account.debt
            assert account.held == held[account.id]
            assert not (account.debt and free[account.id])
        else:
            assert account.debt == free[account.id] == held[account.id] == 0
        if account.merged_into_id:
            assert (account.balance, account.held, account.debt) == (0, 0, 0)
            assert state.accounts[account.merged_into_id].merged_into_id is None
    assert not any(balance.values())


def check_rows(changes: Changes, state: State) -> None:
    """What is true of the rows that make a ledger, from the first on: they tell all that the state is."""
    versions, balances = defaultdict[UUID, int](int), defaultdict[UUID, int](int)
    last, numbers = defaultdict[LedgerName, int](int), defaultdict[LedgerName, datetime](lambda: SPRING)
    for transfer in changes.transfers:
        last[transfer.ledger] += 1
        assert transfer.sequence == last[transfer.ledger]
        assert transfer.posted_at >= numbers[transfer.ledger]
        numbers[transfer.ledger] = transfer.posted_at
        for account, amount, version, balance in (
            (transfer.debit_account_id, -transfer.amount, transfer.debit_version, transfer.debit_balance),
            (transfer.credit_account_id, transfer.amount, transfer.credit_version, transfer.credit_balance),
        ):
            versions[account] += 1
            balances[account] += amount
            assert (version, balance) == (versions[account], balances[account])
    assert {a.id: (a.version, a.balance) for a in state.accounts.values()} == {
        id_: (versions[id_], balances[id_]) for id_ in state.accounts
    }
    assert {ledger.name: ledger.last_sequence for ledger in state.ledgers.values() if ledger.last_sequence} == last
    references = [transfer.reference for transfer in changes.transfers]
    assert len(set(references)) == len(references)
    causes = [(cause, lot) for cause, lot, _ in changes.allocations]
    assert len(set(causes)) == len(causes)
    left = {lot.id: lot.amount for lot in state.lots.values()}
    for _, lot_id, amount in changes.allocations:
        assert amount
        left[lot_id] += amount
    assert left == {lot.id: lot.free + lot.held for lot in state.lots.values()}
    for past in state.transfers.values():
        back = sum(row.amount for row in changes.transfers if row.reverses_id == past.id)
        assert back == past.reversed <= past.amount
    assert (changes.accounts, changes.lots, changes.holds) == (state.accounts, state.lots, state.holds)
    assert (changes.new_accounts, changes.new_lots) == (set(state.accounts), set(state.lots))
