"""One request and its answer for each operation, as the OpenAPI document and docs/merchant.md show them."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_MERCHANT = "1234567890"
_STORE = "store-1"
_COUPON = "12345678901234"
_CODE = f"{_COUPON}567890"
_USE_NO = f"{_COUPON}0002"
_NUMBER = "R20261123-0001"
_MONEY = {"face_fen": 2000, "payable_fen": 1500}
_REWARD: Json = {"reward_title": "全麦小面包一个", **_MONEY, "expires_at": "2027-02-22T00:00:00+08:00"}
_TOKEN = "MTIzNDU2Nzg5MDEyMzQxNzk1NDE5MTIwc2VlIGRvY3MvbWVyY2hhbnQubWQg"  # noqa: S105  # of nobody's
_USED: Json = {
    "state": "USED",
    "coupon_id": _COUPON,
    "use_no": _USE_NO,
    "out_request_no": _NUMBER,
    "out_trade_no": "T0001",
    "mchid": _MERCHANT,
    "store_id": _STORE,
    "use_time": "2026-11-23T15:30:00+08:00",
    "used_at": "2026-11-23T15:30:01.250000+08:00",
    **_MONEY,
}
_SANDBOX_COUPON: Json = {
    "coupon_id": "02345678901234",
    "coupon_code": "02345678901234567890",
    "code_expires_at": "2026-11-23T15:30:30+08:00",
    "state": "EFFECTIVE",
    "reward_title": "沙箱测试券",
    **_MONEY,
    "expires_at": "2026-11-24T15:30:00+08:00",
}


@dataclass(frozen=True, slots=True)
class Example:
    """What an operation is sent, where it has a body, and what it answers. `parameters`: those of path and query."""

    request: Json | None = None
    response: Json | None = None
    parameters: Json | None = None


EXAMPLES = {
    "platform_keys": Example(
        response={
            "keys": [
                {
                    "serial_no": "5329CD3D1DFBF70C9C16649F492428629284151E",
                    "algorithm": "RSA2048-SHA256",
                    "public_key": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq…\n-----END PUBLIC KEY-----\n",
                    "status": "current",
                }
            ]
        }
    ),
    "echo": Example(
        request={"hello": "北苑"},
        response={
            "mchid": _MERCHANT,
            "serial_no": "6E04085E66968A9EFCCE8DD4AAEB43D950E0F587",
            "algorithm": "RSA2048-SHA256",
            "sandbox": False,
            "received_at": "2026-11-23T15:30:00.125000+08:00",
            "body": '{"hello":"北苑"}',
        },
    ),
    "prepare_coupon": Example(
        request={"coupon_code": _CODE, "store_id": _STORE},
        response={
            "coupon_id": _COUPON,
            "state": "EFFECTIVE",
            "usable": True,
            "reason": None,
            **_REWARD,
            "locked_until": None,
            "prepare_token": _TOKEN,
            "prepare_token_expires_at": "2026-11-23T15:32:00+08:00",
        },
    ),
    "use_coupon": Example(
        request={
            "coupon_code": _CODE,
            "store_id": _STORE,
            "use_time": "2026-11-23T15:30:00+08:00",
            "out_request_no": _NUMBER,
            "out_trade_no": "T0001",
        },
        response=_USED,
    ),
    "return_used_coupon": Example(
        request={"coupon_id": _COUPON, "use_no": _USE_NO, "store_id": _STORE, "out_request_no": "B20261123-0001"},
        response={
            "state": "EFFECTIVE",
            "coupon_id": _COUPON,
            "use_no": _USE_NO,
            "out_request_no": "B20261123-0001",
            "mchid": _MERCHANT,
            "store_id": _STORE,
            "returned_at": "2026-11-23T15:41:07.500000+08:00",
            **_MONEY,
        },
    ),
    "lock_coupon": Example(
        request={"coupon_code": _CODE, "store_id": _STORE, "out_request_no": "L20261123-0001"},
        response={
            "state": "LOCKED",
            "coupon_id": _COUPON,
            "out_request_no": "L20261123-0001",
            "mchid": _MERCHANT,
            "store_id": _STORE,
            "locked_until": "2026-11-23T15:45:00.250000+08:00",
            **_MONEY,
            "prepare_token": _TOKEN,
            "prepare_token_expires_at": "2026-11-23T15:45:01+08:00",
        },
    ),
    "unlock_coupon": Example(
        request={"coupon_id": _COUPON, "store_id": _STORE, "out_request_no": "U20261123-0001"},
        response={
            "state": "EFFECTIVE",
            "coupon_id": _COUPON,
            "out_request_no": "U20261123-0001",
            "mchid": _MERCHANT,
            "store_id": _STORE,
        },
    ),
    "query_coupon": Example(
        parameters={"coupon_id": _COUPON},
        response={
            "coupon_id": _COUPON,
            "state": "USED",
            **_REWARD,
            "locked_until": None,
            "use_no": _USE_NO,
            "store_id": _STORE,
            "use_time": "2026-11-23T15:30:00+08:00",
            "used_at": "2026-11-23T15:30:01.250000+08:00",
        },
    ),
    "query_request": Example(
        parameters={"operation": "use", "out_request_no": _NUMBER},
        response={
            "operation": "use",
            "out_request_no": _NUMBER,
            "status": 200,
            "answered_at": "2026-11-23T15:30:01.250000+08:00",
            "answer": _USED,
        },
    ),
    "daily_bill": Example(parameters={"bill_date": "2026-11-22"}),
    "issue_sandbox_coupon": Example(request={"valid_seconds": 86400}, response=_SANDBOX_COUPON),
    "show_sandbox_coupon": Example(parameters={"coupon_id": "02345678901234"}, response=_SANDBOX_COUPON),
}
"""By operation id."""

REFUSAL: Json = {
    "code": "COUPON_USED",
    "message": "券已核销 This coupon was used",
    "detail": {"reason": "", "fields": []},
}
