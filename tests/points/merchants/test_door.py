"""The checks at the merchants' door, in their order: each request fails at one check, and would pass those before."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select

from chassis.core import clock
from services.points.merchants import actions, queries
from services.points.merchants.jobs import forget_nonces
from services.points.merchants.tables import MerchantNonce
from tests.points.conftest import Points
from tests.points.merchants.conftest import ECHO, Key, Market, Till, market_of, refusal
from tests.town import actor

LONG_AGO = timedelta(minutes=6)
A_NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
SIGN_ERROR = (401, "SIGN_ERROR")
TIMESTAMP_EXPIRED = (401, "TIMESTAMP_EXPIRED")
NONCE_REUSED = (401, "NONCE_REUSED")


async def market_with(points: Points, key: Key, **settings: Any) -> Market:
    """The same service with other settings."""
    await points.town.start("points", **settings)
    return await market_of(points, key)


@pytest.fixture
def within_a_minute() -> Iterator[None]:
    """Limits count by the minute: here none begins while the test runs."""
    with time_machine.travel(datetime.now(UTC).replace(second=20), tick=False):
        yield


async def nonces(market: Market, till: Till) -> int:
    """How many nonces of a merchant's are remembered."""
    async with market.db.transaction() as session:
        return int(await session.scalar(select(func.count()).where(MerchantNonce.merchant_id == till.id)) or 0)


# Limit by address


@pytest.mark.usefixtures("within_a_minute")
async def test_an_address_that_floods_the_door_is_stopped_before_anything_is_looked_at(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_with(own_points, rsa_keys[0], merchant_requests_per_address=3)
    till = await market.till()  # asking for the platform's keys was the first
    answers = [await market.send("POST", ECHO, b"", "junk") for _ in range(3)]
    assert [refusal(answer) for answer in answers] == [SIGN_ERROR, SIGN_ERROR, (429, "RATE_LIMITED")]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    refused = await till.send("POST", ECHO)
    assert refusal(refused) == (429, "RATE_LIMITED")
    assert "HHBY-Signature" not in refused.headers
    assert await nonces(market, till) == 0


# Form


def without(name: str) -> Callable[[str], str]:
    def change(header: str) -> str:
        scheme, _, rest = header.partition(" ")
        return f"{scheme} {','.join(item for item in rest.split(',') if not item.startswith(name))}"

    return change


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(header: str) -> str:
        assert old in header
        return header.replace(old, new, 1)

    return change


MALFORMED = {
    "no scheme": lambda header: header.partition(" ")[2],
    "another scheme": replaced("HHBY1-SHA256-RSA2048", "WECHATPAY2-SHA256-RSA2048"),
    "a scheme in small letters": replaced("HHBY1-SHA256-RSA2048", "hhby1-sha256-rsa2048"),
    "a scheme that is longer": replaced("HHBY1-SHA256-RSA2048", "HHBY1-SHA256-RSA20480"),
    "no fields": lambda header: header.partition(" ")[0],
    "no mchid": without("mchid"),
    "no nonce": without("nonce_str"),
    "no signature": without("signature"),
    "no timestamp": without("timestamp"),
    "no serial number": without("serial_no"),
    "a field twice": lambda header: header + ',serial_no="ABCDEF"',
    "a further field": lambda header: header + ',x="y"',
    "a field in capitals": replaced("mchid=", "MCHID="),
    "a field unquoted": replaced('mchid="', "mchid="),
    "a semicolon between fields": replaced('",nonce_str', '";nonce_str'),
    "something after the fields": lambda header: header + " x",
    "a comma at the end": lambda header: header + ",",
    "an mchid of nine digits": replaced('mchid="', 'mchid="x'),
    "a nonce too short": replaced(A_NONCE, "123456789012345"),
    "a nonce too long": replaced(A_NONCE, "1" * 33),
    "a nonce with a space": replaced(A_NONCE, "1234567890 1234567890"),
    "a signature that is no base64": replaced('signature="', 'signature="*'),
    "a signature cut off": lambda header: header.replace("==", "", 1),
    "an empty serial number": lambda header: header.split("serial_no")[0] + 'serial_no=""',
    "a timestamp with a zero in front": replaced('timestamp="', 'timestamp="0'),
    "a negative timestamp": replaced('timestamp="', 'timestamp="-'),
    "a header without end": lambda header: header + "x" * 3000,
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_header_that_cannot_be_read_is_refused_saying_why_whatever_else_is_wrong(
    market: Market, till: Till, change: Callable[[str], str]
) -> None:
    header = till.authorization("POST", ECHO, b"", nonce=A_NONCE, at=clock.now() - LONG_AGO)
    answer = await market.send("POST", ECHO, b"", change(header))
    assert refusal(answer) == SIGN_ERROR
    assert answer.json()["detail"]["reason"]
    assert answer.headers["WWW-Authenticate"].startswith("HHBY1-SHA256-RSA2048")


async def test_fields_may_stand_in_any_order_and_with_spaces_between(market: Market, till: Till) -> None:
    scheme, _, rest = till.authorization("POST", ECHO, b"").partition(" ")
    answer = await market.send("POST", ECHO, b"", f"{scheme} {', '.join(reversed(rest.split(',')))}")
    assert answer.status_code == 200, answer.text


async def test_two_headers_are_not_one(market: Market, till: Till) -> None:
    header = till.authorization("POST", ECHO, b"")
    async with market.points.client() as client:
        answer = await client.post(ECHO, headers=[("Authorization", header), ("Authorization", header)])
    assert refusal(answer) == SIGN_ERROR


async def test_a_body_of_more_than_64_kib_is_refused_unread(market: Market, till: Till) -> None:
    longest = b"x" * 65536
    assert (await till.send("POST", ECHO, longest)).status_code == 200
    answer = await till.send("POST", ECHO, longest + b"x")
    assert refusal(answer) == (413, "PARAM_ERROR")


async def test_a_persons_token_is_no_merchants_signature(market: Market) -> None:
    for role in ("merchant", "administrator"):
        async with market.points.client(actor(role)) as client:
            assert refusal(await client.post(ECHO)) == SIGN_ERROR
            assert refusal(await client.get("/merchant/v1/coupons/12345678901234")) == SIGN_ERROR
            assert (await client.get("/merchant/v1/platform-keys")).status_code == 200


# Timestamp


@pytest.mark.parametrize("off", [LONG_AGO, -LONG_AGO, timedelta(seconds=301), timedelta(seconds=-301)], ids=str)
async def test_a_clock_that_is_off_is_told_so_and_nothing_else(market: Market, till: Till, off: timedelta) -> None:
    """Neither that the key is unknown nor that the signature is wrong. Nothing is done, and no nonce is burnt."""
    now = clock.now().replace(microsecond=0)
    with clock.frozen(now):
        right = await till.send("POST", ECHO, at=now + off)
        market.check_signed(right)
        wrong_signature = await till.send("POST", ECHO, b"{}", sent=b"[]", at=now + off)
        unknown_key = await till.send("POST", ECHO, at=now + off, serial_no="FFFF")
    bodies = {answer.content for answer in (right, wrong_signature, unknown_key)}
    assert len(bodies) == 1
    assert refusal(right) == TIMESTAMP_EXPIRED
    assert await nonces(market, till) == 0


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_a_clock_may_be_off_by_five_minutes(till: Till, seconds: int) -> None:
    at = clock.now().replace(microsecond=0)
    with clock.frozen(at):
        assert (await till.call("POST", "/echo", at=at + timedelta(seconds=seconds))).status_code == 200


# Key and signature


async def test_an_unknown_key_and_a_wrong_signature_are_told_alike(market: Market, till: Till) -> None:
    other = await market.till()
    answers = [
        await till.send("POST", ECHO, serial_no="FFFF"),
        await till.send("POST", ECHO, mchid="0000000001"),
        await till.send("POST", ECHO, serial_no=other.key.serial_no),
        await till.send("POST", ECHO, b"{}", sent=b"[]"),
    ]
    assert {refusal(answer) for answer in answers} == {SIGN_ERROR}
    assert len({answer.content for answer in answers}) == 1
    assert ["HHBY-Signature" in answer.headers for answer in answers] == [False, False, False, True]
    assert await nonces(market, till) == 0


CHANGED = {
    "the body by one byte": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b'{"fen":2}'),
    "a space in the body": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b'{"fen": 1}'),
    "the body left out": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b""),
    "a newline after the body": ("POST", ECHO, b"{}", "POST", ECHO, b"{}\n"),
    "the method": ("POST", ECHO, b"", "PUT", ECHO, b""),
    "the path": ("POST", ECHO, b"", "POST", "/merchant/v1/coupons/use", b""),
    "a query that was not signed": ("POST", ECHO, b"", "POST", f"{ECHO}?a=1", b""),
    "the query": ("POST", f"{ECHO}?a=1", b"", "POST", f"{ECHO}?a=2", b""),
    "the query's order": ("POST", f"{ECHO}?a=1&b=2", b"", "POST", f"{ECHO}?b=2&a=1", b""),
    "how the path is written": ("POST", ECHO, b"", "POST", "/merchant/v1/ech%6F", b""),
}


@pytest.mark.parametrize("case", CHANGED.values(), ids=CHANGED.keys())
async def test_whatever_was_changed_on_the_way_is_noticed(
    market: Market, till: Till, case: tuple[str, str, bytes, str, str, bytes]
) -> None:
    method, target, content, sent_method, sent_target, sent = case
    header = till.authorization(method, target, content)
    assert refusal(await market.send(sent_method, sent_target, sent, header)) == SIGN_ERROR
    assert await nonces(market, till) == 0
    assert (await market.send(method, target, content, header)).status_code == 200


async def test_path_and_query_are_signed_as_they_are_written(till: Till) -> None:
    for target in (f"{ECHO}?b=%E5%88%B8&a=1+2", "/merchant/v1/ech%6F"):
        answer = await till.send("POST", target)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("wrong", ["signature", "timestamp", "key"])
async def test_junk_cannot_burn_a_nonce_that_the_merchant_is_about_to_use(
    market: Market, till: Till, wrong: str
) -> None:
    nonce = secrets.token_hex(16)
    junk: dict[str, dict[str, Any]] = {
        "signature": {"sent": b"x"},
        "timestamp": {"at": clock.now() - LONG_AGO},
        "key": {"scheme": "HHBY1-ED25519"},
    }
    refused = await till.send("POST", ECHO, nonce=nonce, **junk[wrong])
    assert refused.status_code == 401
    assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200


# Nonce


async def test_a_request_that_was_overheard_does_nothing_when_it_is_sent_again(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    content = json.dumps(till.body(coupon["code"])).encode()
    header = till.authorization("POST", "/merchant/v1/coupons/use", content)
    assert (await market.send("POST", "/merchant/v1/coupons/use", content, header)).status_code == 200
    again = await market.send("POST", "/merchant/v1/coupons/use", content, header)
    assert refusal(again) == NONCE_REUSED
    market.check_signed(again)
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_of_one_request_sent_many_times_at_once_one_is_let_in(market: Market, till: Till) -> None:
    header = till.authorization("POST", ECHO, b"")
    answers = await asyncio.gather(*(market.send("POST", ECHO, b"", header) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {NONCE_REUSED}


async def test_the_nonce_of_a_request_that_failed_is_spent_too(market: Market, till: Till) -> None:
    for target in ("/merchant/v1/coupons/use", "/merchant/v1/nothing"):
        nonce = secrets.token_hex(8)
        assert (await till.send("POST", target, b"{}", nonce=nonce)).status_code in {400, 404}
        assert refusal(await till.send("POST", target, b"{}", nonce=nonce)) == NONCE_REUSED


async def test_a_nonce_is_one_merchants_and_keys(market: Market, till: Till, rsa_keys: list[Key]) -> None:
    nonce = secrets.token_hex(16)
    await market.record(till, second := rsa_keys[1].renamed())
    assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
    assert (await Till(market, till.id, till.mchid, second).send("POST", ECHO, nonce=nonce)).status_code == 200
    assert (await (await market.till()).send("POST", ECHO, nonce=nonce)).status_code == 200


async def test_a_nonce_is_remembered_for_eleven_minutes_with_and_without_the_sweep(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    nonce, at = secrets.token_hex(16), clock.now()
    runtime = own_points.town.runtime("points")
    with clock.frozen(at):
        assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
    with clock.frozen(at + timedelta(seconds=659)):
        await forget_nonces(runtime)
        assert refusal(await till.send("POST", ECHO, nonce=nonce)) == NONCE_REUSED
    with clock.frozen(at + timedelta(seconds=660)):
        assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
        await forget_nonces(runtime)
        assert await nonces(market, till) == 1
    with clock.frozen(at + timedelta(seconds=1320)):
        await forget_nonces(runtime)
        assert await nonces(market, till) == 0


# Limit by merchant, and number


@pytest.mark.usefixtures("within_a_minute")
async def test_a_merchant_over_its_limit_is_told_when_to_come_again_and_its_number_is_still_free(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_with(own_points, rsa_keys[0], merchant_requests_per_merchant=2)
    till, other = await market.till(), await market.till()
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    nonce = secrets.token_hex(16)
    assert (await till.call("POST", "/echo", nonce=nonce)).status_code == 200
    assert (await till.call("POST", "/echo")).status_code == 200
    assert refusal(await till.send("POST", ECHO, nonce=nonce)) == NONCE_REUSED  # which is checked before
    for _ in range(2):
        refused = await till.call("POST", "/coupons/use", body)
        assert refusal(refused) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert (await other.call("POST", "/echo")).status_code == 200
    await market_with(own_points, rsa_keys[0])
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


# Replies


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
