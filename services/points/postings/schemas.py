"""What administrators ask for by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, WrapValidator, model_validator

from chassis.core.schema import In, Text
from services.points.ledger.terms import AccountKey, Purpose, TransferCode, expired, issuance
from services.points.postings.terms import MAX_ITEMS, MAX_POINTS, ProposalState
from services.points.terms import LedgerName, OwnerKind

_FIRST, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_OWNER = {LedgerName.CIVIC: OwnerKind.HOUSEHOLD, LedgerName.STAFF: OwnerKind.PERSON}


def _of_our_times(moment: datetime) -> datetime:
    if not _FIRST <= moment < _END:
        raise ValueError("lies outside of 2000 to 2099")
    return moment.astimezone(UTC)


def _without_slash(reference: str) -> str:
    if "/" in reference:
        raise ValueError("may not contain a slash: those that do are the system's own")
    return reference


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_times)]
"""A moment with its time zone."""

Reference = Annotated[str, Text(100), AfterValidator(_without_slash)]
"""What a client calls a transfer, once for ever."""

Points = Annotated[int, Field(strict=True, ge=1, le=MAX_POINTS)]
Reason = Annotated[str, Text(500)]


class AccountName(In):
    """An account by what it is: it is opened by the first points that reach it.

    A civic wallet belongs to a household, a staff wallet to a person. `issuance` (what awards come out of) and
    `expired` belong to the system and have no `owner_id`.
    """

    ledger: LedgerName
    purpose: Literal[Purpose.WALLET, Purpose.ISSUANCE, Purpose.EXPIRED] = Purpose.WALLET
    owner_kind: OwnerKind
    owner_id: UUID | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wallet = self.purpose is Purpose.WALLET
        kind = _OWNER[self.ledger] if wallet else OwnerKind.SYSTEM
        if self.owner_kind is not kind:
            raise ValueError(f"the {self.purpose} account of the {self.ledger} ledger is a {kind}'s (owner_kind)")
        if wallet is (self.owner_id is None):
            raise ValueError("a wallet has an owner_id" if wallet else "the system's accounts have no owner_id")
        return self

    @property
    def key(self) -> AccountKey:
        """The account that is meant."""
        if self.owner_id is None:
            return issuance(self.ledger) if self.purpose is Purpose.ISSUANCE else expired(self.ledger)
        return AccountKey(self.ledger, self.owner_kind, self.owner_id, self.purpose)


_uuid = TypeAdapter(UUID).validator


def _named_or_by_id(value: object, handler: Callable[[object], Any]) -> UUID | AccountName:
    # Not as a union validates: then a fault inside would be reported under the name of each of its branches.
    return AccountName.model_validate(value) if isinstance(value, (dict, AccountName)) else _uuid.validate_python(value)


AccountIn = Annotated[UUID | AccountName, WrapValidator(_named_or_by_id)]
"""An account by its id, or by {ledger, owner_kind, owner_id, purpose}."""


class Move(In):
    """Points from one account to another."""

    debit: AccountIn
    credit: AccountIn
    amount: Points
    code: Literal[TransferCode.ADJUSTMENT, TransferCode.ACTIVITY] = TransferCode.ADJUSTMENT
    """The other codes follow from facts, coupons, bills and time."""
    reference: Reference | None = None
    occurred_at: Moment | None = None


class TransferIn(Move):
    """A transfer by hand, and why."""

    reason: Reason


class LinkedMove(Move):
    """One of a batch. `linked`: it and the next one succeed or fail together."""

    linked: bool = False


class BatchIn(In):
    """Many transfers for one reason. `atomic`: all of them, or none."""

    atomic: bool = False
    reason: Reason
    transfers: Annotated[list[LinkedMove], Field(min_length=1, max_length=MAX_ITEMS)]


class ReversalIn(In):
    """How much of a transfer is taken back: all that is left of it where no amount is given."""

    amount: Points | None = None
    reference: Reference | None = None
    occurred_at: Moment | None = None
    reason: Reason


class HoldIn(Move):
    """Points to keep for a purpose until `lapses_at`."""

    lapses_at: Moment
    reason: Reason


class HoldPostIn(In):
    """How much of a hold is posted: all of it where no amount is given. The rest is given back."""

    amount: Points | None = None
    occurred_at: Moment | None = None
    reason: Reason


class HoldVoidIn(In):
    """Why all that is held is given back."""

    reason: Reason


class RejectionIn(In):
    """Why a proposal is rejected."""

    reason: Reason


class TransferFilters(In):
    """Which transfers: from `from` to before `to` by when they were posted. `fact`: what a fact has earned, and what
    was taken back of it.
    """

    ledger: LedgerName | None = None
    account: UUID | None = None
    code: TransferCode | None = None
    reference: Annotated[str, Text(300)] | None = None
    fact: UUID | None = None
    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    cursor: Annotated[str, Field(max_length=1000)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class ProposalFilters(In):
    """Which proposals."""

    state: ProposalState | None = None
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)
