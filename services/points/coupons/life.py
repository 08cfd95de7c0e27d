"""What may become of a coupon at tills, and what it is then. Pure: whoever posts does so between check and change."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self
from uuid import UUID

from chassis.core.beijing import day_of
from services.points.coupons.errors import (
    CouponExpired,
    CouponLocked,
    CouponNotUsed,
    CouponUsed,
    ReturnTooLate,
    UseSettled,
)
from services.points.coupons.rules import state_at
from services.points.coupons.tables import CouponLife
from services.points.coupons.terms import CouponState

LOCK_LASTS = timedelta(minutes=15)

RETURN_WITHIN = timedelta(minutes=60)
"""How long a merchant itself may undo a use."""


@dataclass(frozen=True, slots=True)
class Till:
    """Where a coupon is shown: a merchant's store."""

    merchant_id: UUID
    store_id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A coupon as it stood right after something was done to it, whatever came next.

    What it tells of a use is that of the one that was made or undone. `at` is when that was posted, or done.
    """

    id: str
    title: str
    state: CouponState
    face_fen: int
    payable_fen: int
    expires_at: datetime
    locked_until: datetime | None
    used_at: datetime | None
    used_by: UUID | None
    mchid: str | None
    store_id: str | None
    use_time: datetime | None
    use_no: str | None
    at: datetime

    @classmethod
    def of(cls, coupon: CouponLife, at: datetime) -> Self:
        """The coupon as it is now."""
        state = state_at(coupon, at)
        return cls(
            id=coupon.id,
            title=coupon.title,
            state=state,
            face_fen=coupon.face_fen,
            payable_fen=coupon.payable_fen,
            expires_at=coupon.expires_at,
            locked_until=coupon.locked_until if state is CouponState.LOCKED else None,
            used_at=coupon.used_at,
            used_by=coupon.used_by,
            mchid=coupon.mchid,
            store_id=coupon.store_id,
            use_time=coupon.use_time,
            use_no=coupon.use_no,
            at=at,
        )


def check_usable(coupon: CouponLife, at: datetime, till: Till | None = None) -> None:
    """Whether a coupon can be used now: at this till, which may have locked it, or at any other that has not.

    Raises CouponUsed, CouponLocked, CouponExpired.
    """
    match state_at(coupon, at):
        case CouponState.EFFECTIVE:
            return
        case CouponState.USED:
            raise CouponUsed
        case CouponState.LOCKED:
            if not _locked_by(coupon, till):
                raise CouponLocked
        case CouponState.EXPIRED | CouponState.DEACTIVATED | CouponState.REFUNDED:
            raise CouponExpired


def next_use_no(coupon: CouponLife) -> str:
    """核销流水号 of its next use, unlike that of any other: a coupon that came back may be used again."""
    return f"{coupon.id}{coupon.happened + 1:04d}"


def use(coupon: CouponLife, till: Till, mchid: str, use_time: datetime, at: datetime) -> None:
    """What is usable (`check_usable`) is used: posted at `at`. `use_time` is what the till says."""
    coupon.use_no = next_use_no(coupon)
    coupon.happened += 1
    coupon.state, coupon.used_at, coupon.used_by = CouponState.USED, at, till.merchant_id
    coupon.mchid, coupon.store_id, coupon.use_time = mchid, till.store_id, use_time
    _free(coupon)


def lock(coupon: CouponLife, till: Till, at: datetime, lasts: timedelta = LOCK_LASTS) -> None:
    """Keep a coupon for a till, for fifteen minutes at most and no longer than it is good.

    A lock is not lengthened: it is refused to whoever has it, too. Raises CouponUsed, CouponLocked, CouponExpired.
    """
    check_usable(coupon, at)
    coupon.locked_until = min(at + min(lasts, LOCK_LASTS), coupon.expires_at)
    coupon.locked_by, coupon.locked_store_id = till.merchant_id, till.store_id


def unlock(coupon: CouponLife, till: Till, at: datetime) -> None:
    """Free a coupon that this till has locked. One that nobody has locked (any more) is left as it is.

    Raises CouponUsed, CouponLocked (by another till), CouponExpired.
    """
    check_usable(coupon, at, till)
    _free(coupon)


def check_returnable(
    coupon: CouponLife, use_no: str | None, merchant_id: UUID | None, store_id: str | None, at: datetime
) -> None:
    """Whether a use can be undone: this one, where it is named; at this store, where that is. None for the merchant is
    staff, who may after an hour, too.

    Raises CouponNotUsed, ReturnTooLate.
    """
    wanted = (use_no, merchant_id, store_id)
    if coupon.used_at is None or not all(
        named in (None, own)
        for named, own in zip(wanted, (coupon.use_no, coupon.used_by, coupon.store_id), strict=True)
    ):
        raise CouponNotUsed
    if merchant_id is not None and at > coupon.used_at + RETURN_WITHIN:
        raise ReturnTooLate


def check_unsettled(coupon: CouponLife, settled_before: date | None) -> None:
    """Whether a use is not settled: `settled_before` is the first day (in Beijing) that is not. Raises UseSettled."""
    if settled_before is not None and coupon.used_at is not None and day_of(coupon.used_at) < settled_before:
        raise UseSettled


def give_back(coupon: CouponLife) -> None:
    """What may be returned (`check_returnable`) is as it was before it was used."""
    coupon.happened += 1
    coupon.state = CouponState.EFFECTIVE
    coupon.used_at = coupon.used_by = coupon.mchid = coupon.store_id = coupon.use_time = coupon.use_no = None


def end(coupon: CouponLife, state: CouponState) -> None:
    """It is over: expired, deactivated or refunded."""
    coupon.happened += 1
    coupon.state = state
    _free(coupon)


def _locked_by(coupon: CouponLife, till: Till | None) -> bool:
    return till is not None and (coupon.locked_by, coupon.locked_store_id) == (till.merchant_id, till.store_id)


def _free(coupon: CouponLife) -> None:
    coupon.locked_until = coupon.locked_by = coupon.locked_store_id = None
