"""Bodies of the counter and of its clerks."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from chassis.core.schema import In, Out, Text
from services.points.counter.terms import ClerkState, Counter, CounterRole
from services.points.coupons.life import RETURN_WITHIN
from services.points.coupons.life import Standing as CouponStanding
from services.points.coupons.terms import CouponState
from services.points.merchants.fields import CouponCode, CouponId, StoreId, UseNo

Token = Annotated[str, StringConstraints(strict=True, pattern="^[A-Za-z0-9_-]{1,200}$")]
InvitationCode = Annotated[str, StringConstraints(strict=True, pattern="^[0-9]{8}$")]


class ClerkIn(In):
    """Who is to work at which store. `name` is what the manager calls them."""

    store_id: StoreId
    name: Annotated[str, Text(20)]


class JoinIn(In):
    """An invitation's eight digits."""

    code: InvitationCode


class ClerkOut(Out):
    """Somebody who was invited to a store. `person_id` once they have joined."""

    id: UUID
    store_id: str
    name: str
    state: ClerkState
    invited_at: datetime
    code_expires_at: datetime | None
    person_id: UUID | None
    joined_at: datetime | None
    revoked_at: datetime | None


class InvitationOut(Out):
    """An invitation with its code, which is told this once: the person types it, signed in, before it expires."""

    clerk: ClerkOut
    code: str
    code_expires_at: datetime


class CounterOut(Out):
    """A counter that one may stand at. While the merchant is suspended nothing is redeemed there."""

    merchant_id: UUID
    merchant_name: str
    store_id: str
    store_name: str
    standing: CounterRole
    suspended: bool

    @classmethod
    def of(cls, counter: Counter) -> "CounterOut":
        """The counter as whoever stands there knows it."""
        return cls(
            merchant_id=counter.merchant_id,
            merchant_name=counter.merchant_name,
            store_id=counter.store_id,
            store_name=counter.store_name,
            standing=counter.standing,
            suspended=counter.suspended,
        )


class CountersOut(Out):
    """The counters that one may stand at."""

    items: list[CounterOut]


class LookIn(In):
    """The code that is shown: twenty digits."""

    coupon_code: CouponCode


class LookOut(Out):
    """What a code stands for. `reason` is the code with which `use` would refuse it; then there is no token.

    The token takes the code's place in `use`, for this person and store, until it expires.
    """

    coupon_id: str
    reward_title: str
    face_fen: int
    payable_fen: int
    state: CouponState
    expires_at: datetime
    used_here_at: datetime | None
    usable: bool
    reason: str | None
    token: str | None
    token_expires_at: datetime | None


class UseIn(In):
    """Which coupon is redeemed: exactly one of the two says it."""

    coupon_code: CouponCode | None = None
    token: Token | None = None


class UsedOut(Out):
    """A coupon that was redeemed. `use_no` 核销流水号 names this use for ever."""

    coupon_id: str
    use_no: str
    reward_title: str
    face_fen: int
    payable_fen: int
    used_at: datetime
    returnable_until: datetime

    @classmethod
    def of(cls, coupon: CouponStanding) -> "UsedOut":
        """The coupon right after it was used."""
        assert coupon.use_no is not None
        assert coupon.used_at is not None
        return cls(
            coupon_id=coupon.id,
            use_no=coupon.use_no,
            reward_title=coupon.title,
            face_fen=coupon.face_fen,
            payable_fen=coupon.payable_fen,
            used_at=coupon.used_at,
            returnable_until=coupon.used_at + RETURN_WITHIN,
        )


class ReturnIn(In):
    """Which use is undone."""

    coupon_id: CouponId
    use_no: UseNo


class ReturnedOut(Out):
    """A use that was undone, and the state of the coupon since then."""

    coupon_id: str
    use_no: str
    reward_title: str
    state: CouponState
    returned_at: datetime

    @classmethod
    def of(cls, coupon: CouponStanding) -> "ReturnedOut":
        """The coupon right after the use was undone."""
        assert coupon.use_no is not None
        return cls(
            coupon_id=coupon.id,
            use_no=coupon.use_no,
            reward_title=coupon.title,
            state=coupon.state,
            returned_at=coupon.at,
        )


class TodayPaging(In):
    """Which page of today's list."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class UseItem(Out):
    """A use. `returnable_until` is null where it cannot be undone here any more.

    `operator_name` is what the manager calls the clerk; null of the manager, and of a till.
    """

    coupon_id: str
    use_no: str
    reward_title: str
    face_fen: int
    payable_fen: int
    used_at: datetime
    returned_at: datetime | None
    returnable_until: datetime | None
    operator_id: UUID | None
    operator_name: str | None


class TodayOut(Out):
    """What was redeemed at a store today (in Beijing), the latest first, and within the last hour.

    The sums are of today alone, as in the daily bill: `used` less `returned`, and what they are worth.
    """

    day: date
    used: int
    returned: int
    face_fen: int
    payable_fen: int
    items: list[UseItem]
    next_cursor: str | None
