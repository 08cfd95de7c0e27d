"""Bodies of requests and responses about rewards."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out
from services.points.rewards.tables import Reward
from services.points.rewards.terms import RewardKind


class RewardPaging(In):
    """Which page of the catalogue."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class MerchantRef(Out):
    """A merchant that honours a reward."""

    id: UUID
    name: str


class RewardOut(Out):
    """A reward: `cost` in points, `stock` what is left of it, `household_limit` how many a household may ever have
    (null for any number), `face_fen` what it is worth.

    It can be redeemed from `starts_at` until before `ends_at`; a coupon is good on its day of issue and `valid_days`
    days more.
    """

    id: UUID
    title: str
    description: str
    kind: RewardKind
    cost: int
    face_fen: int
    stock: int
    household_limit: int | None
    valid_days: int
    starts_at: datetime
    ends_at: datetime
    merchants: list[MerchantRef]

    @classmethod
    def of(cls, reward: Reward, merchants: list[MerchantRef]) -> Self:
        """The reward as anybody sees it: what the merchant is paid is not theirs to know."""
        return cls(
            id=reward.id,
            title=reward.title,
            description=reward.description,
            kind=reward.kind,
            cost=reward.cost,
            face_fen=reward.face_fen,
            stock=reward.stock,
            household_limit=reward.household_limit,
            valid_days=reward.valid_days,
            starts_at=reward.starts_at,
            ends_at=reward.ends_at,
            merchants=merchants,
        )
