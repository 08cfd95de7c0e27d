"""Bad input is named, field by field, in Chinese; and no number is taken by it."""

from typing import Any

import pytest

from tests.points.merchants.conftest import Market, Till, fields_of, refusal
from tests.points.merchants.refusals import PARAM_ERROR, REQUEST_NOT_FOUND

A_CODE, A_COUPON = "1" * 20, "1" * 14
USE = "/merchant/v1/coupons/use"
BAD_USES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no store": ({"store_id": None}, {"body.store_id"}),
    "a store with a space": ({"store_id": "a b"}, {"body.store_id"}),
    "no time": ({"use_time": None}, {"body.use_time"}),
    "a time without offset": ({"use_time": "2026-01-31T18:30:00"}, {"body.use_time"}),
    "a time that is a number": ({"use_time": 1769855400}, {"body.use_time"}),
    "a time that is none": ({"use_time": "2026-02-30T18:30:00+08:00"}, {"body.use_time"}),
    "a time before all times": ({"use_time": "0001-01-01T00:00:00+14:00"}, {"body.use_time"}),
    "a time after all times": ({"use_time": "9999-12-31T23:59:59-12:00"}, {"body.use_time"}),
    "a time to come": ({"use_time": "2099-01-01T00:00:00+08:00"}, {"body.use_time"}),
    "no number": ({"out_request_no": None}, {"body.out_request_no"}),
    "a number too short": ({"out_request_no": "R1234"}, {"body.out_request_no"}),
    "a number too long": ({"out_request_no": "R" * 65}, {"body.out_request_no"}),
    "a number with a dot": ({"out_request_no": "R.123456"}, {"body.out_request_no"}),
    "a number with a newline": ({"out_request_no": "R123456\n"}, {"body.out_request_no"}),
    "a code too short": ({"coupon_code": "1" * 19}, {"body.coupon_code"}),
    "a code in other digits": ({"coupon_code": "１" * 20}, {"body.coupon_code"}),
    "a code that is a number": ({"coupon_code": 12345678901234567890}, {"body.coupon_code"}),
    "neither code nor token": ({"coupon_code": None}, {"body.coupon_code", "body.prepare_token"}),
    "both code and token": ({"prepare_token": "AAAA"}, {"body.coupon_code", "body.prepare_token"}),
    "a trade number with a comma": ({"out_trade_no": "a,b"}, {"body.out_trade_no"}),
    "a field that is not known": ({"amount": 1}, {"body.amount"}),
}

BAD_OTHERS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "lock: neither code nor token": ("lock", {}, {"body.coupon_code", "body.prepare_token"}),
    "lock: both": ("lock", {"coupon_code": A_CODE, "prepare_token": "A"}, {"body.coupon_code", "body.prepare_token"}),
    "lock: a token that is none": ("lock", {"prepare_token": "A.B"}, {"body.prepare_token"}),
    "lock: a time": ("lock", {"coupon_code": A_CODE, "use_time": "2026-01-31T18:30:00+08:00"}, {"body.use_time"}),
    "unlock: a code": ("unlock", {"coupon_code": A_CODE}, {"body.coupon_id", "body.coupon_code"}),
    "unlock: no coupon": ("unlock", {}, {"body.coupon_id"}),
    "unlock: a coupon that is none": ("unlock", {"coupon_id": A_CODE}, {"body.coupon_id"}),
    "return: no use_no": ("return", {"coupon_id": A_COUPON}, {"body.use_no"}),
    "return: a use_no that is none": ("return", {"coupon_id": A_COUPON, "use_no": "x"}, {"body.use_no"}),
}


async def check_number_is_free(till: Till, operation: str, body: dict[str, Any]) -> None:
    asked = await till.call("GET", f"/requests/{operation}/{body['out_request_no']}")
    assert refusal(asked) == REQUEST_NOT_FOUND


@pytest.mark.parametrize(("change", "fields"), BAD_USES.values(), ids=BAD_USES.keys())
async def test_bad_input_is_named_and_takes_no_number(till: Till, change: dict[str, Any], fields: set[str]) -> None:
    body = till.body(A_CODE)
    sent = {name: value for name, value in (body | change).items() if value is not None}
    assert fields_of(await till.call("POST", "/coupons/use", sent)) == fields
    await check_number_is_free(till, "use", body)


@pytest.mark.parametrize(("operation", "change", "fields"), BAD_OTHERS.values(), ids=BAD_OTHERS.keys())
async def test_bad_input_of_the_other_operations_is_named_and_takes_no_number(
    till: Till, operation: str, change: dict[str, Any], fields: set[str]
) -> None:
    body = till.body(use_time=None) | change
    assert fields_of(await till.call("POST", f"/coupons/{operation}", body)) == fields
    await check_number_is_free(till, operation, body)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/coupons/123", "path.coupon_id"),
        ("/sandbox/coupons/123", "path.coupon_id"),
        ("/requests/echo/R0000001", "path.operation"),
        ("/requests/use/R.000001", "path.out_request_no"),
        ("/bills/daily", "query.bill_date"),
        ("/bills/daily?bill_date=", "query.bill_date"),
        ("/bills/daily?bill_date=20261122", "query.bill_date"),
        ("/bills/daily?bill_date=1795300000", "query.bill_date"),
        ("/bills/daily?bill_date=2026-02-30", "query.bill_date"),
        ("/bills/daily?bill_date=2019-12-31", "query.bill_date"),
        ("/bills/daily?bill_date=9999-12-31", "query.bill_date"),
        ("/bills/daily?bill_date=2026-03-01&x=1", "query.x"),
    ],
)
async def test_what_is_asked_for_in_a_wrong_form_is_named(till: Till, path: str, field: str) -> None:
    assert fields_of(await till.call("GET", path)) == {field}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reward_title", ""),
        ("reward_title", "券" * 61),
        ("reward_title", "\x00"),
        ("reward_title", 1),
        ("face_fen", -1),
        ("face_fen", 100_001),
        ("face_fen", "2000"),
        ("face_fen", 10**40),
        ("payable_fen", 1.5),
        ("valid_seconds", 0),
        ("valid_seconds", True),
        ("points", 1),
    ],
    ids=repr,
)
async def test_a_sandbox_coupon_that_could_not_be_is_refused(till: Till, name: str, value: Any) -> None:
    assert fields_of(await till.call("POST", "/sandbox/coupons", {name: value})) == {f"body.{name}"}


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'"x"'], ids=repr)
async def test_a_body_that_is_no_json_object_is_told_so(till: Till, content: bytes) -> None:
    for path in (USE, "/merchant/v1/coupons/prepare"):
        assert fields_of(await till.send("POST", path, content)) == {"body"}


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"a":' * 9000, b"{'a': 1}"], ids=lambda content: repr(content[:9])
)
async def test_a_body_that_is_no_json_is_told_so(market: Market, till: Till, content: bytes) -> None:
    for path in (USE, "/merchant/v1/coupons/prepare"):
        answer = await till.send("POST", path, content)
        assert refusal(answer) == PARAM_ERROR
        assert "JSON" in answer.json()["message"]
        market.check_signed(answer)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "x"])
async def test_json_that_comes_as_something_else_is_told_so(market: Market, till: Till, media_type: str) -> None:
    content = b"{}"
    answer = await market.send("POST", USE, content, till.authorization("POST", USE, content), content_type=media_type)
    assert fields_of(answer) == {"body"}
    assert "Content-Type" in answer.json()["detail"]["fields"][0]["reason"]


async def test_anything_may_be_echoed(till: Till) -> None:
    for content in (b"", b"\xff\x00", '{"券":"\\ud800"}'.encode(), b"[" * 60000):
        answer = await till.send("POST", "/merchant/v1/echo", content)
        assert answer.status_code == 200
        assert answer.json()["body"] == content.decode("utf-8", "replace")
