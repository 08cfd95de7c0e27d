"""Bodies of requests and responses about coupons."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out
from services.points.coupons import rules
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.rewards.tables import Reward
from services.points.rewards.terms import RewardKind


class Nothing(In):
    """An empty object: redeeming needs nothing more than the reward."""


class CouponFilters(In):
    """Whose coupons, in which state (any, if it is not said), and from where on."""

    owner: Literal["me"]
    state: CouponState | None = None
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


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
