"""Who posted by hand, and what waits for a second administrator. Rows are never deleted."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.points.postings.terms import Act, ProposalKind, ProposalState
from services.points.tables import Base, words


class Proposal(Base):
    """What an administrator asked for and a second one must approve. It is carried out as it was asked, or not."""

    __tablename__ = "proposal"
    __table_args__ = (
        CheckConstraint("items > 0 AND points >= 0", name="size"),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("decided_by <> proposed_by", name="two_people"),
        Index("ix_proposal_pending", "id", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[ProposalKind] = mapped_column(words(ProposalKind))
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What was asked, but for the reason."""
    reason: Mapped[str | None]
    """Null once it was erased."""
    items: Mapped[int]
    points: Mapped[int]
    """The sum over all items."""
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    lapses_at: Mapped[datetime]
    state: Mapped[ProposalState] = mapped_column(words(ProposalState))
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    remark: Mapped[str | None]
    """Why it was rejected; null once erased."""
    erased_by: Mapped[UUID | None]
    """Who erased reason and remark."""
    erased_at: Mapped[datetime | None]


class ByHand(Base):
    """Who posted a transfer by hand, or made, posted or voided a hold, and who approved it."""

    __tablename__ = "by_hand"
    __table_args__ = (
        Index(None, "proposal_id", postgresql_where=text("proposal_id IS NOT NULL")),
        Index("ix_by_hand_done", "done_by", "done_at"),
    )

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The transfer, or the hold."""
    act: Mapped[Act] = mapped_column(words(Act), primary_key=True)
    done_by: Mapped[UUID]
    done_at: Mapped[datetime]
    approved_by: Mapped[UUID | None]
    proposal_id: Mapped[UUID | None] = mapped_column(ForeignKey("proposal.id"))
    reason: Mapped[str | None]
    """Why a hold was made or voided; null once erased, and for transfers, whose reason is a `TransferText`."""
    erased_by: Mapped[UUID | None]
    """Who erased the reason: what cannot be read any more can be asked of somebody."""
    erased_at: Mapped[datetime | None]


class HandDay(Base):
    """How many points an administrator has posted or held alone in a day of Beijing."""

    __tablename__ = "hand_day"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    points: Mapped[int]
