"""What the merchants' door refuses. The code on the wire is the code here in capitals (see `envelope`)."""

from chassis.core.errors import (
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    RequestInProgress,
    TooManyRequests,
    Unauthenticated,
)
from services.points.merchants.terms import SCHEMES


class NotSigned(Unauthenticated):
    """What is wrong with a request before anything is done."""

    challenge = ", ".join(SCHEMES)


class SignError(NotSigned):
    """No signature, or none that can be read, or by no key that is good here, or not over this request.

    What cannot be read is said; which of the others it is, is not.
    """

    code = "sign_error"
    title, title_zh = "The signature is not right", "签名错误"


class TimestampExpired(NotSigned):
    code = "timestamp_expired"
    title, title_zh = "The timestamp is more than 300 s from our clock", "时间戳与服务器时间相差超过300秒"


class NonceReused(NotSigned):
    code = "nonce_reused"
    title, title_zh = "This nonce was used before; sign anew", "随机串已使用，请重新签名"


class NoAuth(Forbidden):
    """What a merchant may not do. Each of its kinds says which it is, under one code."""

    code = "no_auth"


class NotOwnStore(NoAuth):
    """The store is not one of the merchant's, or closed. Whether it is another merchant's is not said."""

    title, title_zh = "This merchant has no such store, or it is closed", "门店号不存在、不属于本商户或门店已关闭"

    def __init__(self) -> None:
        reason = "不是本商户营业中的门店 is no open store of this merchant"
        super().__init__(fields=[FieldError("body.store_id", reason)])


class MerchantSuspended(NoAuth):
    """Nothing is looked at, taken, kept or returned until the subdistrict lifts it."""

    title, title_zh = "This merchant is suspended; ask the subdistrict", "商户已停用，请联系街道"


class OutRequestNoConflict(Conflict):
    code = "out_request_no_conflict"
    title, title_zh = (
        "This out_request_no belongs to a request with other parameters",
        "商户请求单号已用于其他参数的请求",
    )


class NumberInProgress(RequestInProgress):
    """The first request under this number has not been answered within five seconds."""

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class RequestNotFound(NotFound):
    """Nothing was done under this number so far."""

    code = "request_not_found"
    title, title_zh = "No request was made under this number", "该请求单号不存在"


class PrepareTokenInvalid(Invalid):
    """Not a token that this merchant was given for this store."""

    def __init__(self) -> None:
        reason = "不是为本商户本门店签发的 was not made for this merchant and store"
        super().__init__(fields=[FieldError("body.prepare_token", reason)])


class UseTimeAhead(Invalid):
    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.use_time", "晚于当前时间 lies in the future")])


class SandboxOnly(NoAuth):
    """Coupons to try with are there under a sandbox key alone."""

    title, title_zh = "This needs a sandbox key", "仅限沙箱密钥"


class SandboxFull(TooManyRequests):
    """A thousand coupons to try with a day are enough."""

    code = "sandbox_full"
    title, title_zh = "Enough sandbox coupons for a day", "今日沙箱券已达上限"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=3600)


class BillDateNotOver(Invalid):
    def __init__(self) -> None:
        reason = "不是已结束的一天（北京时间） is no day that is over, in Beijing"
        super().__init__(fields=[FieldError("query.bill_date", reason)])


class BillNotReady(NotFound):
    """Yesterday's bill is given out from ten in the morning on."""

    code = "bill_not_ready"
    title, title_zh = "This bill is ready from 10:00 (Beijing)", "账单于次日10点后提供"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds)})

    @property
    def repeats(self) -> bool:
        return False


class MerchantNotFound(NotFound):
    code = "merchant_not_found"
    title, title_zh = "There is no such merchant", "没有这个商户"


class KeyNotAcceptable(Invalid):
    code = "key_not_acceptable"
    title, title_zh = "This public key cannot be taken", "公钥不符合要求"


class TooManyKeys(Conflict):
    """A merchant has two keys of a kind at most: the one in use and its successor."""

    code = "too_many_keys"
    title, title_zh = "Two keys of this kind are live already", "同类有效密钥已有两个"


class BodyTooLarge(DomainError):
    status, code = 413, "body_too_large"
    title, title_zh = "The request is too large", "请求内容过大"


class Internal(DomainError):
    """A defect of ours. What it was stands in the log, under the request id."""

    status, code = 500, "internal"
    title, title_zh = "Something went wrong here", "服务器内部错误"
