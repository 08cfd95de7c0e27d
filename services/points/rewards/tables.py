"""Rewards, what was done to them, their pictures, the merchants that honour them, and who may have them.

The service's role may neither update nor delete the changes of rewards (see the migration).
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.points.rewards.terms import Audience, ChangeKind, LimitPeriod, RewardKind, RewardState
from services.points.tables import Base, words


class Reward(Base):
    """What households may spend points on. `stock` is what is left of it."""

    __tablename__ = "reward"
    __table_args__ = (
        CheckConstraint("cost > 0", name="cost"),
        CheckConstraint("face_fen >= 0", name="face_fen"),
        CheckConstraint("payable_fen >= 0", name="payable_fen"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("daily_stock > 0", name="daily_stock"),
        CheckConstraint("taken >= 0", name="taken"),
        CheckConstraint("household_limit > 0", name="household_limit"),
        CheckConstraint("valid_days > 0", name="valid_days"),
        CheckConstraint("starts_at < ends_at", name="offered"),
        CheckConstraint("approved_by <> drafted_by", name="two_people"),
        CheckConstraint("state <> 'listed' OR listed_at IS NOT NULL", name="listed_at"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_at"),
        Index("ix_reward_listed", "cost", "id", postgresql_where=text("state = 'listed'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[RewardState] = mapped_column(words(RewardState))
    """As it was last set; one whose time is over has ended, whatever stands here (`rules.state_at`)."""
    version: Mapped[int]
    """How often it was changed by somebody: who approves or edits says which version they saw."""
    title: Mapped[str]
    description: Mapped[str]
    kind: Mapped[RewardKind] = mapped_column(words(RewardKind))
    cost: Mapped[int]
    """Points."""
    face_fen: Mapped[int]
    """What a coupon is worth to who shows it."""
    payable_fen: Mapped[int]
    """What a merchant is paid for it."""
    stock: Mapped[int]
    daily_stock: Mapped[int | None]
    """How many may be redeemed in a day of Beijing; null for as many as there are."""
    day: Mapped[date | None]
    taken: Mapped[int]
    """How many were redeemed on `day`, the last on which any was."""
    household_limit: Mapped[int | None]
    """How many a household may have within `limit_period`; null for any number."""
    limit_period: Mapped[LimitPeriod] = mapped_column(words(LimitPeriod))
    audience: Mapped[Audience] = mapped_column(words(Audience))
    refund_on_expiry: Mapped[bool]
    """Whether the points of a coupon that nobody used in time come back."""
    valid_days: Mapped[int]
    """For how many days after its day of issue a coupon can be used."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """Offered from `starts_at` until before `ends_at`."""
    drafted_by: Mapped[UUID | None]
    """Who wrote it first; null where the installation did."""
    approved_by: Mapped[UUID | None]
    listed_at: Mapped[datetime | None]
    """When it was listed; from then on it is public."""
    ended_at: Mapped[datetime | None]
    """When it was ended by hand."""


class RewardMerchant(Base):
    """A merchant that honours the coupons of a reward: in the stores that are named, or, if none is, in all."""

    __tablename__ = "reward_merchant"

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))


class RewardChange(Base):
    """What somebody did to a reward: append-only, numbered from 1 (but for those that were there before)."""

    __tablename__ = "reward_change"

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[ChangeKind] = mapped_column(words(ChangeKind))
    by_id: Mapped[UUID]
    at: Mapped[datetime]
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What changed, by name: [what it was, what it is]."""
    reason: Mapped[str | None]


class RewardPicture(Base):
    """A picture of a reward as two JPEG files, written anew when it came in. Its content never changes."""

    __tablename__ = "reward_picture"
    __table_args__ = (
        CheckConstraint("width > 0 AND height > 0", name="size"),
        Index(None, "reward_id", "number"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"))
    number: Mapped[int]
    """In which order they are shown."""
    width: Mapped[int]
    height: Mapped[int]
    full: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    thumbnail: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class RollEntry(Base):
    """That a person is one of an audience (a party member, a courier), as administrators have entered it."""

    __tablename__ = "reward_roll"

    audience: Mapped[Audience] = mapped_column(words(Audience), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    entered_by: Mapped[UUID]
    entered_at: Mapped[datetime]
