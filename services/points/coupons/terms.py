"""Words of coupons."""

from dataclasses import dataclass
from enum import StrEnum


class CouponState(StrEnum):
    """Where a coupon stands. The merchant API writes these words in capitals."""

    EFFECTIVE = "effective"  # can be used
    LOCKED = "locked"  # kept for a till
    USED = "used"
    EXPIRED = "expired"
    DEACTIVATED = "deactivated"
    REFUNDED = "refunded"


class CouponEventKind(StrEnum):
    """What happened to a coupon."""

    ISSUED = "issued"
    USED = "used"


class WrongCodeSubject(StrEnum):
    """By what wrong codes are counted."""

    MERCHANT = "merchant"
    COUPON = "coupon"


@dataclass(frozen=True, slots=True)
class CouponRef:
    """A coupon by its fourteen digits, and the title of its reward."""

    id: str
    reward: str
