"""What merchants send and get. Times go out with Beijing's offset; states are in capitals."""

import json
from datetime import datetime
from typing import Any, Self

from chassis.core.beijing import BEIJING
from chassis.core.schema import In, Out
from services.points.coupons.life import Standing
from services.points.coupons.terms import CouponState
from services.points.merchants.fields import (
    BillDate,
    CouponCode,
    CouponId,
    Fen,
    OutRequestNo,
    OutTradeNo,
    PrepareToken,
    RewardTitle,
    StoreId,
    UseNo,
    UseTime,
    ValidSeconds,
)
from services.points.merchants.platform import KeyStatus, PlatformKey
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Algorithm, Caller, Operation


class PrepareIn(In):
    """The code that is shown (20 digits), and the store where."""

    coupon_code: CouponCode
    store_id: StoreId


class ShownIn(In):
    """A coupon at a store, under a number: exactly one of `coupon_code` and `prepare_token` says which."""

    coupon_code: CouponCode | None = None
    prepare_token: PrepareToken | None = None
    store_id: StoreId
    out_request_no: OutRequestNo


class UseIn(ShownIn):
    """What is redeemed. `use_time` has an offset. A retry repeats everything, `use_time` included."""

    use_time: UseTime
    out_trade_no: OutTradeNo | None = None


class LockIn(ShownIn):
    """What is to be kept for this store."""


class UnlockIn(In):
    """What this store has locked and does not need."""

    coupon_id: CouponId
    store_id: StoreId
    out_request_no: OutRequestNo


class ReturnIn(In):
    """The use that is to be undone: the coupon, and `use_no` from the answer to the use, at the store where it was."""

    coupon_id: CouponId
    use_no: UseNo
    store_id: StoreId
    out_request_no: OutRequestNo


class SandboxCouponIn(In):
    """What a coupon to try with says; nothing needs to be said."""

    reward_title: RewardTitle = "沙箱测试券"
    face_fen: Fen = 2000
    payable_fen: Fen = 1500
    valid_seconds: ValidSeconds = 86400
    """For how long it is good: a short time, to see what an expired one is answered with."""


class BillFilters(In):
    """Of which day the bill is: one that is over, in Beijing."""

    bill_date: BillDate


class EchoOut(Out):
    """Whose signature it was, by our clock when, and the body as it arrived."""

    mchid: str
    serial_no: str
    algorithm: Algorithm
    sandbox: bool
    received_at: datetime
    body: str


class PlatformKeyOut(Out):
    """A public key by which replies are checked: SubjectPublicKeyInfo as PEM."""

    serial_no: str
    algorithm: Algorithm
    public_key: str
    status: KeyStatus

    @classmethod
    def of(cls, key: PlatformKey) -> Self:
        """The public half."""
        return cls(serial_no=key.serial_no, algorithm=Algorithm.RSA, public_key=key.public_key, status=key.status)


class PlatformKeysOut(Out):
    """The key that signs now, and the one that will."""

    keys: list[PlatformKeyOut]


class PrepareOut(Out):
    """What a code stands for. `reason` is the code with which `use` would refuse it; then there is no token."""

    coupon_id: str
    state: str
    usable: bool
    reason: str | None
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: datetime
    locked_until: datetime | None
    prepare_token: str | None
    prepare_token_expires_at: datetime | None


class ChangedOut(Out):
    """A coupon to which something was done, and under which number of which merchant's store."""

    state: str
    coupon_id: str
    out_request_no: str
    mchid: str
    store_id: str


class WorthOut(ChangedOut):
    """The same with what the coupon is worth, and what the merchant is owed for it."""

    face_fen: int
    payable_fen: int


class UseOut(WorthOut):
    """A coupon that was redeemed. `use_no` 核销流水号 names this use for ever; `used_at` is when it was booked."""

    use_no: str
    out_trade_no: str | None
    use_time: datetime
    used_at: datetime

    @classmethod
    def of(cls, coupon: Standing, caller: Caller, wanted: UseIn) -> Self:
        """The answer to the request that redeemed it."""
        assert coupon.use_no is not None
        assert coupon.used_at is not None
        return cls(
            **_worth(coupon, caller, wanted),
            use_no=coupon.use_no,
            out_trade_no=wanted.out_trade_no,
            use_time=in_beijing(wanted.use_time),
            used_at=in_beijing(coupon.used_at),
        )


class LockOut(WorthOut):
    """A coupon that is kept for a store until `locked_until`; so long the token stands for its code there."""

    locked_until: datetime
    prepare_token: str
    prepare_token_expires_at: datetime

    @classmethod
    def of(cls, coupon: Standing, caller: Caller, wanted: LockIn, token: str, token_expires_at: datetime) -> Self:
        """The answer to the request that locked it."""
        assert coupon.locked_until is not None
        return cls(
            **_worth(coupon, caller, wanted),
            locked_until=in_beijing(coupon.locked_until),
            prepare_token=token,
            prepare_token_expires_at=in_beijing(token_expires_at),
        )


class UnlockOut(ChangedOut):
    """A coupon that this store keeps no longer."""

    @classmethod
    def of(cls, coupon: Standing, caller: Caller, wanted: UnlockIn) -> Self:
        """The answer to the request that freed it."""
        return cls(**_changed(coupon, caller, wanted))


class ReturnOut(WorthOut):
    """A use that was undone, by its `use_no`; the coupon is EFFECTIVE, or EXPIRED where its time is over."""

    use_no: str
    returned_at: datetime

    @classmethod
    def of(cls, coupon: Standing, caller: Caller, wanted: ReturnIn) -> Self:
        """The answer to the request that undid it."""
        return cls(**_worth(coupon, caller, wanted), use_no=wanted.use_no, returned_at=in_beijing(coupon.at))


class SandboxCouponOut(Out):
    """A coupon to try with, and the code that a telephone would show; none where it cannot be used."""

    coupon_id: str
    coupon_code: str | None
    code_expires_at: datetime | None
    state: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: datetime


class CouponOut(Out):
    """A coupon that the merchant honours. The use is shown to the merchant where it was used."""

    coupon_id: str
    state: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: datetime
    locked_until: datetime | None
    use_no: str | None
    store_id: str | None
    use_time: datetime | None
    used_at: datetime | None


class RequestOut(Out):
    """What became of a request: the status of its first answer, and that answer."""

    operation: Operation
    out_request_no: str
    status: int
    answered_at: datetime
    answer: dict[str, Any]

    @classmethod
    def of(cls, request: MerchantRequest) -> Self:
        """A request that was answered, as every one is that can be seen."""
        assert request.answered_at is not None
        answer = request.kept()
        return cls(
            operation=request.operation,
            out_request_no=request.out_request_no,
            status=answer.status,
            answered_at=in_beijing(request.answered_at),
            answer=json.loads(answer.body),
        )


def in_capitals(state: CouponState) -> str:
    """EFFECTIVE, LOCKED, USED, EXPIRED, DEACTIVATED, REFUNDED."""
    return state.value.upper()


def in_beijing(moment: datetime) -> datetime:
    """The same moment with Beijing's offset."""
    return moment.astimezone(BEIJING)


def _changed(coupon: Standing, caller: Caller, wanted: ShownIn | UnlockIn | ReturnIn) -> dict[str, Any]:
    return {
        "state": in_capitals(coupon.state),
        "coupon_id": coupon.id,
        "out_request_no": wanted.out_request_no,
        "mchid": caller.mchid,
        "store_id": wanted.store_id,
    }


def _worth(coupon: Standing, caller: Caller, wanted: ShownIn | UnlockIn | ReturnIn) -> dict[str, Any]:
    return _changed(coupon, caller, wanted) | {"face_fen": coupon.face_fen, "payable_fen": coupon.payable_fen}
