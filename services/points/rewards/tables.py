"""Rewards, and the merchants that honour them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from services.points.rewards.terms import RewardKind
from services.points.tables import Base, words


class Reward(Base):
    """What households may spend points on. `stock` is what is left of it."""

    __tablename__ = "reward"
    __table_args__ = (
        CheckConstraint("cost > 0", name="cost"),
        CheckConstraint("face_fen >= 0", name="face_fen"),
        CheckConstraint("payable_fen >= 0", name="payable_fen"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("household_limit > 0", name="household_limit"),
        CheckConstraint("valid_days > 0", name="valid_days"),
        CheckConstraint("starts_at < ends_at", name="offered"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
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
    household_limit: Mapped[int | None]
    """How many a household may ever have; null for any number."""
    valid_days: Mapped[int]
    """For how many days after its day of issue a coupon can be used."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """Offered from `starts_at` until before `ends_at`."""


class RewardMerchant(Base):
    """A merchant that honours the coupons of a reward."""

    __tablename__ = "reward_merchant"

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(primary_key=True)
