"""What a batch touches of a ledger, in memory: what the shell loads, what the core changes, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.points.ledger.core.commands import CapKey
from services.points.ledger.terms import AccountKey, HoldState, Purpose, TransferCode
from services.points.terms import LedgerName, OwnerKind

CIVIC, WALLET = LedgerName.CIVIC, Purpose.WALLET  # looked up once: an enum's members are slow to reach


@dataclass(slots=True)
class LedgerState:
    """A ledger's row."""

    name: LedgerName
    last_sequence: int
    last_posted_at: datetime


@dataclass(slots=True)
class AccountState:
    """An account's row. Where it keeps lots, balance = what these have left - debt."""

    id: UUID
    ledger: LedgerName
    owner_kind: OwnerKind
    owner_id: UUID
    purpose: Purpose
    floor: int | None
    balance: int
    held: int
    debt: int
    version: int
    opened_at: datetime
    merged_into_id: UUID | None

    @property
    def available(self) -> int:
        """What can be spent (once what is due has expired)."""
        return self.balance - self.held

    @property
    def keeps_lots(self) -> bool:
        """Whether its points expire (`AccountKey.keeps_lots`)."""
        return self.ledger is CIVIC and self.purpose is WALLET

    @property
    def key(self) -> AccountKey:
        """What it is."""
        return AccountKey(self.ledger, self.owner_kind, self.owner_id, self.purpose)


@dataclass(slots=True)
class LotState:
    """A lot's row."""

    id: UUID
    sequence: int
    account_id: UUID
    expires_at: datetime
    amount: int
    free: int
    held: int


@dataclass(slots=True)
class HoldStateRow:
    """A hold's row, and what it allocated: (lot, amount), the first to expire first."""

    id: UUID
    ledger: LedgerName
    debit_account_id: UUID
    credit_account_id: UUID
    amount: int
    code: TransferCode
    reference: str
    occurred_at: datetime
    held_at: datetime
    lapses_at: datetime
    state: HoldState
    closed_at: datetime | None
    posted_amount: int | None
    lots: tuple[tuple[UUID, int], ...]


@dataclass(slots=True)
class PastTransfer:
    """A transfer that was posted before the batch, with what its reversal needs.

    `reversed` is how much of it was taken back so far. `taken` is what it took from lots less what its reversals gave
    back to them, as far as that is above zero; the lot that it made is among the batch's lots under its id. `expiries`
    are the transfers that took from that lot at its expiry (id, amount not yet taken back), in the order of their
    numbers.
    """

    id: UUID
    ledger: LedgerName
    debit_account_id: UUID
    credit_account_id: UUID
    amount: int
    code: TransferCode
    rule: tuple[str, int] | None
    reversed: int
    taken: dict[UUID, int]
    expiries: dict[UUID, int]


class NewTransfer(NamedTuple):
    """A transfer's row, as `tables.Transfer` has it."""

    id: UUID
    ledger: LedgerName
    sequence: int
    debit_account_id: UUID
    debit_version: int
    debit_balance: int
    credit_account_id: UUID
    credit_version: int
    credit_balance: int
    amount: int
    code: TransferCode
    reference: str
    occurred_at: datetime
    posted_at: datetime
    rule: tuple[str, int] | None
    reverses_id: UUID | None
    hold_id: UUID | None
    text_hash: bytes | None


@dataclass(slots=True, frozen=True)
class NewMerger:
    """A merger's row, as `tables.Merger` has it."""

    id: UUID
    ledger: LedgerName
    sequence: int
    old_account_id: UUID
    new_account_id: UUID
    transfer_id: UUID | None
    reference: str
    occurred_at: datetime
    merged_at: datetime


@dataclass(slots=True)
class State:
    """Everything that a batch's commands may touch, as it is under the ledgers' locks.

    What is not here does not exist: whoever loads it loads all accounts that the commands name and those that they were
    merged into, the system accounts of expiry, the lots with anything left of every wallet that may be debited,
    the lots and holds that commands name, and those of the references that were used before.
    """

    at: datetime
    new_id: Callable[[], UUID]
    ledgers: dict[LedgerName, LedgerState] = field(default_factory=dict)
    accounts: dict[UUID, AccountState] = field(default_factory=dict)
    lots: dict[UUID, LotState] = field(default_factory=dict)
    holds: dict[UUID, HoldStateRow] = field(default_factory=dict)
    transfers: dict[UUID, PastTransfer] = field(default_factory=dict)
    references: set[str] = field(default_factory=set)
    """Of transfers and mergers."""
    hold_references: set[str] = field(default_factory=set)
    """Of holds: a namespace of their own."""
    caps: dict[CapKey, int] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """The rows to write. Of accounts, lots, holds and caps, the present state of each that was opened or changed."""

    ledgers: dict[LedgerName, LedgerState] = field(default_factory=dict)
    accounts: dict[UUID, AccountState] = field(default_factory=dict)
    transfers: list[NewTransfer] = field(default_factory=list)
    lots: dict[UUID, LotState] = field(default_factory=dict)
    allocations: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(cause, lot, amount), as `tables.Allocation`."""
    holds: dict[UUID, HoldStateRow] = field(default_factory=dict)
    mergers: list[NewMerger] = field(default_factory=list)
    caps: dict[CapKey, int] = field(default_factory=dict)
    new_accounts: set[UUID] = field(default_factory=set)
    new_lots: set[UUID] = field(default_factory=set)
    new_holds: set[UUID] = field(default_factory=set)
    """Which of them are to be inserted; the others are updated."""


class Side(NamedTuple):
    """An account after a command."""

    account_id: UUID
    balance: int
    available: int
    version: int


class Result(NamedTuple):
    """What became of a command that succeeded.

    `transfer` is the one that was asked for; None where there was nothing to move. `granted` is an award's points (what
    a cap left of them), or what was taken back. `debit` and `credit` are its accounts afterwards.
    """

    transfer: NewTransfer | None = None
    hold: HoldStateRow | None = None
    merger: NewMerger | None = None
    granted: int = 0
    debit: Side | None = None
    credit: Side | None = None
