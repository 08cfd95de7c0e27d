"""What administrators are told of what they post by hand: what came of it, or would come, or waits for another.

What a batch has thousands of are dataclasses: we made their values ourselves, and to have each checked again would cost
more than to decide what they tell of.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from chassis.core.errors import DomainError
from chassis.core.schema import Out
from services.points.ledger.core.state import HoldStateRow, NewTransfer, Result, Side
from services.points.ledger.tables import Hold
from services.points.ledger.terms import HoldState, TransferCode
from services.points.postings.tables import Proposal
from services.points.postings.terms import ProposalKind, ProposalState
from services.points.terms import LedgerName


@dataclass(slots=True)
class SideOut:
    """An account after what was done: posted, spendable, and the number of its last entry."""

    account_id: UUID
    balance: int
    available: int
    version: int

    @classmethod
    def of(cls, side: Side) -> Self:
        """The side as it is shown."""
        return cls(account_id=side.account_id, balance=side.balance, available=side.available, version=side.version)


def _sides(result: Result) -> tuple[SideOut, SideOut]:
    assert result.debit, "points leave an account"
    assert result.credit, "points reach an account"
    return SideOut.of(result.debit), SideOut.of(result.credit)


@dataclass(slots=True)
class PostedOut:
    """A transfer that was posted just now. `sequence` is its number in its ledger."""

    id: UUID
    ledger: LedgerName
    sequence: int
    code: TransferCode
    amount: int
    reference: str
    occurred_at: datetime
    posted_at: datetime
    reverses: UUID | None
    hold: UUID | None
    debit: SideOut
    credit: SideOut

    @classmethod
    def of(cls, result: Result) -> Self:
        """The transfer that a command came to."""
        transfer = result.transfer
        assert transfer, "something was posted"
        debit, credit = _sides(result)
        return cls(
            id=transfer.id,
            ledger=transfer.ledger,
            sequence=transfer.sequence,
            code=transfer.code,
            amount=transfer.amount,
            reference=transfer.reference,
            occurred_at=transfer.occurred_at,
            posted_at=transfer.posted_at,
            reverses=transfer.reverses_id,
            hold=transfer.hold_id,
            debit=debit,
            credit=credit,
        )


class HoldOut(Out):
    """A hold. `posted_amount` of its `amount` was posted, once it was."""

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

    @classmethod
    def of(cls, hold: Hold | HoldStateRow, at: datetime) -> Self:
        """The hold as it is at `at`: one whose time is over has lapsed, whether or not that was swept."""
        due = hold.state is HoldState.OPEN and hold.lapses_at <= at
        return cls(
            id=hold.id,
            ledger=hold.ledger,
            debit_account_id=hold.debit_account_id,
            credit_account_id=hold.credit_account_id,
            amount=hold.amount,
            code=hold.code,
            reference=hold.reference,
            occurred_at=hold.occurred_at,
            held_at=hold.held_at,
            lapses_at=hold.lapses_at,
            state=HoldState.LAPSED if due else hold.state,
            closed_at=hold.lapses_at if due else hold.closed_at,
            posted_amount=hold.posted_amount,
        )


class HoldChangedOut(Out):
    """A hold after what was done with it, and its two accounts. `transfer` is what was posted of it."""

    hold: HoldOut
    transfer: PostedOut | None
    debit: SideOut
    credit: SideOut

    @classmethod
    def of(cls, result: Result, at: datetime) -> Self:
        """What a command made of a hold."""
        assert result.hold, "it was done with a hold"
        transfer = PostedOut.of(result) if result.transfer else None
        debit, credit = _sides(result)
        return cls(hold=HoldOut.of(result.hold, at), transfer=transfer, debit=debit, credit=credit)


class FaultOut(Out):
    """One field at fault."""

    name: str
    reason: str


class RefusalOut(Out):
    """Why one of many was refused, as a problem would say it."""

    code: str
    title: str
    title_zh: str
    detail: str
    errors: list[FaultOut]

    @classmethod
    def of(cls, error: DomainError) -> Self:
        """The refusal as it is shown."""
        faults = [FaultOut(name=field.name, reason=field.reason) for field in error.fields]
        return cls(code=error.code, title=error.title, title_zh=error.title_zh, detail=error.detail, errors=faults)


@dataclass(slots=True)
class ItemOut:
    """What became of one item: `status` is what it would have been answered alone. A transfer, a hold, or a problem."""

    status: int
    transfer: PostedOut | None
    hold: HoldOut | None
    problem: RefusalOut | None

    @classmethod
    def of(cls, outcome: Result | DomainError, at: datetime) -> Self:
        """The item's outcome as it is shown."""
        if isinstance(outcome, DomainError):
            return cls(status=outcome.status, transfer=None, hold=None, problem=RefusalOut.of(outcome))
        transfer = PostedOut.of(outcome) if outcome.transfer else None
        hold = HoldOut.of(outcome.hold, at) if outcome.hold else None
        return cls(status=201, transfer=transfer, hold=hold, problem=None)


@dataclass(slots=True)
class BatchOut:
    """One result an item, in their order."""

    results: list[ItemOut]


class WouldMoveOut(Out):
    """What would be posted or held, and the accounts after it, if nothing came between."""

    amount: int
    code: TransferCode
    debit: SideOut
    credit: SideOut


class TrialItemOut(Out):
    """What would become of one item."""

    status: int
    would: WouldMoveOut | None
    problem: RefusalOut | None

    @classmethod
    def of(cls, outcome: Result | DomainError) -> Self:
        """The item's outcome as it is shown."""
        if isinstance(outcome, DomainError):
            return cls(status=outcome.status, would=None, problem=RefusalOut.of(outcome))
        moved: NewTransfer | HoldStateRow | None = outcome.transfer or outcome.hold
        assert moved, "something would move"
        debit, credit = _sides(outcome)
        would = WouldMoveOut(amount=moved.amount, code=moved.code, debit=debit, credit=credit)
        return cls(status=201, would=would, problem=None)


class TrialOut(Out):
    """What would come out; nothing was written. `needs_approval`: a second administrator would be asked."""

    needs_approval: bool
    points: int
    results: list[TrialItemOut]


class ProposedOut(Out):
    """It waits for another administrator until `lapses_at`. Nothing has moved."""

    id: UUID
    state: ProposalState
    kind: ProposalKind
    items: int
    points: int
    lapses_at: datetime

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        """A proposal that was made just now."""
        return cls(
            id=proposal.id,
            state=proposal.state,
            kind=proposal.kind,
            items=proposal.items,
            points=proposal.points,
            lapses_at=proposal.lapses_at,
        )


class ApprovedOut(Out):
    """A proposal that was approved, and what came of each of its items."""

    id: UUID
    state: ProposalState
    results: list[ItemOut]
