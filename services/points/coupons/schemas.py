"""Bodies of requests and responses about coupons."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out, Text
from services.points.coupons import rules
from services.points.coupons.issuing import IssuedCoupon
from services.points.coupons.life import Standing
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.rewards.tables import Reward
from services.points.rewards.terms import RewardKind


class RedemptionIn(In):
    """Whom in one's household it is for, where that is to be said: a guardian redeems for a child."""

    for_member_id: UUID | None = None


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
    """A coupon of one's household. `id` names it and redeems nothing. `for_member_id` is whom it was redeemed for,
    where that was said; `refund_on_expiry` says whether its points come back where nobody uses it in time. While a till
    keeps it, `locked_until` says until when.
    """

    id: str
    state: CouponState
    reward: RewardRef
    for_member_id: UUID | None
    cost: int
    face_fen: int
    refund_on_expiry: bool
    issued_at: datetime
    expires_at: datetime
    locked_until: datetime | None
    used_at: datetime | None

    @classmethod
    def of(cls, coupon: Coupon, at: datetime) -> Self:
        """The coupon as it stands at a moment."""
        state = rules.state_at(coupon, at)
        return cls(
            id=coupon.id,
            state=state,
            reward=RewardRef.of(coupon.reward),
            for_member_id=coupon.for_member_id,
            cost=coupon.cost,
            face_fen=coupon.face_fen,
            refund_on_expiry=coupon.refund_on_expiry,
            issued_at=coupon.issued_at,
            expires_at=coupon.expires_at,
            locked_until=coupon.locked_until if state is CouponState.LOCKED else None,
            used_at=coupon.used_at,
        )


class CouponDetail(CouponOut):
    """A coupon with the code to show at a till.

    The code changes at `code_expires_at`, after which the one before is still taken for half a minute. Both are null
    where the coupon cannot be used, and for children where it was not redeemed for them.
    """

    code: str | None
    code_expires_at: datetime | None

    @classmethod
    def issued(cls, coupon: IssuedCoupon, at: datetime) -> Self:
        """A coupon that was just issued, with the code that it has at a moment."""
        reward = coupon.reward
        return cls(
            id=coupon.id,
            state=CouponState.EFFECTIVE,
            reward=RewardRef.of(reward),
            for_member_id=coupon.for_member_id,
            cost=reward.cost,
            face_fen=reward.face_fen,
            refund_on_expiry=reward.refund_on_expiry,
            issued_at=coupon.issued_at,
            expires_at=coupon.expires_at,
            locked_until=None,
            used_at=None,
            code=rules.code(coupon.id, coupon.secret, at),
            code_expires_at=rules.code_changes_at(at),
        )

    @classmethod
    def showing(cls, coupon: Coupon, at: datetime, code: str | None) -> Self:
        """The coupon with its code, where it has one that is to be shown."""
        return cls(
            **dict(CouponOut.of(coupon, at)), code=code, code_expires_at=rules.code_changes_at(at) if code else None
        )


class CouponCodeOut(Out):
    """The code to show at a till: twenty digits, and the same in fours to be read out. It changes at `expires_at`, and
    is still taken for half a minute then.
    """

    code: str
    digits: str
    expires_at: datetime

    @classmethod
    def of(cls, code: str, expires_at: datetime) -> Self:
        """The code in both forms."""
        fours = [code[start : start + 4] for start in range(0, len(code), 4)]
        return cls(code=code, digits=" ".join(fours), expires_at=expires_at)


class ReasonIn(In):
    """Why: the household and auditors can read it, and it can be erased."""

    reason: Annotated[str, Text(500)]


class ReturnIn(ReasonIn):
    """Why, and which use is undone: its `use_no`, lest it be another one by now."""

    use_no: Annotated[str, Field(pattern="^[0-9]{18,30}$")]


class StandingOut(Out):
    """What became of a coupon: `at` is when that was posted."""

    coupon_id: str
    state: CouponState
    at: datetime

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """The coupon as it stood then."""
        return cls(coupon_id=standing.id, state=standing.state, at=standing.at)


class CouponEventOut(Out):
    """Something that happened to a coupon. `reason` is null where none was given, or it was erased."""

    number: int
    kind: CouponEventKind
    at: datetime
    transfer_id: UUID
    operator_id: UUID | None
    reason: str | None
    merchant_id: UUID | None
    store_id: str | None
    use_time: datetime | None
    out_trade_no: str | None
    out_request_no: str | None
    use_no: str | None

    @classmethod
    def of(cls, event: CouponEvent, reason: str | None) -> Self:
        """The event and why."""
        fields = [name for name in cls.model_fields if name != "reason"]
        return cls(**{name: getattr(event, name) for name in fields}, reason=reason)


class CouponHistory(CouponOut):
    """A coupon as auditors see it, with what happened to it, the latest first (the last 200)."""

    household_id: UUID
    person_id: UUID
    payable_fen: int
    locked_by: UUID | None
    locked_store_id: str | None
    events: list[CouponEventOut]

    @classmethod
    def with_events(cls, coupon: Coupon, at: datetime, events: Sequence[CouponEventOut]) -> Self:
        """The coupon at a moment, and its events."""
        return cls(
            **dict(CouponOut.of(coupon, at)),
            household_id=coupon.household_id,
            person_id=coupon.person_id,
            payable_fen=coupon.payable_fen,
            locked_by=coupon.locked_by,
            locked_store_id=coupon.locked_store_id,
            events=list(events),
        )
