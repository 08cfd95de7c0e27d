"""Coupons at a till: looked at, redeemed once under a number, asked about; and nothing of whose they are."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from chassis.core import clock
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.merchants.tables import Merchant, MerchantRequest
from services.points.merchants.terms import MerchantState
from tests.points.merchants.conftest import Market, Till, refusal

NOT_FOUND = (404, "COUPON_NOT_FOUND")
STALE = (409, "COUPON_CODE_STALE")
USED = (409, "COUPON_USED")
PARAM_ERROR = (400, "PARAM_ERROR")
NO_AUTH = (403, "NO_AUTH")
CONFLICT = (409, "OUT_REQUEST_NO_CONFLICT")


def number() -> str:
    return f"R{secrets.token_hex(8)}"


def fields_of(answer: Any) -> set[str]:
    """The names of the fields at fault."""
    assert refusal(answer) == PARAM_ERROR
    return {field["name"] for field in answer.json()["detail"]["fields"]}


async def set_state(market: Market, coupon_id: str, state: CouponState) -> None:
    async with market.db.transaction() as session:
        await session.execute(update(Coupon).where(Coupon.id == coupon_id).values(state=state))


# prepare


async def test_a_till_sees_what_a_code_is_worth_before_it_takes_it(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    at = clock.now()
    with clock.frozen(at):
        answer = await till.prepare(coupon["code"])
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    token = seen.pop("prepare_token")
    assert token
    good_until = datetime.fromisoformat(seen.pop("prepare_token_expires_at"))
    assert timedelta(seconds=120) <= good_until - at < timedelta(seconds=121)
    assert datetime.fromisoformat(seen.pop("expires_at")) == datetime.fromisoformat(coupon["expires_at"])
    assert seen == {
        "coupon_id": coupon["id"],
        "state": "EFFECTIVE",
        "usable": True,
        "reason": None,
        "reward_title": "理发券",
        "face_fen": 2000,
        "payable_fen": 1500,
        "locked_until": None,
    }
    assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "EFFECTIVE"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (CouponState.DEACTIVATED, "COUPON_EXPIRED"),
        (CouponState.REFUNDED, "COUPON_EXPIRED"),
        (CouponState.EXPIRED, "COUPON_EXPIRED"),
    ],
    ids=str,
)
async def test_a_coupon_that_cannot_be_used_says_why_and_gives_no_token(
    own_market: Market, state: CouponState, reason: str
) -> None:
    till = await own_market.till()
    _, coupon = await own_market.coupon(till)
    await set_state(own_market, coupon["id"], state)
    seen = (await till.prepare(coupon["code"])).json()
    assert (seen["state"], seen["usable"], seen["reason"]) == (state.value.upper(), False, reason)
    assert (seen["prepare_token"], seen["prepare_token_expires_at"]) == (None, None)
    assert refusal(await till.use(coupon["code"])) == (409, reason)


async def test_a_used_coupon_is_seen_as_used(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    await till.use(coupon["code"])
    seen = (await till.prepare(coupon["code"])).json()
    assert (seen["state"], seen["usable"], seen["reason"], seen["prepare_token"]) == (
        "USED",
        False,
        "COUPON_USED",
        None,
    )


async def test_a_token_takes_the_codes_place_for_two_minutes(market: Market, till: Till) -> None:
    """The customer has put the phone away, and the code that was shown is long over."""
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
    with clock.frozen(at + timedelta(seconds=119)):
        assert refusal(await till.use(coupon["code"])) == STALE
        answer = await till.use(prepare_token=token)
        assert answer.json()["coupon_id"] == coupon["id"]
        assert refusal(await till.use(prepare_token=token)) == USED


async def test_a_token_that_is_over_is_stale(market: Market, till: Till) -> None:
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
    with clock.frozen(at + timedelta(seconds=121)):
        assert refusal(await till.use(prepare_token=token)) == STALE


async def test_a_token_is_good_at_the_store_and_merchant_that_it_was_made_for_alone(market: Market) -> None:
    here, there = await market.till(stores=("store-1", "store-2")), await market.till(stores=("store-1", "store-2"))
    _, coupon = await market.coupon(here, there)
    token = (await here.prepare(coupon["code"])).json()["prepare_token"]
    sandbox = Till(market, here.id, here.mchid, here.key.renamed())
    await market.record(sandbox, sandbox.key, sandbox=True)
    assert fields_of(await there.use(prepare_token=token)) == {"body.prepare_token"}
    assert fields_of(await here.use(prepare_token=token, store_id="store-2")) == {"body.prepare_token"}
    assert fields_of(await sandbox.use(prepare_token=token)) == {"body.prepare_token"}
    swapped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for junk in (swapped, "A", "AAAA" * 20, token[4:], token * 2):
        assert fields_of(await here.use(prepare_token=junk)) == {"body.prepare_token"}
    assert (await here.use(prepare_token=token)).status_code == 200


# use


async def test_a_coupon_is_redeemed_and_its_points_are_what_the_merchant_is_owed(market: Market, till: Till) -> None:
    family, coupon = await market.coupon(till)
    at = clock.now().replace(microsecond=0)
    with clock.frozen(at):
        body = till.body(coupon["code"], out_trade_no="T|20261123*1", use_time="2026-01-31T18:30:00+08:00")
        answer = await till.call("POST", "/coupons/use", body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    use_no = said.pop("use_no")
    used_at = said.pop("used_at")
    assert datetime.fromisoformat(used_at) >= at  # that of posting, which never runs backwards
    assert said == {
        "state": "USED",
        "coupon_id": coupon["id"],
        "out_request_no": body["out_request_no"],
        "out_trade_no": "T|20261123*1",
        "mchid": till.mchid,
        "store_id": "store-1",
        "use_time": "2026-01-31T18:30:00+08:00",
        "face_fen": 2000,
        "payable_fen": 1500,
    }
    seen = (await till.call("GET", f"/coupons/{coupon['id']}")).json()
    assert (seen["state"], seen["use_no"], seen["store_id"]) == ("USED", use_no, "store-1")
    assert seen["used_at"] == used_at
    assert await market.shop.payable(till) == 12
    assert await market.shop.balance(family) == 0
    await market.shop.check()


async def test_the_same_number_gets_the_first_answer_again_to_the_byte_and_freshly_signed(
    market: Market, till: Till
) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    first = await till.call("POST", "/coupons/use", body)
    with clock.frozen(clock.now() + timedelta(seconds=5)):
        again = await till.call("POST", "/coupons/use", body)
    assert (again.status_code, again.content) == (200, first.content)
    for name in ("HHBY-Nonce", "HHBY-Timestamp", "HHBY-Signature"):
        assert again.headers[name] != first.headers[name]
    assert refusal(await till.use(coupon["code"])) == USED
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_a_retry_may_come_after_the_code_is_over_or_show_the_next_one(market: Market, till: Till) -> None:
    """The number is looked up before the code is judged, and it is the coupon that counts, not the code."""
    at = clock.now()
    with clock.frozen(at):
        family, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
        body = till.body(coupon["code"])
        first = await till.call("POST", "/coupons/use", body)
    with clock.frozen(at + timedelta(hours=2)):
        [wrong] = await market.shop.wrong(coupon["id"])
        retries = [
            body,
            body | {"coupon_code": wrong},
            {name: value for name, value in body.items() if name != "coupon_code"} | {"prepare_token": token},
        ]
        for retry in retries:
            again = await till.call("POST", "/coupons/use", retry)
            assert again.content == first.content
        assert (await market.shop.show(family, coupon["id"])).json()["state"] == "used"


async def test_the_same_moment_written_otherwise_is_the_same_request(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"], use_time="2026-01-31T18:30:00+08:00")
    first = await till.call("POST", "/coupons/use", body)
    for same in ("2026-01-31T10:30:00Z", "2026-01-31T10:30:00.000+00:00"):
        assert (await till.call("POST", "/coupons/use", body | {"use_time": same})).content == first.content


async def test_a_number_is_bound_to_its_parameters(market: Market) -> None:
    till = await market.till(stores=("store-1", "store-2"))
    _, coupon = await market.coupon(till)
    _, other = await market.coupon(till)
    body = till.body(coupon["code"], use_time="2026-01-31T18:30:00+08:00")
    first = await till.call("POST", "/coupons/use", body)
    changes: list[dict[str, str]] = [
        {"coupon_code": other["code"]},
        {"store_id": "store-2"},
        {"use_time": "2026-01-31T18:30:01+08:00"},
        {"out_trade_no": "T1"},
    ]
    for change in changes:
        assert refusal(await till.call("POST", "/coupons/use", body | change)) == CONFLICT
    assert (await till.call("POST", "/coupons/use", body)).content == first.content
    assert (await till.use(other["code"])).status_code == 200


async def test_the_same_number_is_another_merchants_own(market: Market, till: Till) -> None:
    other = await market.till()
    shared = number()
    coupons = [(await market.coupon(each))[1] for each in (till, other)]
    for each, coupon in zip((till, other), coupons, strict=True):
        assert (await each.use(coupon["code"], out_request_no=shared)).json()["coupon_id"] == coupon["id"]


async def test_a_no_for_a_business_reason_is_given_again_under_its_number(market: Market, till: Till) -> None:
    """Even where the same would be allowed by now: whoever wants to try again takes another number."""
    at = clock.now()
    with clock.frozen(at):
        family, coupon = await market.coupon(till)
    with clock.frozen(at + timedelta(seconds=90)):
        late = till.body(coupon["code"])
        first = await till.call("POST", "/coupons/use", late)
        assert refusal(first) == STALE
        fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
        again = await till.call("POST", "/coupons/use", late | {"coupon_code": fresh})
        assert (again.status_code, again.content) == (409, first.content)
        elsewhere = till.body(fresh, store_id="nowhere")
        first = await till.call("POST", "/coupons/use", elsewhere)
        assert refusal(first) == NO_AUTH
        assert (await till.call("POST", "/coupons/use", elsewhere)).content == first.content
        assert (await till.use(fresh)).status_code == 200
        used = till.body(fresh)
        first = await till.call("POST", "/coupons/use", used)
        assert refusal(first) == USED
        assert (await till.call("POST", "/coupons/use", used)).content == first.content
        asked = (await till.call("GET", f"/requests/use/{used['out_request_no']}")).json()
        assert (asked["status"], asked["answer"]["code"]) == (409, "COUPON_USED")


async def test_a_wrong_code_counts_as_a_try_once_however_often_it_is_repeated(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        repeated = till.body(wrong)
        for _ in range(12):
            assert refusal(await till.call("POST", "/coupons/use", repeated)) == NOT_FOUND
        for _ in range(9):
            assert refusal(await till.use(wrong)) == NOT_FOUND
        body = till.body(coupon["code"])
        limited = await till.call("POST", "/coupons/use", body)
        assert refusal(limited) == (429, "RATE_LIMITED")
        assert int(limited.headers["Retry-After"]) > 0
        assert refusal(await till.prepare(coupon["code"])) == (429, "RATE_LIMITED")
        assert refusal(await till.call("GET", f"/requests/use/{body['out_request_no']}")) == (404, "REQUEST_NOT_FOUND")


async def test_wrong_codes_count_when_they_are_only_looked_at(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            assert refusal(await till.prepare(wrong)) == NOT_FOUND
        assert refusal(await till.prepare(coupon["code"])) == (429, "RATE_LIMITED")


async def test_a_number_that_was_told_to_wait_is_still_free(market: Market, till: Till) -> None:
    at = clock.now().replace(minute=10) - timedelta(hours=2)
    with clock.frozen(at):
        family, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            await till.prepare(wrong)
        body = till.body(coupon["code"])
        assert refusal(await till.call("POST", "/coupons/use", body)) == (429, "RATE_LIMITED")
    with clock.frozen(at + timedelta(hours=1)):
        fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
        assert (await till.call("POST", "/coupons/use", body | {"coupon_code": fresh})).status_code == 200


async def test_a_merchant_that_does_not_honour_a_coupon_learns_nothing_of_it(market: Market, till: Till) -> None:
    stranger = await market.till()
    _, coupon = await market.coupon(till)
    absent = f"{secrets.randbelow(10**14):014d}"
    answers = [
        await stranger.use(coupon["code"]),
        await stranger.use(absent + "123456"),
        await stranger.prepare(coupon["code"]),
        await stranger.call("GET", f"/coupons/{coupon['id']}"),
        await stranger.call("GET", f"/coupons/{absent}"),
    ]
    assert {refusal(answer) for answer in answers} == {NOT_FOUND}
    assert len({answer.content for answer in answers}) == 1


async def test_where_a_coupon_was_used_is_shown_to_the_merchant_where_it_was(market: Market) -> None:
    here, there = await market.till(), await market.till()
    _, coupon = await market.coupon(here, there)
    await here.use(coupon["code"])
    seen = (await there.call("GET", f"/coupons/{coupon['id']}")).json()
    assert seen["state"] == "USED"
    assert {seen[name] for name in ("use_no", "store_id", "use_time", "used_at")} == {None}


async def test_nothing_that_a_merchant_sees_names_a_person_or_household(market: Market, till: Till) -> None:
    family, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    seen = [
        await till.prepare(coupon["code"]),
        await till.call("POST", "/coupons/use", body),
        await till.call("GET", f"/coupons/{coupon['id']}"),
        await till.call("GET", f"/requests/use/{body['out_request_no']}"),
    ]
    for answer in seen:
        assert answer.status_code == 200
        assert str(family.id) not in answer.text
        assert str(family.person_id) not in answer.text


async def test_a_store_that_is_not_the_merchants_is_refused_whoevers_it_is(market: Market, till: Till) -> None:
    await market.till(stores=("elsewhere",))
    _, coupon = await market.coupon(till)
    answers = [
        await till.use(coupon["code"], store_id="elsewhere"),
        await till.use(coupon["code"], store_id="nowhere"),
        await till.prepare(coupon["code"], store_id="elsewhere"),
    ]
    assert {refusal(answer) for answer in answers} == {NO_AUTH}
    assert len({answer.content for answer in answers}) == 1
    assert (await till.use(coupon["code"])).status_code == 200


async def test_a_suspended_merchant_takes_nothing_and_still_learns_what_it_took(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    _, other = await market.coupon(till)
    body = till.body(coupon["code"])
    first = await till.call("POST", "/coupons/use", body)
    async with market.db.transaction() as session:
        await session.execute(update(Merchant).where(Merchant.id == till.id).values(state=MerchantState.SUSPENDED))
    assert refusal(await till.use(other["code"])) == NO_AUTH
    assert refusal(await till.prepare(other["code"])) == NO_AUTH
    assert (await till.call("POST", "/coupons/use", body)).content == first.content
    assert (await till.call("GET", f"/requests/use/{body['out_request_no']}")).status_code == 200
    assert (await till.call("POST", "/echo")).status_code == 200


# Bad input


BAD = {
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


@pytest.mark.parametrize(("change", "fields"), BAD.values(), ids=BAD.keys())
async def test_bad_input_is_named_and_takes_no_number(
    market: Market, till: Till, change: dict[str, Any], fields: set[str]
) -> None:
    body = till.body("12345678901234567890")
    sent = {name: value for name, value in (body | change).items() if value is not None}
    assert fields_of(await till.call("POST", "/coupons/use", sent)) == fields
    asked = await till.call("GET", f"/requests/use/{body['out_request_no']}")
    assert refusal(asked) == (404, "REQUEST_NOT_FOUND")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":' * 9000], ids=repr)
async def test_what_is_no_json_object_is_refused_as_bad_input(market: Market, till: Till, content: bytes) -> None:
    for path in ("/merchant/v1/coupons/use", "/merchant/v1/coupons/prepare"):
        answer = await till.send("POST", path, content)
        assert refusal(answer) == PARAM_ERROR
        market.check_signed(answer)


async def test_anything_may_be_echoed(till: Till) -> None:
    for content in (b"", b"\xff\x00", '{"券":"\\ud800"}'.encode(), b"[" * 60000):
        answer = await till.send("POST", "/merchant/v1/echo", content)
        assert answer.status_code == 200
        assert answer.json()["body"] == content.decode("utf-8", "replace")


# Queries


async def test_a_merchant_learns_what_became_of_a_request_whose_answer_was_lost(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    lost = await till.call("POST", "/coupons/use", body)
    path = f"/requests/use/{body['out_request_no']}"
    found = (await till.call("GET", path)).json()
    assert (found["operation"], found["out_request_no"], found["status"]) == ("use", body["out_request_no"], 200)
    assert found["answer"] == lost.json()
    stranger = await market.till()
    assert refusal(await stranger.call("GET", path)) == (404, "REQUEST_NOT_FOUND")


async def test_asking_for_a_number_does_not_take_it(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    for _ in range(2):
        asked = await till.call("GET", f"/requests/use/{body['out_request_no']}")
        assert refusal(asked) == (404, "REQUEST_NOT_FOUND")
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_an_answer_is_kept_as_it_was_sent(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    answer = await till.call("POST", "/coupons/use", body)
    async with market.db.transaction() as session:
        kept = await session.get_one(MerchantRequest, (till.id, False, "use", body["out_request_no"]))
    assert (kept.status, kept.answer, kept.coupon_id) == (200, answer.content, coupon["id"])
    assert json.loads(answer.content)["out_request_no"] == body["out_request_no"]
