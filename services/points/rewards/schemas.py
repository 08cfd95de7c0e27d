"""Bodies of requests and responses about rewards and coupons."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out
from services.points.rewards import rules
from services.points.rewards.tables import Coupon, Reward
from services.points.rewards.terms import CouponState, RewardKind


class Nothing(In):
    """An empty object: redeeming needs nothing more than the reward."""


class RewardPaging(In):
    """Which page of the catalogue."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class CouponFilters(In):
    """Whose coupons, in which state (any, if it is not said), and from where on."""

    owner: Literal["me"]
    state: CouponState | None = None
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


class RewardRef(Out):
    """What a coupon is for."""

    id: UUID
    title: str
    kind: RewardKind

    @classmethod
    def of(cls, reward: Reward) -> Self:
        """The reward by its title."""
        return cls(id=reward.id, title=reward.title, kind=reward.kind)


class CouponOut(Out):
    """A coupon of one's household. `id` names it and redeems nothing."""

    id: str
    state: CouponState
    reward: RewardRef
    cost: int
    face_fen: int
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None

    @classmethod
    def of(cls, coupon: Coupon, at: datetime) -> Self:
        """The coupon as it stands at a moment."""
        return cls(
            id=coupon.id,
            state=rules.state_at(coupon, at),
            reward=RewardRef.of(coupon.reward),
            cost=coupon.cost,
            face_fen=coupon.face_fen,
            issued_at=coupon.issued_at,
            expires_at=coupon.expires_at,
            used_at=coupon.used_at,
        )


class CouponDetail(CouponOut):
    """A coupon with the code to show at a till.

    The code changes at `code_expires_at`, after which the one before is still taken for half a minute. Both are null
    where the coupon cannot be used.
    """

    code: str | None
    code_expires_at: datetime | None

    @classmethod
    def showing(cls, coupon: Coupon, at: datetime, code: Callable[[], str]) -> Self:
        """The coupon with its code, which is made only where it has one."""
        effective = rules.state_at(coupon, at) is CouponState.EFFECTIVE
        return cls(
            **dict(CouponOut.of(coupon, at)),
            code=code() if effective else None,
            code_expires_at=rules.code_changes_at(at) if effective else None,
        )
