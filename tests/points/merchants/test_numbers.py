"""A merchant's own numbers: one effect and one answer under each, for ever, and what became of it can be asked."""

import json
from datetime import timedelta

from chassis.core import clock
from services.points.merchants.tables import MerchantRequest
from tests.points.merchants.conftest import Market, Till, number, refusal
from tests.points.merchants.refusals import (
    CONFLICT,
    COUPON_CODE_STALE,
    COUPON_USED,
    NO_AUTH,
    REQUEST_NOT_FOUND,
)


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
    assert refusal(await till.use(coupon["code"])) == COUPON_USED
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


async def test_the_numbers_of_the_other_operations_are_bound_to_all_their_parameters_too(market: Market) -> None:
    till = await market.till(stores=("store-1", "store-2"))
    (_, coupon), (_, other) = [await market.coupon(till) for _ in range(2)]
    lock = till.body(coupon["code"], use_time=None)
    unlock = till.body(coupon_id=coupon["id"], use_time=None)
    answers = [await till.call("POST", "/coupons/lock", lock), await till.call("POST", "/coupons/unlock", unlock)]
    used = (await till.use(coupon["code"])).json()
    undo = unlock | {"use_no": used["use_no"]}
    answers.append(await till.call("POST", "/coupons/return", undo))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    changes = {
        "lock": (lock, {"coupon_code": other["code"]}, {"store_id": "store-2"}),
        "unlock": (unlock, {"coupon_id": other["id"]}, {"store_id": "store-2"}),
        "return": (undo, {"coupon_id": other["id"]}, {"store_id": "store-2"}, {"use_no": f"{coupon['id']}9999"}),
    }
    for operation, (body, *changed) in changes.items():
        for change in changed:
            answer = await till.call("POST", f"/coupons/{operation}", body | change)
            assert (operation, change, refusal(answer)) == (operation, change, CONFLICT)


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
        assert refusal(first) == COUPON_CODE_STALE
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
        assert refusal(first) == COUPON_USED
        assert (await till.call("POST", "/coupons/use", used)).content == first.content
        asked = (await till.call("GET", f"/requests/use/{used['out_request_no']}")).json()
        assert (asked["status"], asked["answer"]["code"]) == COUPON_USED


async def test_a_merchant_learns_what_became_of_a_request_whose_answer_was_lost(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    lost = await till.call("POST", "/coupons/use", body)
    path = f"/requests/use/{body['out_request_no']}"
    found = (await till.call("GET", path)).json()
    assert (found["operation"], found["out_request_no"], found["status"]) == ("use", body["out_request_no"], 200)
    assert found["answer"] == lost.json()
    stranger = await market.till()
    assert refusal(await stranger.call("GET", path)) == REQUEST_NOT_FOUND


async def test_asking_for_a_number_does_not_take_it(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    for _ in range(2):
        asked = await till.call("GET", f"/requests/use/{body['out_request_no']}")
        assert refusal(asked) == REQUEST_NOT_FOUND
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_an_answer_is_kept_as_it_was_sent(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    answer = await till.call("POST", "/coupons/use", body)
    async with market.db.transaction() as session:
        kept = await session.get_one(MerchantRequest, (till.id, False, "use", body["out_request_no"]))
    assert (kept.status, kept.answer, kept.coupon_id) == (200, answer.content, coupon["id"])
    assert json.loads(answer.content)["out_request_no"] == body["out_request_no"]
