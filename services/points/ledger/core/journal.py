"""A state under change: whatever changes it through the journal can be undone, exactly and in one step.

The journal is a list of entries, each how to undo one change: a function and its arguments. What stands in it in the
end says which rows are to be written, too.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from services.points.ledger.core.commands import CapKey
from services.points.ledger.core.state import (
    AccountState,
    Changes,
    HoldStateRow,
    LedgerState,
    LotState,
    NewMerger,
    NewTransfer,
    PastTransfer,
    State,
)
from services.points.terms import LedgerName

Entry = tuple[Any, ...]
Shelf = list[LotState]
"""The lots of one account with anything free, in the order in which they are spent."""


class Journal:
    """Whoever changes an object of the state calls its `edit_…` first; what is new is put in by the others."""

    __slots__ = ("_entries", "_shelves", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self._entries: list[Entry] = []
        self._shelves = _shelves_of(state)

    def mark(self) -> int:
        """How many changes there are."""
        return len(self._entries)

    def undo_to(self, mark: int) -> None:
        """Undo the latest changes until only `mark` of them are left."""
        entries = self._entries
        while len(entries) > mark:
            undo, *arguments = entries.pop()
            undo(*arguments)

    def changes(self) -> Changes:
        """The rows to write for all that stands."""
        changes = Changes()
        for undo, *arguments in self._entries:
            row = ROWS.get(undo)
            if row is not None:
                row(changes, *arguments)
        return changes

    def moment(self, ledger: LedgerName) -> datetime:
        """When this happens in a ledger: never before what was posted last, whatever a machine's clock says."""
        at, last = self.state.at, self.state.ledgers[ledger].last_posted_at
        return at if at > last else last

    def edit_account(self, account: AccountState) -> None:
        """Before what it holds or owes changes, or it is merged. (Balance and version go with `add_transfer`.)"""
        self._entries.append((_reset_account, account, account.held, account.debt, account.merged_into_id))

    def edit_lot(self, lot: LotState) -> None:
        """Before a lot changes."""
        self._entries.append((_reset_lot, lot, lot.account_id, lot.free, lot.held))

    def edit_hold(self, hold: HoldStateRow) -> None:
        """Before a hold changes."""
        old = (hold.debit_account_id, hold.state, hold.closed_at, hold.posted_amount)
        self._entries.append((_reset_hold, hold, *old))

    def edit_past(self, past: PastTransfer) -> None:
        """Before it changes what is left of a transfer. (It has no row of its own.)"""
        self._entries.append((_reset_past, past, past.reversed, dict(past.taken), dict(past.expiries)))

    def add_account(self, account: AccountState) -> None:
        """One that was opened."""
        self.state.accounts[account.id] = account
        self._entries.append((_drop_account, self.state, account))

    def add_transfer(
        self,
        transfer: NewTransfer,
        past: PastTransfer,
        ledger: LedgerState,
        debit: AccountState,
        credit: AccountState,
    ) -> None:
        """One that takes the ledger's next number, and leaves its two accounts as it says."""
        state = self.state
        self._entries.append((_drop_transfer, state, transfer, ledger, ledger.last_posted_at, debit, credit))
        ledger.last_sequence, ledger.last_posted_at = transfer.sequence, transfer.posted_at
        debit.balance, debit.version = transfer.debit_balance, transfer.debit_version
        credit.balance, credit.version = transfer.credit_balance, transfer.credit_version
        state.transfers[transfer.id] = past
        state.references.add(transfer.reference)

    def add_lot(self, lot: LotState) -> None:
        """One that a credit made, free as a whole."""
        shelf = self.shelf(lot.account_id)
        self.state.lots[lot.id] = lot
        self._entries.append((_drop_lot, self.state, shelf, lot))
        _place(shelf, lot)

    def add_hold(self, hold: HoldStateRow) -> None:
        """One that was made."""
        self.state.holds[hold.id] = hold
        self.state.hold_references.add(hold.reference)
        self._entries.append((_drop_hold, self.state, hold))

    def add_merger(self, merger: NewMerger) -> None:
        """One whose reference is used, by its transfer or, where it has none, from now on."""
        self._entries.append((_drop_merger, self.state, merger))
        self.state.references.add(merger.reference)

    def allocate(self, cause_id: UUID, lot_id: UUID, amount: int) -> None:
        """What a cause takes from a lot (negative) or gives back to it; once for each two of them."""
        self._entries.append((_drop_allocation, cause_id, lot_id, amount))

    def set_cap(self, cap: CapKey, used: int) -> None:
        """How much of a cap is gone."""
        self._entries.append((_reset_cap, self.state, cap, self.state.caps.get(cap)))
        self.state.caps[cap] = used

    def shelf(self, account_id: UUID) -> Shelf:
        """What an account can spend. Changed by the journal alone: `add_lot`, `place`, `remove`, `join_shelves`."""
        shelf = self._shelves.get(account_id)
        if shelf is None:
            shelf = self._shelves[account_id] = []
        return shelf

    def place(self, lot: LotState) -> None:
        """Put a lot of which something is free again where it will be spent."""
        shelf = self.shelf(lot.account_id)
        self._entries.append((_remove, shelf, lot))
        _place(shelf, lot)

    def remove(self, shelf: Shelf, lot: LotState) -> None:
        """Take a lot from its account's shelf, nothing of it being free any more."""
        self._entries.append((_place, shelf, lot))
        _remove(shelf, lot)

    def join_shelves(self, old_id: UUID, new_id: UUID) -> None:
        """What the one account could spend is the other's from now on."""
        old, new = self.shelf(old_id), self.shelf(new_id)
        self._entries.append((_reset_shelves, self._shelves, old_id, old, new_id, new))
        self._shelves[new_id] = sorted(old + new, key=spending_order)
        self._shelves[old_id] = []


def spending_order(lot: LotState) -> tuple[datetime, int]:
    """The first to expire first; of those that expire together, the oldest."""
    return lot.expires_at, lot.sequence


def _shelves_of(state: State) -> dict[UUID, Shelf]:
    shelves: dict[UUID, Shelf] = {}
    for lot in state.lots.values():
        if lot.free:
            shelves.setdefault(lot.account_id, []).append(lot)
    for shelf in shelves.values():
        shelf.sort(key=spending_order)
    return shelves


def _place(shelf: Shelf, lot: LotState) -> None:
    if not shelf or spending_order(shelf[-1]) < spending_order(lot):
        shelf.append(lot)
    else:
        insort(shelf, lot, key=spending_order)


def _remove(shelf: Shelf, lot: LotState) -> None:
    index = 0 if shelf[0] is lot else bisect_left(shelf, spending_order(lot), key=spending_order)
    assert shelf[index] is lot, "a lot with anything free is on its account's shelf"
    del shelf[index]


def _reset_shelves(shelves: dict[UUID, Shelf], old_id: UUID, old: Shelf, new_id: UUID, new: Shelf) -> None:
    shelves[old_id], shelves[new_id] = old, new


def _reset_account(account: AccountState, held: int, debt: int, merged_into_id: UUID | None) -> None:
    account.held, account.debt, account.merged_into_id = held, debt, merged_into_id


def _reset_lot(lot: LotState, account_id: UUID, free: int, held: int) -> None:
    lot.account_id, lot.free, lot.held = account_id, free, held


def _reset_hold(hold: HoldStateRow, *old: Any) -> None:
    hold.debit_account_id, hold.state, hold.closed_at, hold.posted_amount = old


def _reset_past(past: PastTransfer, amount: int, taken: dict[UUID, int], expiries: dict[UUID, int]) -> None:
    past.reversed, past.taken, past.expiries = amount, taken, expiries


def _reset_cap(state: State, cap: CapKey, used: int | None) -> None:
    if used is None:
        del state.caps[cap]
    else:
        state.caps[cap] = used


def _drop_account(state: State, account: AccountState) -> None:
    del state.accounts[account.id]


def _drop_transfer(
    state: State,
    transfer: NewTransfer,
    ledger: LedgerState,
    last_posted_at: datetime,
    debit: AccountState,
    credit: AccountState,
) -> None:
    ledger.last_sequence -= 1
    ledger.last_posted_at = last_posted_at
    debit.balance += transfer.amount
    debit.version -= 1
    credit.balance -= transfer.amount
    credit.version -= 1
    del state.transfers[transfer.id]
    state.references.remove(transfer.reference)


def _drop_lot(state: State, shelf: Shelf, lot: LotState) -> None:
    _remove(shelf, lot)
    del state.lots[lot.id]


def _drop_hold(state: State, hold: HoldStateRow) -> None:
    del state.holds[hold.id]
    state.hold_references.remove(hold.reference)


def _drop_merger(state: State, merger: NewMerger) -> None:
    if merger.transfer_id is None:
        state.references.remove(merger.reference)


def _drop_allocation(cause_id: UUID, lot_id: UUID, amount: int) -> None:
    """The entry itself was all there was of it."""


def _account_row(changes: Changes, account: AccountState, *_: object) -> None:
    changes.accounts[account.id] = account


def _lot_row(changes: Changes, lot: LotState, *_: object) -> None:
    changes.lots[lot.id] = lot


def _hold_row(changes: Changes, hold: HoldStateRow, *_: object) -> None:
    changes.holds[hold.id] = hold


def _cap_row(changes: Changes, state: State, cap: CapKey, _: object) -> None:
    changes.caps[cap] = state.caps[cap]


def _new_account_row(changes: Changes, _: State, account: AccountState) -> None:
    changes.accounts[account.id] = account
    changes.new_accounts.add(account.id)


def _transfer_rows(
    changes: Changes,
    _state: State,
    transfer: NewTransfer,
    ledger: LedgerState,
    _at: datetime,
    debit: AccountState,
    credit: AccountState,
) -> None:
    changes.transfers.append(transfer)
    changes.ledgers[ledger.name] = ledger
    changes.accounts[debit.id] = debit
    changes.accounts[credit.id] = credit


def _new_lot_row(changes: Changes, _state: State, _shelf: Shelf, lot: LotState) -> None:
    changes.lots[lot.id] = lot
    changes.new_lots.add(lot.id)


def _new_hold_row(changes: Changes, _: State, hold: HoldStateRow) -> None:
    changes.holds[hold.id] = hold
    changes.new_holds.add(hold.id)


def _merger_row(changes: Changes, _: State, merger: NewMerger) -> None:
    changes.mergers.append(merger)


def _allocation_row(changes: Changes, cause_id: UUID, lot_id: UUID, amount: int) -> None:
    changes.allocations.append((cause_id, lot_id, amount))


ROWS: dict[Callable[..., None], Callable[..., None]] = {
    _reset_account: _account_row,
    _reset_lot: _lot_row,
    _reset_hold: _hold_row,
    _reset_cap: _cap_row,
    _drop_account: _new_account_row,
    _drop_transfer: _transfer_rows,
    _drop_lot: _new_lot_row,
    _drop_hold: _new_hold_row,
    _drop_merger: _merger_row,
    _drop_allocation: _allocation_row,
}
"""What is to be written for an entry, by how it would be undone."""
