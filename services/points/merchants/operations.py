"""What tills ask for under numbers of their own, made ready for the ledgers' writer."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from chassis.core import clock
from chassis.core.crypto import Vault
from services.points.coupons.errors import CodeOrToken
from services.points.coupons.life import Standing
from services.points.coupons.locks import Lock, LockCoupons, Unlock, UnlockCoupons
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.coupons.rules import read_code
from services.points.coupons.use import Use, UseCoupons
from services.points.merchants import rules
from services.points.merchants.numbered import NumberedRequest, NumberedRequests
from services.points.merchants.sandbox import SandboxCoupons
from services.points.merchants.schemas import (
    LockIn,
    LockOut,
    ReturnIn,
    ReturnOut,
    ShownIn,
    UnlockIn,
    UnlockOut,
    UseIn,
    UseOut,
)
from services.points.merchants.terms import Caller, NumberKey, Operation

_LIVE: Final[dict[Operation, Callable[[], NumberedRequests[Any, Standing]]]] = {
    Operation.USE: partial(NumberedRequests, UseCoupons),
    Operation.LOCK: partial(NumberedRequests, LockCoupons),
    Operation.UNLOCK: partial(NumberedRequests, UnlockCoupons),
    Operation.RETURN: partial(NumberedRequests, ReturnCoupons),
}
_SANDBOX: Final[Callable[[], NumberedRequests[Any, Standing]]] = partial(NumberedRequests, SandboxCoupons)


def deed_for(number: NumberKey) -> Callable[[], NumberedRequests[Any, Standing]]:
    """The deed that carries out what is asked for under such a number."""
    return _SANDBOX if number.sandbox else _LIVE[number.operation]


def use_asked(vault: Vault, caller: Caller, wanted: UseIn) -> NumberedRequest[Use, Standing]:
    """A till redeems a coupon.

    Raises CodeOrToken, CouponCodeMalformed, PrepareTokenInvalid and UseTimeAhead: no number is taken for these.
    """
    coupon_id, otp, token_expires_at = _coupon_meant(vault, caller, wanted)
    rules.check_use_time(wanted.use_time, clock.now())
    parameters = rules.parameters_hash(
        coupon_id=coupon_id, store_id=wanted.store_id, use_time=wanted.use_time, out_trade_no=wanted.out_trade_no
    )
    use = Use(
        vault=vault,
        coupon_id=coupon_id,
        otp=otp,
        merchant_id=caller.merchant_id,
        mchid=caller.mchid,
        store_id=wanted.store_id,
        use_time=wanted.use_time,
        out_trade_no=wanted.out_trade_no,
        out_request_no=wanted.out_request_no,
    )
    return NumberedRequest(
        caller=caller,
        number=number_of(caller, Operation.USE, wanted.out_request_no),
        parameters=parameters,
        store_id=wanted.store_id,
        coupon_id=coupon_id,
        token_expires_at=token_expires_at,
        asked=use,
        render=lambda coupon: UseOut.of(coupon, caller, wanted),
    )


def lock_asked(vault: Vault, caller: Caller, wanted: LockIn) -> NumberedRequest[Lock, Standing]:
    """A till keeps a coupon. Raises CodeOrToken, CouponCodeMalformed and PrepareTokenInvalid."""
    coupon_id, otp, token_expires_at = _coupon_meant(vault, caller, wanted)

    def render(coupon: Standing) -> LockOut:
        assert coupon.locked_until is not None
        until = rules.in_whole_seconds(coupon.locked_until)
        token = rules.prepare_token(rules.token_key(vault), caller, wanted.store_id, coupon.id, until)
        return LockOut.of(coupon, caller, wanted, token, until)

    return NumberedRequest(
        caller=caller,
        number=number_of(caller, Operation.LOCK, wanted.out_request_no),
        parameters=rules.parameters_hash(coupon_id=coupon_id, store_id=wanted.store_id),
        store_id=wanted.store_id,
        coupon_id=coupon_id,
        token_expires_at=token_expires_at,
        asked=Lock(vault=vault, coupon_id=coupon_id, otp=otp, merchant_id=caller.merchant_id, store_id=wanted.store_id),
        render=render,
    )


def unlock_asked(caller: Caller, wanted: UnlockIn) -> NumberedRequest[Unlock, Standing]:
    """A till lets go of a coupon that it has locked."""
    return NumberedRequest(
        caller=caller,
        number=number_of(caller, Operation.UNLOCK, wanted.out_request_no),
        parameters=rules.parameters_hash(coupon_id=wanted.coupon_id, store_id=wanted.store_id),
        store_id=wanted.store_id,
        coupon_id=wanted.coupon_id,
        token_expires_at=None,
        asked=Unlock(coupon_id=wanted.coupon_id, merchant_id=caller.merchant_id, store_id=wanted.store_id),
        render=lambda coupon: UnlockOut.of(coupon, caller, wanted),
    )


def return_asked(caller: Caller, wanted: ReturnIn) -> NumberedRequest[Return, Standing]:
    """A till undoes a use."""
    return NumberedRequest(
        caller=caller,
        number=number_of(caller, Operation.RETURN, wanted.out_request_no),
        parameters=rules.parameters_hash(coupon_id=wanted.coupon_id, use_no=wanted.use_no, store_id=wanted.store_id),
        store_id=wanted.store_id,
        coupon_id=wanted.coupon_id,
        token_expires_at=None,
        asked=Return(
            coupon_id=wanted.coupon_id,
            use_no=wanted.use_no,
            merchant_id=caller.merchant_id,
            store_id=wanted.store_id,
            out_request_no=wanted.out_request_no,
        ),
        render=lambda coupon: ReturnOut.of(coupon, caller, wanted),
    )


def number_of(caller: Caller, operation: Operation, out_request_no: str) -> NumberKey:
    """What this merchant's number is unique for."""
    return NumberKey(caller.merchant_id, caller.sandbox, operation, out_request_no)


def _coupon_meant(vault: Vault, caller: Caller, wanted: ShownIn) -> tuple[str, str | None, datetime | None]:
    """The id of the coupon that is meant; the digits that were shown with it; or, by a token, when that expires."""
    if (wanted.coupon_code is None) == (wanted.prepare_token is None):
        raise CodeOrToken("prepare_token")
    if wanted.coupon_code is not None:
        return *read_code(wanted.coupon_code), None
    assert wanted.prepare_token is not None
    coupon_id, expires_at = rules.read_prepare_token(
        rules.token_key(vault), caller, wanted.store_id, wanted.prepare_token
    )
    return coupon_id, None, expires_at
