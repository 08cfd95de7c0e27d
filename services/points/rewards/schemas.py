"""Rewards as residents see them, and what they ask for."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out, Text
from services.points.rewards import rules
from services.points.rewards.tables import Reward, RewardMerchant, RewardPicture
from services.points.rewards.terms import Audience, LimitPeriod, RewardKind, RewardState, Sort, When


class RewardFilters(In):
    """What of the catalogue: `q` words that title or description contain, all of them; `affordable` what the caller's
    household has the points for now (who asks that is signed in).
    """

    q: Annotated[str, Text(50)] | None = None
    kind: RewardKind | None = None
    merchant: UUID | None = None
    affordable: bool = False
    when: When = When.NOW
    sort: Sort = Sort.CHEAPEST
    cursor: Annotated[str, Field(max_length=1000)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class MerchantRef(Out):
    """A merchant that honours a reward: in these of its stores, or, if none is named, in all."""

    id: UUID
    name: str
    stores: list[str]

    @classmethod
    def of(cls, row: RewardMerchant, name: str) -> Self:
        """The merchant by its name."""
        return cls(id=row.merchant_id, name=name, stores=row.store_ids)


class PictureRef(Out):
    """A picture of a reward, at `/api/points/rewards/{reward}/pictures/{id}`; its size in pixels."""

    id: UUID
    width: int
    height: int

    @classmethod
    def of(cls, picture: RewardPicture) -> Self:
        """The picture without its content."""
        return cls(id=picture.id, width=picture.width, height=picture.height)


class RewardOut(Out):
    """A reward: `cost` in points, `stock` what is left of it, `left_today` what of it can be had today (as much as is
    left, where `daily_stock` is null), `household_limit` how many a household may have within `limit_period` (null for
    any number), `audience` who may have it, `face_fen` what it is worth.

    It can be redeemed from `starts_at` until before `ends_at`; a coupon is good on its day of issue and `valid_days`
    days more, and `refund_on_expiry` says whether its points come back where nobody used it until then.
    """

    id: UUID
    state: RewardState
    title: str
    description: str
    kind: RewardKind
    cost: int
    face_fen: int
    stock: int
    daily_stock: int | None
    left_today: int
    household_limit: int | None
    limit_period: LimitPeriod
    audience: Audience
    refund_on_expiry: bool
    valid_days: int
    starts_at: datetime
    ends_at: datetime
    merchants: list[MerchantRef]
    pictures: list[PictureRef]

    @classmethod
    def of(cls, reward: Reward, merchants: list[MerchantRef], pictures: list[PictureRef], at: datetime) -> Self:
        """The reward as anybody sees it: what the merchant is paid is not theirs to know."""
        return cls(
            id=reward.id,
            state=rules.state_at(reward, at),
            title=reward.title,
            description=reward.description,
            kind=reward.kind,
            cost=reward.cost,
            face_fen=reward.face_fen,
            stock=reward.stock,
            daily_stock=reward.daily_stock,
            left_today=rules.left(reward, at),
            household_limit=reward.household_limit,
            limit_period=reward.limit_period,
            audience=reward.audience,
            refund_on_expiry=reward.refund_on_expiry,
            valid_days=reward.valid_days,
            starts_at=reward.starts_at,
            ends_at=reward.ends_at,
            merchants=merchants,
            pictures=pictures,
        )
