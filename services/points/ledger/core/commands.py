"""What may be asked of the ledger. Each command succeeds whole or changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.points.ledger.terms import AccountKey, TransferCode

AccountRef = AccountKey | UUID
"""An account by what it is (it is opened where it is new) or by its id (it must be there)."""


@dataclass(frozen=True, slots=True)
class CapKey:
    """Whose awards of a rule count together, and when: one row of `cap_use`."""

    rule_code: str
    scope: str
    holder_id: UUID
    period: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` points from `debit` to `credit`, which is spending where the debit account is a wallet."""

    debit: AccountRef
    credit: AccountRef
    amount: int
    code: TransferCode
    reference: str
    occurred_at: datetime
    rule: tuple[str, int] | None = None
    text_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold `amount` points of `debit` for `credit` until `lapses_at` (later than the batch's moment)."""

    debit: AccountRef
    credit: AccountRef
    amount: int
    code: TransferCode
    reference: str
    occurred_at: datetime
    lapses_at: datetime


@dataclass(frozen=True, slots=True)
class PostHold:
    """Post `amount` of a hold (all of it, where it is None) and release the rest."""

    hold_id: UUID
    occurred_at: datetime
    amount: int | None = None
    text_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class VoidHold:
    """Give back all that a hold keeps."""

    hold_id: UUID


@dataclass(frozen=True, slots=True)
class LapseHold:
    """The same once its time is over; nothing where it is not, or the hold is closed already."""

    hold_id: UUID


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take `amount` of a transfer back (all that is left of it, where it is None), by a transfer that points at it."""

    transfer_id: UUID
    reference: str
    occurred_at: datetime
    amount: int | None = None
    text_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class ExpireLot:
    """What is free of a lot goes to the expired account; nothing where it is not due, or nothing is left."""

    lot_id: UUID


@dataclass(frozen=True, slots=True)
class Merge:
    """All there is on one account moves to another, which takes its place: lots, holds and debts too."""

    old: AccountKey
    new: AccountKey
    reference: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Award:
    """Grant `due` points to a wallet as far as the cap leaves room: all, a part, or none."""

    wallet: AccountKey
    due: int
    rule: tuple[str, int]
    reference: str
    occurred_at: datetime
    cap: tuple[CapKey, int] | None = None
    """Whose cap, and how much it is."""
    beside: tuple[CapKey, ...] = ()
    """What else counts towards that: the caps of households that are one with this one by now."""


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Reverse what is left of an award's transfer (None where a cap had left nothing), and make room in its cap."""

    transfer_id: UUID | None
    granted: int
    reference: str
    occurred_at: datetime
    cap: CapKey | None = None


Command = Transfer | Reserve | PostHold | VoidHold | LapseHold | Reverse | ExpireLot | Merge | Award | TakeBack


@dataclass(frozen=True, slots=True)
class Linked:
    """Commands that succeed or fail together, in this order."""

    commands: tuple[Command, ...]
