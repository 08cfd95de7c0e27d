"""A coupon that is kept for a till while it works, and let go: by the till, by being used, or by itself."""

from datetime import datetime, timedelta

from chassis.core import clock
from tests.points.merchants.conftest import Market, Till, refusal
from tests.points.merchants.refusals import (
    CONFLICT,
    COUPON_CODE_STALE,
    COUPON_LOCKED,
    COUPON_NOT_FOUND,
)


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
        assert refusal(await other.use(coupon["code"])) == COUPON_LOCKED
        assert refusal(await other.lock(coupon["code"])) == COUPON_LOCKED
        assert refusal(await other.unlock(coupon["id"])) == COUPON_LOCKED
        seen = (await other.prepare(coupon["code"])).json()
        assert (seen["state"], seen["usable"], seen["reason"]) == ("LOCKED", False, "COUPON_LOCKED")
    own = (await here.prepare(coupon["code"])).json()
    assert (own["state"], own["usable"]) == ("LOCKED", True)
    assert refusal(await here.lock(coupon["code"])) == COUPON_LOCKED  # a lock is not lengthened
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
        assert refusal(await here.use(prepare_token=said["prepare_token"])) == COUPON_CODE_STALE
        assert (await here.unlock(coupon["id"])).json()["state"] == "EFFECTIVE"
        fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
        assert (await there.use(fresh)).status_code == 200


async def test_a_prepared_coupon_is_locked_by_its_token(market: Market, till: Till) -> None:
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
    with clock.frozen(at + timedelta(seconds=100)):
        assert refusal(await till.lock(coupon["code"])) == COUPON_CODE_STALE
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
    assert refusal(await stranger.lock(coupon["code"])) == COUPON_NOT_FOUND
    assert (await here.lock(coupon["code"])).status_code == 200
    assert refusal(await stranger.unlock(coupon["id"])) == COUPON_NOT_FOUND
    assert await state(here, coupon["id"]) == "LOCKED"
