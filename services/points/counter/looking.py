"""核销准备: what a code that is shown at a counter stands for."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from chassis.core.errors import DomainError
from services.points.counter import queries, rules
from services.points.counter.errors import MerchantSuspended, OwnCoupon
from services.points.counter.redeeming import CounterUse
from services.points.counter.schemas import LookOut, UseIn
from services.points.counter.terms import Place
from services.points.coupons import actions as coupons
from services.points.coupons.errors import CodeOrToken
from services.points.coupons.life import Till, check_usable
from services.points.coupons.rules import read_code, state_at
from services.points.coupons.tables import Coupon


async def look(session: AsyncSession, vault: Vault, place: Place, code: str) -> LookOut:
    """What a code stands for, and a token in its place where it can be used. Changes nothing but counts of wrong codes.

    Raises NotAtThisCounter, MerchantSuspended, CouponNotFound, CouponCodeStale, TooManyWrongCodes.
    """
    at = clock.now()
    counter = await queries.counter_at(session, place)
    if counter.suspended:
        raise MerchantSuspended
    coupon = await coupons.judge_code(session, vault, code, place.merchant_id, at, place.store_id)
    reason = _reason_against(coupon, place, at)
    token = rules.counter_token(_key(vault), place, coupon.id, at) if reason is None else None
    used_here = (coupon.used_by, coupon.store_id) == (place.merchant_id, place.store_id)
    return LookOut(
        coupon_id=coupon.id,
        reward_title=coupon.title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        state=state_at(coupon, at),
        expires_at=coupon.expires_at,
        used_here_at=coupon.used_at if used_here else None,
        usable=reason is None,
        reason=reason,
        token=token,
        token_expires_at=rules.token_expiry(at) if token else None,
    )


def use_asked(vault: Vault, place: Place, wanted: UseIn) -> CounterUse:
    """What somebody asks for who redeems a coupon, to be carried out by the ledgers' writer.

    Raises CodeOrToken, CouponCodeMalformed, CounterTokenInvalid.
    """
    if (wanted.coupon_code is None) == (wanted.token is None):
        raise CodeOrToken("token")
    if wanted.coupon_code is not None:
        coupon_id, otp = read_code(wanted.coupon_code)
        return CounterUse(place, vault, coupon_id, otp, None)
    assert wanted.token is not None
    coupon_id, expires_at = rules.read_counter_token(_key(vault), place, wanted.token)
    return CounterUse(place, vault, coupon_id, None, expires_at)


def _reason_against(coupon: Coupon, place: Place, at: datetime) -> str | None:
    """The code with which `use` would refuse the coupon at this moment."""
    if coupon.household_id == place.household_id:
        return OwnCoupon.code
    try:
        check_usable(coupon, at, Till(place.merchant_id, place.store_id))
    except DomainError as error:
        return error.code
    return None


def _key(vault: Vault) -> bytes:
    return vault.derive("counter.token")
