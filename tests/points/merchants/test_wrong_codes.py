"""Wrong codes are counted, by coupon and by merchant, whatever they are tried for."""

from datetime import timedelta

from chassis.core import clock
from tests.points.merchants.conftest import Market, Till, refusal
from tests.points.merchants.refusals import COUPON_NOT_FOUND, RATE_LIMITED, REQUEST_NOT_FOUND


async def test_a_wrong_code_counts_as_a_try_once_however_often_it_is_repeated(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        repeated = till.body(wrong)
        for _ in range(12):
            assert refusal(await till.call("POST", "/coupons/use", repeated)) == COUPON_NOT_FOUND
        for _ in range(9):
            assert refusal(await till.use(wrong)) == COUPON_NOT_FOUND
        body = till.body(coupon["code"])
        limited = await till.call("POST", "/coupons/use", body)
        assert refusal(limited) == RATE_LIMITED
        assert int(limited.headers["Retry-After"]) > 0
        assert refusal(await till.prepare(coupon["code"])) == RATE_LIMITED
        assert refusal(await till.call("GET", f"/requests/use/{body['out_request_no']}")) == REQUEST_NOT_FOUND


async def test_wrong_codes_count_when_they_are_only_looked_at(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            assert refusal(await till.prepare(wrong)) == COUPON_NOT_FOUND
        assert refusal(await till.prepare(coupon["code"])) == RATE_LIMITED


async def test_wrong_codes_count_when_a_coupon_is_to_be_locked(market: Market, till: Till) -> None:
    with clock.frozen(clock.now().replace(minute=10)):
        _, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            assert refusal(await till.lock(wrong)) == COUPON_NOT_FOUND
        assert refusal(await till.lock(coupon["code"])) == RATE_LIMITED


async def test_a_number_that_was_told_to_wait_is_still_free(market: Market, till: Till) -> None:
    at = clock.now().replace(minute=10) - timedelta(hours=2)
    with clock.frozen(at):
        family, coupon = await market.coupon(till)
        [wrong] = await market.shop.wrong(coupon["id"])
        for _ in range(10):
            await till.prepare(wrong)
        body = till.body(coupon["code"])
        assert refusal(await till.call("POST", "/coupons/use", body)) == RATE_LIMITED
    with clock.frozen(at + timedelta(hours=1)):
        fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
        assert (await till.call("POST", "/coupons/use", body | {"coupon_code": fresh})).status_code == 200


async def test_a_merchant_that_does_not_honour_a_coupon_cannot_use_up_its_tries(market: Market) -> None:
    """Else anybody with a merchant's key could keep families from spending their coupons."""
    with clock.frozen(clock.now().replace(minute=10)):
        here, stranger = await market.till(), await market.till()
        _, coupon = await market.coupon(here)
        [wrong] = await market.shop.wrong(coupon["id"])
        for attempt in (stranger.use, stranger.lock, stranger.prepare):
            for _ in range(4):
                assert refusal(await attempt(wrong)) == COUPON_NOT_FOUND
        assert (await here.use(coupon["code"])).status_code == 200
