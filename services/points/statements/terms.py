"""What is looked for in statements, and what is found: an account at a moment, and its lines."""

from dataclasses import dataclass
from uuid import UUID

from services.points.awards.terms import SubjectKind
from services.points.coupons.terms import CouponRef
from services.points.ledger.tables import Account, Transfer
from services.points.ledger.terms import TransferCode
from services.points.statements import rules


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as it was at a moment. `overdue` is what of it had expired and was not swept yet."""

    account: Account
    balance: int
    held: int
    overdue: int
    version: int

    @property
    def debt(self) -> int:
        """What it owed."""
        return rules.debt_of(rules.key_of(self.account).keeps_lots, self.balance, self.held)

    @property
    def available(self) -> int:
        """What could be spent."""
        return self.balance - self.held - self.overdue


@dataclass(frozen=True, slots=True)
class Range:
    """Which of a ledger's numbers: from `first` to before `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Which:
    """Which entries of an account are looked for; none of the conditions is all."""

    code: TransferCode | None = None
    reference: str | None = None
    fact: UUID | None = None


EVERYTHING = Range(0, 2**62)


@dataclass(frozen=True, slots=True)
class Subject:
    """What points were awarded for: an order and its number, or an activity (not the attendance) and its title."""

    kind: SubjectKind
    id: UUID
    label: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement. `amount` is signed; `balance` and `version` are the account's after it.

    `lot` is the transfer whose points expired, or came back from that; `merged` the account that joined this one, or
    that this one joined; `reason` what was said where points were moved by hand.
    """

    account_id: UUID
    transfer: Transfer
    amount: int
    balance: int
    version: int
    subject: Subject | None
    fact_id: UUID | None
    coupon: CouponRef | None
    withheld: int
    lot: UUID | None
    merged: UUID | None
    reason: str | None
