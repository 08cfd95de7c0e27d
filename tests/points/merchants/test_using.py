"""Coupons at a till: redeemed where they are honoured, and nothing told of whose they are."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import update

from chassis.core import clock
from services.points.merchants.tables import Merchant, Store
from services.points.merchants.terms import MerchantState
from tests.points.merchants.conftest import Market, Till, fields_of, refusal
from tests.points.merchants.refusals import COUPON_NOT_FOUND, NO_AUTH


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


async def test_a_tills_clock_may_be_five_minutes_ahead_and_no_more(market: Market, till: Till) -> None:
    at = clock.now().replace(microsecond=0)
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        ahead, too_far = (at + timedelta(seconds=seconds) for seconds in (300, 301))
        assert fields_of(await till.use(coupon["code"], use_time=too_far.isoformat())) == {"body.use_time"}
        assert (await till.use(coupon["code"], use_time=ahead.isoformat())).status_code == 200


async def test_a_closed_store_takes_nothing(market: Market) -> None:
    till = await market.till(stores=("store-1", "store-2"))
    _, coupon = await market.coupon(till)
    async with market.db.transaction() as session:
        (await session.get_one(Store, (till.id, "store-1"))).closed_at = clock.now()
    assert refusal(await till.use(coupon["code"])) == NO_AUTH
    assert (await till.use(coupon["code"], store_id="store-2")).status_code == 200


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
    assert {refusal(answer) for answer in answers} == {COUPON_NOT_FOUND}
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
    assert "门店" in answers[0].json()["message"]
    assert [field["name"] for field in answers[0].json()["detail"]["fields"]] == ["body.store_id"]
    assert (await till.use(coupon["code"])).status_code == 200


async def test_a_suspended_merchant_takes_nothing_and_still_learns_what_it_took(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    _, other = await market.coupon(till)
    body = till.body(coupon["code"])
    first = await till.call("POST", "/coupons/use", body)
    async with market.db.transaction() as session:
        await session.execute(update(Merchant).where(Merchant.id == till.id).values(state=MerchantState.SUSPENDED))
    for attempt in (till.use, till.lock, till.prepare):
        for store_id in ("store-1", "nowhere"):
            refused = await attempt(other["code"], store_id=store_id)
            assert refusal(refused) == NO_AUTH
            assert "商户已停用" in refused.json()["message"]
            assert refused.json()["detail"]["fields"] == []
    assert refusal(await till.give_back(first)) == NO_AUTH
    assert (await till.call("POST", "/coupons/use", body)).content == first.content
    assert (await till.call("GET", f"/requests/use/{body['out_request_no']}")).status_code == 200
    assert (await till.call("POST", "/echo")).status_code == 200
