"""Words of coupons."""

from dataclasses import dataclass
from enum import StrEnum


class CouponState(StrEnum):
    """Where a coupon stands. The merchant API writes these words in capitals."""

    EFFECTIVE = "effective"  # can be used
    LOCKED = "locked"  # kept for a till, for minutes
    USED = "used"
    EXPIRED = "expired"
    DEACTIVATED = "deactivated"  # taken out of use by staff
    REFUNDED = "refunded"  # by staff: its points went back


class CouponEventKind(StrEnum):
    """What happened to a coupon."""

    ISSUED = "issued"
    USED = "used"
    RETURNED = "returned"  # a use was undone
    EXPIRED = "expired"
    DEACTIVATED = "deactivated"
    REFUNDED = "refunded"


class WrongCodeSubject(StrEnum):
    """By what wrong codes are counted."""

    MERCHANT = "merchant"
    COUPON = "coupon"


@dataclass(frozen=True, slots=True)
class CouponRef:
    """A coupon by its fourteen digits, and the title of its reward."""

    id: str
    reward: str
