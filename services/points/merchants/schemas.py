"""What merchants send and get. Times go out with Beijing's offset; states are in capitals."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints

from chassis.core.beijing import BEIJING
from chassis.core.schema import In, Out
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.merchants.platform import KeyStatus, PlatformKey
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Algorithm, Caller, Operation

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EARLIEST = datetime(2020, 1, 1, tzinfo=BEIJING)
_LATEST = datetime(2200, 1, 1, tzinfo=BEIJING)


def _rfc3339(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("is not of the form 2026-01-31T18:30:00+08:00")
    return value


def _thinkable(value: datetime) -> datetime:
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError("is no time that a till could mean")
    return value


OutRequestNo = Annotated[str, StringConstraints(strict=True, pattern="^[A-Za-z0-9_-]{6,64}$")]
"""商户请求单号: the merchant's own, unique for the merchant and operation."""

StoreId = Annotated[str, StringConstraints(strict=True, pattern="^[A-Za-z0-9_-]{1,32}$")]
OutTradeNo = Annotated[str, StringConstraints(strict=True, pattern="^[A-Za-z0-9_|*-]{1,64}$")]
CouponCode = Annotated[str, StringConstraints(strict=True, pattern="^[0-9]{20}$")]
CouponId = Annotated[str, StringConstraints(strict=True, pattern="^[0-9]{14}$")]
PrepareToken = Annotated[str, StringConstraints(strict=True, pattern="^[A-Za-z0-9_-]{1,200}$")]
UseTime = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_thinkable)]


class PrepareIn(In):
    """The code that is shown (20 digits), and the store where."""

    coupon_code: CouponCode
    store_id: StoreId


class UseIn(In):
    """What is redeemed: exactly one of `coupon_code` and `prepare_token` says which coupon. `use_time` has an offset.

    A retry repeats everything, `use_time` included.
    """

    coupon_code: CouponCode | None = None
    prepare_token: PrepareToken | None = None
    store_id: StoreId
    use_time: UseTime
    out_request_no: OutRequestNo
    out_trade_no: OutTradeNo | None = None


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
    prepare_token: str | None
    prepare_token_expires_at: datetime | None


class UseOut(Out):
    """A coupon that was redeemed. `use_no` 核销流水号 names this use for ever; `used_at` is when it was booked."""

    state: str
    coupon_id: str
    use_no: str
    out_request_no: str
    out_trade_no: str | None
    mchid: str
    store_id: str
    use_time: datetime
    used_at: datetime
    face_fen: int
    payable_fen: int

    @classmethod
    def of(cls, coupon: Coupon, caller: Caller, wanted: UseIn) -> Self:
        """The answer to the request that redeemed it."""
        assert coupon.use_no is not None
        assert coupon.used_at is not None
        return cls(
            state=in_capitals(coupon.state),
            coupon_id=coupon.id,
            use_no=coupon.use_no,
            out_request_no=wanted.out_request_no,
            out_trade_no=wanted.out_trade_no,
            mchid=caller.mchid,
            store_id=wanted.store_id,
            use_time=in_beijing(wanted.use_time),
            used_at=in_beijing(coupon.used_at),
            face_fen=coupon.face_fen,
            payable_fen=coupon.payable_fen,
        )


class CouponOut(Out):
    """A coupon that the merchant honours. The use is shown to the merchant where it was used."""

    coupon_id: str
    state: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: datetime
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
