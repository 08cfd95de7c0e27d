"""A use that is undone: by the merchant within the hour, once, and never another one in its place."""

from datetime import datetime, timedelta

from chassis.core import clock
from services.points.coupons import rules
from services.points.merchants.tables import Merchant
from tests.points.merchants.conftest import Market, Till, refusal
from tests.points.merchants.refusals import CONFLICT, COUPON_NOT_FOUND, COUPON_NOT_USED, NO_AUTH

HOUR = timedelta(minutes=60)


async def test_a_use_that_was_a_mistake_is_undone_and_nothing_is_owed_for_it(market: Market, till: Till) -> None:
    family, coupon = await market.coupon(till)
    used = await till.use(coupon["code"])
    returned = await till.give_back(used, out_request_no="R-return-01")
    assert returned.status_code == 200, returned.text
    said = returned.json()
    assert datetime.fromisoformat(said.pop("returned_at")) >= datetime.fromisoformat(used.json()["used_at"])
    assert said == {
        "state": "EFFECTIVE",
        "coupon_id": coupon["id"],
        "use_no": used.json()["use_no"],
        "out_request_no": "R-return-01",
        "mchid": till.mchid,
        "store_id": "store-1",
        "face_fen": 2000,
        "payable_fen": 1500,
    }
    assert await market.shop.payable(till) == 0
    seen = (await till.call("GET", f"/coupons/{coupon['id']}")).json()
    assert (seen["state"], seen["use_no"], seen["used_at"]) == ("EFFECTIVE", None, None)
    fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
    again = await till.use(fresh)
    assert again.json()["use_no"] != used.json()["use_no"]
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_a_return_that_is_repeated_under_a_new_number_does_not_undo_the_next_use(
    market: Market, till: Till
) -> None:
    """The answer was lost, the family has come back and used it meanwhile: that use is another one."""
    family, coupon = await market.coupon(till)
    first = await till.use(coupon["code"])
    body = till.body(coupon_id=coupon["id"], use_no=first.json()["use_no"], use_time=None)
    returned = await till.call("POST", "/coupons/return", body)
    assert returned.status_code == 200
    fresh = (await market.shop.show(family, coupon["id"])).json()["code"]
    assert (await till.use(fresh)).status_code == 200
    assert (await till.call("POST", "/coupons/return", body)).content == returned.content
    assert refusal(await till.give_back(first)) == COUPON_NOT_USED
    assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "USED"
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_a_merchant_has_an_hour_to_undo_a_use(market: Market, till: Till) -> None:
    coupons = [(await market.coupon(till))[1] for _ in range(2)]
    uses = [await till.use(coupon["code"]) for coupon in coupons]
    posted = [datetime.fromisoformat(use.json()["used_at"]) for use in uses]
    with clock.frozen(posted[0] + HOUR):
        assert (await till.give_back(uses[0])).status_code == 200
    with clock.frozen(posted[1] + HOUR + timedelta(microseconds=1)):
        late = await till.give_back(uses[1])
    assert refusal(late) == NO_AUTH
    assert "可撤销时间" in late.json()["message"]
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_only_the_store_where_it_was_used_undoes_a_use(market: Market) -> None:
    here, there = await market.till(stores=("store-1", "store-2")), await market.till()
    stranger = await market.till()
    next_door = Till(market, here.id, here.mchid, here.key, "store-2")
    _, coupon = await market.coupon(here, there)
    used = await here.use(coupon["code"])
    assert refusal(await there.give_back(used)) == COUPON_NOT_USED
    assert refusal(await next_door.give_back(used)) == COUPON_NOT_USED
    assert refusal(await here.give_back(used, store_id="nowhere")) == NO_AUTH
    assert refusal(await stranger.give_back(used)) == COUPON_NOT_FOUND
    assert (await here.give_back(used)).status_code == 200
    await market.shop.check()


async def test_a_return_is_bound_to_its_number_and_what_it_names(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    used = await till.use(coupon["code"])
    body = till.body(coupon_id=coupon["id"], use_no=used.json()["use_no"], use_time=None)
    wrong = body | {"use_no": body["use_no"][:-1] + "9"}
    refused = await till.call("POST", "/coupons/return", wrong)
    assert refusal(refused) == COUPON_NOT_USED
    assert (await till.call("POST", "/coupons/return", wrong)).content == refused.content
    assert refusal(await till.call("POST", "/coupons/return", body)) == CONFLICT
    assert (await till.give_back(used)).status_code == 200


async def test_what_is_settled_is_not_undone(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    used = await till.use(coupon["code"])
    day = datetime.fromisoformat(used.json()["used_at"]).date()
    for before, expected in ((day + timedelta(days=1), (409, "USE_SETTLED")), (day, None)):
        async with market.db.transaction() as session:
            (await session.get_one(Merchant, till.id)).settled_before = before
        answer = await till.give_back(used)
        assert expected is None or refusal(answer) == expected
    assert answer.status_code == 200
    await market.shop.check()


async def test_a_use_that_is_undone_after_the_coupons_last_day_leaves_it_expired(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    ends = datetime.fromisoformat(coupon["expires_at"])
    with clock.frozen(ends - timedelta(minutes=10)):
        token = (await till.prepare(await shown(market, coupon["id"]))).json()["prepare_token"]
        used = await till.use(prepare_token=token)
        assert used.status_code == 200, used.text
    with clock.frozen(ends + timedelta(minutes=10)):
        assert (await till.give_back(used)).json()["state"] == "EXPIRED"
        assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "EXPIRED"
    assert await market.shop.payable(till) == 0


async def shown(market: Market, coupon_id: str) -> str:
    """The code that the coupon has now."""
    return rules.code(coupon_id, await market.shop.secret(coupon_id), clock.now())
