"""A coupon that is kept for a till while it works, and let go: by the till, by being used, or by itself."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from chassis.core import clock
from tests.points.merchants.conftest import Market, Till, refusal

LOCKED = (409, "COUPON_LOCKED")
USED = (409, "COUPON_USED")
NOT_FOUND = (404, "COUPON_NOT_FOUND")
CONFLICT = (409, "OUT_REQUEST_NO_CONFLICT")


async def state(till: Till, coupon_id: str) -> str:
    return str((await till.call("GET", f"/coupons/{coupon_id}")).json()["state"])


async def test_a_till_that_locked_a_coupon_can_use_it_when_it_is_ready(market: Market, till: Till) -> None:
    """A lock's token stands for the code: ten minutes later the customer's telephone is back in the pocket."""
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        answer = await till.lock(coupon["code"], out_request_no="R-lock-0001")
        said = answer.json()
        assert answer.status_code == 200, said
    until = datetime.fromisoformat(said["locked_until"])
    assert until - at <= timedelta(minutes=15)
    token_until = datetime.fromisoformat(said["prepare_token_expires_at"])
    assert timedelta() <= token_until - until < timedelta(seconds=1)
    token = said["prepare_token"]
    assert {name: said[name] for name in ("state", "coupon_id", "out_request_no", "mchid", "store_id")} == {
        "state": "LOCKED",
        "coupon_id": coupon["id"],
        "out_request_no": "R-lock-0001",
        "mchid": till.mchid,
        "store_id": "store-1",
    }
    with clock.frozen(at + timedelta(minutes=10)):
        seen = (await till.call("GET", f"/coupons/{coupon['id']}")).json()
        assert (seen["state"], seen["locked_until"]) == ("LOCKED", said["locked_until"])
        used = await till.use(prepare_token=token)
        assert used.json()["state"] == "USED", used.text
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_what_one_till_has_locked_no_other_takes(market: Market) -> None:
    here, there = await market.till(stores=("store-1", "store-2")), await market.till()
    next_door = Till(market, here.id, here.mchid, here.key, "store-2")
    _, coupon = await market.coupon(here, there)
    assert (await here.lock(coupon["code"])).status_code == 200
    for other in (there, next_door):
        assert refusal(await other.use(coupon["code"])) == LOCKED
        assert refusal(await other.lock(coupon["code"])) == LOCKED
        assert refusal(await other.unlock(coupon["id"])) == LOCKED
        seen = (await other.prepare(coupon["code"])).json()
        assert (seen["state"], seen["usable"], seen["reason"]) == ("LOCKED", False, "COUPON_LOCKED")
    own = (await here.prepare(coupon["code"])).json()
    assert (own["state"], own["usable"]) == ("LOCKED", True)
    assert refusal(await here.lock(coupon["code"])) == LOCKED  # a lock is not lengthened
    assert (await here.unlock(coupon["id"])).json()["state"] == "EFFECTIVE"
    assert (await there.use(coupon["code"])).status_code == 200


async def test_a_lock_lapses_by_itself_after_a_quarter_of_an_hour(market: Market) -> None:
    here, there = await market.till(), await market.till()
    at = clock.now()
    with clock.frozen(at):
        family, coupon = await market.coupon(here, there)
        said = (await here.lock(coupon["code"])).json()
    until = datetime.fromisoformat(said["locked_until"])
    with clock.frozen(until - timedelta(milliseconds=1)):
        assert await state(there, coupon["id"]) == "LOCKED"
    with clock.frozen(until + timedelta(seconds=1)):
        assert await state(there, coupon["id"]) == "EFFECTIVE"
        assert refusal(await here.use(prepare_token=said["prepare_token"])) == (409, "COUPON_CODE_STALE")
        assert (await here.unlock(coupon["id"])).json()["state"] == "EFFECTIVE"
        fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
        assert (await there.use(fresh)).status_code == 200


async def test_a_prepared_coupon_is_locked_by_its_token(market: Market, till: Till) -> None:
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
    with clock.frozen(at + timedelta(seconds=100)):
        assert refusal(await till.lock(coupon["code"])) == (409, "COUPON_CODE_STALE")
        assert (await till.lock(prepare_token=token)).json()["state"] == "LOCKED"


async def test_a_lock_under_its_number_is_answered_the_same_though_the_coupon_has_moved_on(
    market: Market, till: Till
) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"], use_time=None)
    first = await till.call("POST", "/coupons/lock", body)
    assert first.status_code == 200
    released = till.body(coupon_id=coupon["id"], use_time=None, out_request_no=body["out_request_no"])
    freed = await till.call("POST", "/coupons/unlock", released)  # a number of another operation
    assert freed.json()["state"] == "EFFECTIVE"
    assert (await till.use(coupon["code"])).status_code == 200
    assert (await till.call("POST", "/coupons/lock", body)).content == first.content
    assert (await till.call("POST", "/coupons/unlock", released)).content == freed.content
    assert await state(till, coupon["id"]) == "USED"
    for operation, answer in (("lock", first), ("unlock", freed)):
        asked = (await till.call("GET", f"/requests/{operation}/{body['out_request_no']}")).json()
        assert (asked["operation"], asked["answer"]) == (operation, answer.json())
    _, other = await market.coupon(till)
    assert refusal(await till.call("POST", "/coupons/lock", body | {"coupon_code": other["code"]})) == CONFLICT
    assert refusal(await till.call("POST", "/coupons/unlock", released | {"coupon_id": other["id"]})) == CONFLICT


async def test_a_coupon_that_a_merchant_does_not_honour_can_be_neither_locked_nor_freed_there(market: Market) -> None:
    here, stranger = await market.till(), await market.till()
    _, coupon = await market.coupon(here)
    assert refusal(await stranger.lock(coupon["code"])) == NOT_FOUND
    assert (await here.lock(coupon["code"])).status_code == 200
    assert refusal(await stranger.unlock(coupon["id"])) == NOT_FOUND
    assert await state(here, coupon["id"]) == "LOCKED"


async def test_wrong_codes_count_when_a_coupon_is_to_be_locked(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            assert refusal(await till.lock(wrong)) == NOT_FOUND
        assert refusal(await till.lock(coupon["code"])) == (429, "RATE_LIMITED")


async def test_a_merchant_that_does_not_honour_a_coupon_cannot_use_up_its_tries(market: Market) -> None:
    """Else anybody with a merchant's key could keep families from spending their coupons."""
    with clock.frozen(clock.now().replace(minute=10)):
        here, stranger = await market.till(), await market.till()
        _, coupon = await market.coupon(here)
        [wrong] = await market.shop.wrong(coupon["id"])
        for attempt in (stranger.use, stranger.lock, stranger.prepare):
            for _ in range(4):
                assert refusal(await attempt(wrong)) == NOT_FOUND
        assert (await here.use(coupon["code"])).status_code == 200


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "lock: neither code nor token": ("lock", {}),
    "lock: both": ("lock", {"coupon_code": "1" * 20, "prepare_token": "AAAA"}),
    "lock: a time": ("lock", {"coupon_code": "1" * 20, "use_time": "2026-01-31T18:30:00+08:00"}),
    "unlock: a code": ("unlock", {"coupon_code": "1" * 20}),
    "unlock: no coupon": ("unlock", {}),
    "return: no use_no": ("return", {"coupon_id": "1" * 14}),
    "return: a use_no that is none": ("return", {"coupon_id": "1" * 14, "use_no": "x"}),
}


@pytest.mark.parametrize(("operation", "fields"), BAD.values(), ids=BAD.keys())
async def test_bad_input_takes_no_number(till: Till, operation: str, fields: dict[str, Any]) -> None:
    body = till.body(use_time=None) | fields
    assert refusal(await till.call("POST", f"/coupons/{operation}", body)) == (400, "PARAM_ERROR")
    asked = await till.call("GET", f"/requests/{operation}/{body['out_request_no']}")
    assert refusal(asked) == (404, "REQUEST_NOT_FOUND")
