"""What the platform answers. Money in fen 分; moments with an offset. What a later version adds is left aside."""

from dataclasses import dataclass
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Prepared(_Answer):
    """核销准备. Where `usable` is false, `reason` is the code with which `use` would refuse; then there is no token."""

    coupon_id: str
    state: str
    usable: bool
    reason: str | None
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: AwareDatetime
    locked_until: AwareDatetime | None
    prepare_token: str | None
    prepare_token_expires_at: AwareDatetime | None


class Locked(_Answer):
    """锁定. The coupon is kept for this till until `locked_until`; the token stands for its code as long."""

    coupon_id: str
    state: str
    out_request_no: str
    store_id: str
    locked_until: AwareDatetime
    face_fen: int
    payable_fen: int
    prepare_token: str
    prepare_token_expires_at: AwareDatetime


class Unlocked(_Answer):
    """解锁. The coupon as it stands now that this till keeps it no longer."""

    coupon_id: str
    state: str
    out_request_no: str
    store_id: str


class Used(_Answer):
    """核销. `use_no` 核销流水号 names this use for ever; `used_at` is when it was booked."""

    state: str
    coupon_id: str
    use_no: str
    out_request_no: str
    out_trade_no: str | None
    store_id: str
    use_time: AwareDatetime
    used_at: AwareDatetime
    face_fen: int
    payable_fen: int


class Returned(_Answer):
    """退回. The use is undone; the coupon is EFFECTIVE again, or EXPIRED where its time is over."""

    coupon_id: str
    state: str
    use_no: str
    out_request_no: str
    store_id: str
    returned_at: AwareDatetime
    face_fen: int
    payable_fen: int


class Coupon(_Answer):
    """查询券. The use is shown to the merchant where it was used."""

    coupon_id: str
    state: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: AwareDatetime
    locked_until: AwareDatetime | None
    use_no: str | None
    store_id: str | None
    use_time: AwareDatetime | None
    used_at: AwareDatetime | None


class SandboxCoupon(_Answer):
    """沙箱券: one to try with, and the code that a telephone would show now; none where it cannot be used any more."""

    coupon_id: str
    coupon_code: str | None
    code_expires_at: AwareDatetime | None
    state: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: AwareDatetime


class Request(_Answer):
    """查询请求结果: the status and the body of the first answer under a number, be it a yes (200) or a no."""

    operation: str
    out_request_no: str
    status: int
    answered_at: AwareDatetime
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bill:
    """日账单 of one day: the CSV, whose SHA-256 is the one that the platform gave."""

    bill_date: str
    csv: bytes
    sha256: str
