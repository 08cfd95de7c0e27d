"""Bodies of settlement. Money is in fen; a month is written 2026-11."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from chassis.core.schema import In, Out, Text
from services.points.settlement.tables import Adjustment, Dispute, Payment, Statement
from services.points.settlement.terms import AdjustmentState, StatementState, StoreSums
from services.points.statements.schemas import Day

MOST_FEN = 10**10
"""A hundred million yuan: more is a slip of the hand."""

Month = Annotated[str, StringConstraints(strict=True, pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$")]
Words = Annotated[str, Text(500)]
Fen = Annotated[int, Field(strict=True, ge=-MOST_FEN, le=MOST_FEN)]


def _not_zero(fen: int) -> int:
    if fen == 0:
        raise ValueError("must not be zero")
    return fen


class StatementFilters(In):
    """Which statements: of a merchant, a month, a state, and with an open dispute or without."""

    merchant_id: UUID | None = None
    month: Month | None = None
    state: StatementState | None = None
    disputed: bool | None = None
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class BillDay(In):
    """Whose bill, and of which day in Beijing."""

    merchant_id: UUID
    bill_date: Day


class DisputeIn(In):
    """What is wrong with it."""

    words: Words


class AnswerIn(In):
    """What the merchant is answered."""

    words: Words


class AdjustmentIn(In):
    """A line to add: in the merchant's favour, or, negative, against it."""

    fen: Annotated[Fen, AfterValidator(_not_zero)]
    reason: Words


class PaymentIn(In):
    """What was paid, which must be what the months come to; negative where the merchant paid.

    The bank's reference may be missing where that is nothing.
    """

    amount_fen: Fen
    bank_reference: Annotated[str, Text(100)] | None = None


class PaymentOut(Out):
    """A payment, and the statements that it paid."""

    id: UUID
    merchant_id: UUID
    amount_fen: int
    bank_reference: str | None
    paid_at: datetime
    statements: list[UUID]

    @classmethod
    def of(cls, payment: Payment, statements: Sequence[Statement]) -> Self:
        """A payment for these months."""
        return cls(
            id=payment.id,
            merchant_id=payment.merchant_id,
            amount_fen=payment.amount_fen,
            bank_reference=payment.bank_reference,
            paid_at=payment.paid_at,
            statements=[statement.id for statement in statements],
        )


class StatementOut(Out):
    """A month of a merchant's. Money and points are those of the uses less the returns.

    `due_fen` is what the merchant gets: `payable_fen` and the adjustments that were approved. A draft is confirmed by
    itself at `confirms_at` unless it is disputed before.
    """

    id: UUID
    merchant_id: UUID
    mchid: str
    merchant_name: str
    month: Month
    state: StatementState
    disputed: bool
    uses: int
    returns: int
    face_fen: int
    payable_fen: int
    points: int
    adjusted_fen: int
    due_fen: int
    made_at: datetime
    confirms_at: datetime
    confirmed_at: datetime | None
    paid_at: datetime | None
    bank_reference: str | None

    @classmethod
    def of(cls, statement: Statement, *, disputed: bool) -> Self:
        """A statement, its payment loaded."""
        return cls(
            id=statement.id,
            merchant_id=statement.merchant_id,
            mchid=statement.mchid,
            merchant_name=statement.merchant_name,
            month=f"{statement.month:%Y-%m}",
            state=statement.state,
            disputed=disputed,
            uses=statement.uses,
            returns=statement.returns,
            face_fen=statement.face_fen,
            payable_fen=statement.payable_fen,
            points=statement.points,
            adjusted_fen=statement.adjusted_fen,
            due_fen=statement.due_fen,
            made_at=statement.made_at,
            confirms_at=statement.confirms_at,
            confirmed_at=statement.confirmed_at,
            paid_at=statement.payment.paid_at if statement.payment else None,
            bank_reference=statement.payment.bank_reference if statement.payment else None,
        )


class DisputeOut(Out):
    """What the merchant said, and what it was answered."""

    id: UUID
    words: str
    raised_at: datetime
    answer: str | None
    answered_at: datetime | None

    @classmethod
    def of(cls, dispute: Dispute) -> Self:
        """A dispute, answered or open."""
        return cls(
            id=dispute.id,
            words=dispute.words,
            raised_at=dispute.raised_at,
            answer=dispute.answer,
            answered_at=dispute.answered_at,
        )


class AdjustmentOut(Out):
    """A line added to a statement. Merchants are shown those that were approved, and not by whom."""

    id: UUID
    fen: int
    reason: str
    state: AdjustmentState
    proposed_at: datetime
    proposed_by: UUID | None
    decided_at: datetime | None
    decided_by: UUID | None

    @classmethod
    def of(cls, adjustment: Adjustment, *, for_staff: bool) -> Self:
        """An adjustment with the people behind it, for staff."""
        return cls(
            id=adjustment.id,
            fen=adjustment.fen,
            reason=adjustment.reason,
            state=adjustment.state,
            proposed_at=adjustment.proposed_at,
            proposed_by=adjustment.proposed_by if for_staff else None,
            decided_at=adjustment.decided_at,
            decided_by=adjustment.decided_by if for_staff else None,
        )


class StoreOut(Out):
    """What one store took in the month."""

    store_id: str
    uses: int
    returns: int
    face_fen: int
    payable_fen: int
    points: int

    @classmethod
    def of(cls, sums: StoreSums) -> Self:
        """The sums of a store."""
        return cls(**sums._asdict())


class StatementDetail(StatementOut):
    """A statement with what each store took, what was said against it and what was added to it."""

    stores: list[StoreOut]
    disputes: list[DisputeOut]
    adjustments: list[AdjustmentOut]
