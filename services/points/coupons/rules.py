"""What may be used, and which codes a coupon has when. Pure."""

import re
import secrets
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta
from enum import Enum, auto

from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from chassis.core.beijing import BEIJING, day_of
from services.points.coupons.errors import (
    CouponCodeMalformed,
    CouponCodeStale,
    CouponCodeWrong,
    CouponExpired,
    CouponUsed,
    TooManyWrongCodes,
)
from services.points.coupons.tables import CouponLife, WrongCodeCount
from services.points.coupons.terms import CouponState, WrongCodeSubject
from services.points.rewards.tables import Reward

SECRET_BYTES = 20

STEP_SECONDS = 30

OTP_DIGITS = 6

ID_DIGITS = 14

STALE_FOR = timedelta(minutes=10)

HOUR = timedelta(hours=1)

WRONG_CODES_AN_HOUR = {WrongCodeSubject.COUPON: 10, WrongCodeSubject.MERCHANT: 100}

_CODE = re.compile(f"([0-9]{{{ID_DIGITS}}})([0-9]{{{OTP_DIGITS}}})")


class Verdict(Enum):
    """What a code is to a coupon at a moment."""

    RIGHT = auto()  # of the current step or the previous one
    STALE = auto()  # it was right within the last ten minutes
    WRONG = auto()


def expiry(reward: Reward, issued_at: datetime) -> datetime:
    """The midnight in Beijing that ends the last of a coupon's days: its day of issue and `valid_days` more."""
    last = day_of(issued_at) + timedelta(days=reward.valid_days)
    return datetime.combine(last + timedelta(days=1), time(), BEIJING).astimezone(UTC)


def state_at(coupon: CouponLife, at: datetime) -> CouponState:
    """A coupon's state. An effective one is expired from `expires_at` on, whether or not anything was posted, and
    locked until its lock lapses.
    """
    if coupon.state is not CouponState.EFFECTIVE:
        return coupon.state
    if at >= coupon.expires_at:
        return CouponState.EXPIRED
    locked = coupon.locked_until is not None and at < coupon.locked_until
    return CouponState.LOCKED if locked else CouponState.EFFECTIVE


def has_code(coupon: CouponLife, at: datetime) -> bool:
    """Whether there is a code to show: also while a till has locked it, which may ask for one."""
    return state_at(coupon, at) in (CouponState.EFFECTIVE, CouponState.LOCKED)


def check_has_code(coupon: CouponLife, at: datetime) -> None:
    """Raises CouponUsed, CouponExpired."""
    if not has_code(coupon, at):
        raise CouponUsed if coupon.state is CouponState.USED else CouponExpired


def is_overdue(coupon: CouponLife, at: datetime) -> bool:
    """Whether nobody used it in time, and that is not posted yet."""
    return coupon.state is CouponState.EFFECTIVE and at >= coupon.expires_at


def random_id() -> str:
    """Fourteen random digits, the first of them not zero: tables of figures drop leading zeros."""
    smallest = 10 ** (ID_DIGITS - 1)
    return str(smallest + secrets.randbelow(9 * smallest))


def read_code(code: str) -> tuple[str, str]:
    """The coupon's id and the six digits of a step. Raises CouponCodeMalformed."""
    match = _CODE.fullmatch(code)
    if match is None:
        raise CouponCodeMalformed
    return match[1], match[2]


def code(coupon_id: str, secret: bytes, at: datetime) -> str:
    """The code that a coupon shows: its id and the step's six digits (RFC 6238)."""
    return coupon_id + _otp(secret, _step(at)).decode()


def code_changes_at(at: datetime) -> datetime:
    """When the next code takes the place of the one shown, which is good for one more step then."""
    return datetime.fromtimestamp((_step(at) + 1) * STEP_SECONDS, at.tzinfo)


def judge(otp: str, secret: bytes, at: datetime) -> Verdict:
    """What six digits are to this secret. Every step is compared, so that time tells nothing."""
    verdicts = [verdict for verdict, step in _steps(at) if constant_time.bytes_eq(_otp(secret, step), otp.encode())]
    return verdicts[0] if verdicts else Verdict.WRONG


def check_may_try(count: WrongCodeCount, at: datetime) -> None:
    """Raises TooManyWrongCodes where this hour's wrong codes are used up, whatever the code at hand is worth."""
    if count.wrong >= WRONG_CODES_AN_HOUR[count.by]:
        seconds = (count.hour + HOUR - at).total_seconds()
        raise TooManyWrongCodes(retry_after_seconds=max(1, int(seconds) + 1))


def check_code(counts: Collection[WrongCodeCount], secret: bytes | None, otp: str, at: datetime) -> None:
    """Whether six digits are those of a coupon's secret now; None where there is no such coupon for the merchant.

    Raises TooManyWrongCodes; CouponCodeWrong, having counted the try; CouponCodeStale.
    """
    for count in counts:
        check_may_try(count, at)
    verdict = Verdict.WRONG if secret is None else judge(otp, secret, at)
    if verdict is Verdict.WRONG:
        for count in counts:
            count.wrong += 1
        raise CouponCodeWrong
    if verdict is Verdict.STALE:
        raise CouponCodeStale


def _steps(at: datetime) -> Iterator[tuple[Verdict, int]]:
    """Steps whose codes are told from wrong ones, the current one first.

    A code that was last right within the last ten minutes stopped being right at the end of the step after its own.
    """
    current = _step(at)
    oldest = _step(at - STALE_FOR) - 1
    for step in range(current, oldest - 1, -1):
        yield (Verdict.RIGHT if step >= current - 1 else Verdict.STALE), step


def _step(at: datetime) -> int:
    return int(at.timestamp()) // STEP_SECONDS


def _otp(secret: bytes, step: int) -> bytes:
    # SHA-1 as in RFC 6238: an HMAC does not rest on what is broken in it.
    return TOTP(secret, OTP_DIGITS, SHA1(), STEP_SECONDS).generate(step * STEP_SECONDS)  # noqa: S303  # see above
