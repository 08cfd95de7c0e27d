"""What is answered: in one shape, signed wherever the merchant is known, and showing nothing of what is within."""

import secrets
from typing import Any

import pytest

from services.points.merchants import actions, queries
from tests.points.merchants.conftest import ECHO, Market, Till, refusal
from tests.points.merchants.refusals import SIGN_ERROR


async def test_every_reply_to_a_known_key_is_signed_for_its_nonce(market: Market, till: Till) -> None:
    calls = {
        ("POST", "/echo"): 200,
        ("GET", "/platform-keys"): 200,
        ("GET", "/nothing"): 404,
        ("GET", ""): 404,
        ("GET", "/coupons/12345678901234"): 404,
        ("GET", "/coupons/x"): 400,
        ("GET", "/requests/use/R00000001"): 404,
        ("GET", "/requests/return/R00000001"): 404,
        ("GET", "/requests/echo/R00000001"): 400,
        ("GET", "/bills/daily?bill_date=2026-03-01"): 200,
        ("GET", "/bills/daily"): 400,
        ("POST", "/sandbox/coupons"): 403,
        ("PUT", "/echo"): 405,
        ("POST", "/coupons/use"): 400,
    }
    for (method, path), status in calls.items():
        nonce = secrets.token_hex(16)
        answer = await till.call(method, path, nonce=nonce)
        assert (method, path, answer.status_code) == (method, path, status)
        assert answer.headers["HHBY-Nonce"] == nonce
        if status != 200:
            refusal(answer)


async def test_a_reply_to_nobody_known_is_not_signed(market: Market, till: Till) -> None:
    for answer in (
        await market.send("POST", ECHO),
        await till.send("POST", ECHO, serial_no="FFFF"),
        await market.send("GET", "/merchant/v1/platform-keys"),
    ):
        assert not [name for name in answer.headers if name.startswith("hhby-")]


async def test_what_is_not_there_is_told_in_the_same_shape_with_or_without_a_signature(
    market: Market, till: Till
) -> None:
    assert refusal(await market.send("GET", "/merchant/v1/nothing")) == (404, "NOT_FOUND")
    assert refusal(await market.send("GET", "/merchant/v1")) == (404, "NOT_FOUND")
    wrong_method = await market.send("DELETE", ECHO)
    assert refusal(wrong_method) == (405, "METHOD_NOT_ALLOWED")
    assert wrong_method.headers["Allow"] == "POST"
    assert refusal(await till.send("GET", "/merchant/v1/nothing", b"", sent=b"x")) == SIGN_ERROR


async def test_a_defect_of_ours_is_told_as_such_and_shows_nothing(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(actions, "show_coupon", broken)
    answer = await till.call("GET", "/coupons/12345678901234")
    assert refusal(answer) == (500, "SYSTEM_ERROR")
    assert "SELECT" not in answer.text
    monkeypatch.setattr(queries, "merchant_and_key", broken)
    answer = await till.send("POST", ECHO)
    assert refusal(answer) == (500, "SYSTEM_ERROR")


async def test_the_reply_names_the_request_as_the_callers_id_does(market: Market) -> None:
    answer = await market.send("GET", "/merchant/v1/platform-keys", x_request_id="till-7-0001")
    assert answer.headers["Request-ID"] == answer.headers["X-Request-Id"] == "till-7-0001"


async def test_a_header_for_residents_repeats_is_nothing_here(market: Market, till: Till) -> None:
    header = till.authorization("POST", ECHO, b"")
    answer = await market.send("POST", ECHO, b"", header, idempotency_key="1")
    assert answer.status_code == 200
