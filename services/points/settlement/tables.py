"""Monthly statements, what was said against them and added to them, and what was paid.

The service's role may not delete any of these rows (see the migration).
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.points.settlement.terms import AdjustmentState, StatementState
from services.points.tables import Base, words


class Payment(Base):
    """付款: money for one month of a merchant's, or several in a row. A negative amount was paid by the merchant."""

    __tablename__ = "settlement_payment"
    __table_args__ = (
        UniqueConstraint("merchant_id", "bank_reference"),
        CheckConstraint("amount_fen = 0 OR bank_reference IS NOT NULL", name="bank_reference"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    amount_fen: Mapped[int]
    bank_reference: Mapped[str | None]
    """What the bank calls it; none where months come to nothing."""
    paid_by: Mapped[UUID]
    """Who recorded it."""
    paid_at: Mapped[datetime]


class Statement(Base):
    """月结单: the uses less the returns that were posted to a merchant's account in a month of Beijing.

    What it comes to is written down when it is made, and so are the numbers in the ledger that it is made of: its lines
    can be read there at any time. Adjustments are lines of its own.
    """

    __tablename__ = "merchant_statement"
    __table_args__ = (
        UniqueConstraint("merchant_id", "month"),
        CheckConstraint("extract(day FROM month) = 1", name="month"),
        CheckConstraint("first_number <= end_number", name="numbers"),
        CheckConstraint("uses >= 0 AND returns >= 0", name="lines"),
        CheckConstraint("(state = 'draft') = (confirmed_at IS NULL)", name="confirmed_at"),
        CheckConstraint("(state = 'paid') = (payment_id IS NOT NULL)", name="payment_id"),
        CheckConstraint("transfer_id IS NULL OR payment_id IS NOT NULL", name="transfer_id"),
        Index(None, "month", "id"),
        Index("ix_merchant_statement_draft", "confirms_at", postgresql_where=text("state = 'draft'")),
        Index(None, "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    month: Mapped[date]
    """Its first day."""
    mchid: Mapped[str]
    merchant_name: Mapped[str]
    """As they were when it was made."""
    first_number: Mapped[int]
    end_number: Mapped[int]
    """It is made of the civic ledger's numbers from the first to before the end."""
    uses: Mapped[int]
    returns: Mapped[int]
    face_fen: Mapped[int]
    payable_fen: Mapped[int]
    points: Mapped[int]
    """Of the uses less the returns, like the money."""
    adjusted_fen: Mapped[int]
    """The sum of the adjustments that were approved."""
    state: Mapped[StatementState] = mapped_column(words(StatementState))
    made_at: Mapped[datetime]
    confirms_at: Mapped[datetime]
    """When it is confirmed by itself unless it is disputed before."""
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[UUID | None]
    """Null where it was confirmed by itself."""
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("settlement_payment.id"))
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))
    """By which its points were settled; none where they come to nothing."""

    payment: Mapped[Payment | None] = relationship(lazy="raise")

    @property
    def due_fen(self) -> int:
        """What the merchant gets for the month; what it owes, where that is negative."""
        return self.payable_fen + self.adjusted_fen

    @property
    def file_name(self) -> str:
        """By which a browser keeps it, without its ending."""
        return f"statement-{self.mchid}-{self.month:%Y-%m}"


class Dispute(Base):
    """异议: what a merchant says against a draft, and what it was answered. One at a time is open."""

    __tablename__ = "statement_dispute"
    __table_args__ = (
        CheckConstraint(
            "num_nulls(answer, answered_by, answered_at) IN (0, 3)",
            name="answer",
        ),
        Index(None, "statement_id", "id"),
        Index("ix_statement_dispute_open", "statement_id", unique=True, postgresql_where=text("answered_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    statement_id: Mapped[UUID] = mapped_column(ForeignKey("merchant_statement.id"))
    words: Mapped[str]
    raised_by: Mapped[UUID]
    raised_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_by: Mapped[UUID | None]
    answered_at: Mapped[datetime | None]


class Adjustment(Base):
    """调整: a line that one administrator adds to a draft once another approves it. Nothing else of it ever changes."""

    __tablename__ = "statement_adjustment"
    __table_args__ = (
        CheckConstraint("fen <> 0", name="fen"),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("decided_by <> proposed_by", name="two_people"),
        Index(None, "statement_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    statement_id: Mapped[UUID] = mapped_column(ForeignKey("merchant_statement.id"))
    fen: Mapped[int]
    """In the merchant's favour; against it, where negative."""
    reason: Mapped[str]
    state: Mapped[AdjustmentState] = mapped_column(words(AdjustmentState))
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
