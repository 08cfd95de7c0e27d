"""The sandbox: a merchant tries every operation on coupons of its own, in the words of the live ones; nothing comes of
it.
"""

import gzip
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis.core import clock
from services.points.coupons import rules
from services.points.coupons.queries import open_secret
from services.points.coupons.tables import CouponEvent
from services.points.ledger.tables import Transfer
from services.points.merchants import sandbox as sandbox_module
from services.points.merchants.jobs import sweep_sandbox
from services.points.merchants.tables import MerchantRequest, SandboxCoupon
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key, Market, Till, market_of, refusal

NOT_FOUND = (404, "COUPON_NOT_FOUND")
USED = (409, "COUPON_USED")
LOCKED = (409, "COUPON_LOCKED")
NO_AUTH = (403, "NO_AUTH")


async def sandbox_of(market: Market, till: Till) -> Till:
    """A till of the same merchant under a sandbox key."""
    trying = Till(market, till.id, till.mchid, till.key.renamed())
    await market.record(trying, trying.key, sandbox=True)
    return trying


async def issued(trying: Till, **fields: Any) -> dict[str, Any]:
    """A coupon to try with."""
    answer = await trying.call("POST", "/sandbox/coupons", fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def code_now(trying: Till, coupon_id: str) -> str:
    return str((await trying.call("GET", f"/sandbox/coupons/{coupon_id}")).json()["coupon_code"])


def shape(body: dict[str, Any]) -> dict[str, type]:
    """Which fields an answer has, and of which kind."""
    return {name: type(value) for name, value in body.items()}


async def test_every_operation_answers_as_the_live_one_does_and_nothing_comes_of_it(own_market: Market) -> None:
    market = own_market
    till = await market.till()
    trying = await sandbox_of(market, till)
    family, live = await market.coupon(till)
    await market.coupon(till)
    coupon = await issued(trying)
    assert coupon["coupon_id"].startswith("0")
    async with market.db.transaction() as session:
        before = [await session.scalar(select(func.count()).select_from(table)) for table in (Transfer, CouponEvent)]
    answers: dict[str, list[Any]] = {"sandbox": [], "live": []}
    for name, by, code, coupon_id in (
        ("sandbox", trying, coupon["coupon_code"], coupon["coupon_id"]),
        ("live", till, live["code"], live["id"]),
    ):
        prepared = await by.prepare(code)
        locked = await by.lock(prepare_token=prepared.json()["prepare_token"])
        freed = await by.unlock(coupon_id)
        used = await by.use(prepare_token=prepared.json()["prepare_token"], out_trade_no="T1")
        again = await by.use(code)
        seen = await by.call("GET", f"/coupons/{coupon_id}")
        returned = await by.give_back(used)
        twice = await by.give_back(used)
        asked = await by.call("GET", f"/requests/use/{used.json()['out_request_no']}")
        answers[name] = [prepared, locked, freed, used, again, seen, returned, twice, asked]
        if name == "sandbox":
            async with market.db.transaction() as session:
                after = [
                    await session.scalar(select(func.count()).select_from(table)) for table in (Transfer, CouponEvent)
                ]
            assert after == before
            assert await market.shop.payable(till) == 0
    tried, real = answers["sandbox"], answers["live"]
    assert [each.status_code for each in tried] == [each.status_code for each in real]
    assert [each.status_code for each in tried] == [200, 200, 200, 200, 409, 200, 200, 409, 200]
    assert [shape(each.json()) for each in tried] == [shape(each.json()) for each in real]
    assert [each.json().get("state") for each in tried] == [each.json().get("state") for each in real]
    assert [item["id"] for item in await market.shop.coupons(family)] == [live["id"]]
    await market.shop.check()


async def test_sandbox_and_live_do_not_see_one_anothers_coupons(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    stranger = await sandbox_of(market, await market.till())
    _, live = await market.coupon(till)
    coupon = await issued(trying)
    for other in (till, stranger):
        assert refusal(await other.prepare(coupon["coupon_code"])) == NOT_FOUND
        assert refusal(await other.use(coupon["coupon_code"])) == NOT_FOUND
        assert refusal(await other.lock(coupon["coupon_code"])) == NOT_FOUND
        assert refusal(await other.unlock(coupon["coupon_id"])) == NOT_FOUND
        assert refusal(await other.call("GET", f"/coupons/{coupon['coupon_id']}")) == NOT_FOUND
    assert refusal(await trying.use(live["code"])) == NOT_FOUND
    assert refusal(await trying.call("GET", f"/coupons/{live['id']}")) == NOT_FOUND
    assert refusal(await stranger.call("GET", f"/sandbox/coupons/{coupon['coupon_id']}")) == NOT_FOUND
    assert refusal(await till.call("GET", f"/sandbox/coupons/{coupon['coupon_id']}")) == NO_AUTH
    assert refusal(await till.call("POST", "/sandbox/coupons", {})) == NO_AUTH
    assert (await trying.use(coupon["coupon_code"])).status_code == 200


async def test_a_token_of_the_sandbox_is_worth_nothing_to_a_live_till(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    coupon = await issued(trying)
    token = (await trying.prepare(coupon["coupon_code"])).json()["prepare_token"]
    assert refusal(await till.use(prepare_token=token)) == (400, "PARAM_ERROR")


async def test_the_refusals_can_be_tried_too(market: Market, till: Till) -> None:
    """Stale codes, locks that lapse, coupons that are over, uses that can no longer be undone, wrong codes."""
    at = clock.now().replace(minute=10)
    next_door = await market.till(stores=("store-1", "store-2"))
    trying = await sandbox_of(market, next_door)
    beside = Till(market, trying.id, trying.mchid, trying.key, "store-2")
    with clock.frozen(at):
        coupon = await issued(trying, valid_seconds=7200, face_fen=5000, payable_fen=4500)
        assert (coupon["face_fen"], coupon["payable_fen"], coupon["state"]) == (5000, 4500, "EFFECTIVE")
        brief = await issued(trying, valid_seconds=1)
        body = trying.body(coupon["coupon_code"], use_time=None)
        locked = await trying.call("POST", "/coupons/lock", body)
        assert locked.status_code == 200
        assert refusal(await beside.use(coupon["coupon_code"])) == LOCKED
    with clock.frozen(at + timedelta(minutes=5)):
        assert refusal(await trying.use(coupon["coupon_code"])) == (409, "COUPON_CODE_STALE")
        assert refusal(await trying.use(brief["coupon_code"])) == (409, "COUPON_CODE_STALE")
        gone = (await trying.call("GET", f"/sandbox/coupons/{brief['coupon_id']}")).json()
        assert (gone["state"], gone["coupon_code"]) == ("EXPIRED", None)
    with clock.frozen(at + timedelta(minutes=16)):
        used = await beside.use(await code_now(trying, coupon["coupon_id"]))
        assert used.status_code == 200
        assert (await trying.call("POST", "/coupons/lock", body)).content == locked.content
    with clock.frozen(datetime.fromisoformat(used.json()["used_at"]) + timedelta(minutes=61)):
        assert refusal(await beside.give_back(used)) == NO_AUTH
    with clock.frozen(at):
        wrong = (await issued(trying))["coupon_id"]
        shown = await code_now(trying, wrong)
        right = await around(market, wrong)
        digits = next(f"{number:06d}" for number in range(100) if f"{number:06d}" not in right)
        for _ in range(10):
            assert refusal(await trying.prepare(wrong + digits)) == NOT_FOUND
        assert refusal(await trying.use(shown)) == (429, "RATE_LIMITED")


async def around(market: Market, coupon_id: str) -> set[str]:
    """The digits that a sandbox coupon shows about now."""
    async with market.db.transaction() as session:
        coupon = await session.get_one(SandboxCoupon, coupon_id)
        secret = open_secret(market.shop.vault, coupon)
    steps = (clock.now() + step * timedelta(seconds=30) for step in range(-30, 30))
    return {rules.code(coupon_id, secret, step)[14:] for step in steps}


async def test_the_bill_of_the_sandbox_is_that_of_a_day_without_uses(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    coupon = await issued(trying)
    assert (await trying.use(coupon["coupon_code"])).status_code == 200
    answer = await trying.call("GET", "/bills/daily?bill_date=2026-03-01")
    assert answer.status_code == 200
    assert gzip.decompress(answer.content).decode().splitlines()[1].startswith("total,0,")


async def test_what_was_tried_is_forgotten_after_thirty_days(own_points: Points, rsa_keys: list[Key]) -> None:
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    trying = await sandbox_of(market, till)
    coupon, (_, live) = await issued(trying), await market.coupon(till)
    assert (await trying.use(coupon["coupon_code"])).status_code == 200
    assert (await till.use(live["code"])).status_code == 200
    runtime = own_points.town.runtime("points")
    at = clock.now()
    for later, left in ((timedelta(days=29), [1, 2]), (timedelta(days=31), [0, 1])):
        with clock.frozen(at + later):
            await sweep_sandbox(runtime)
        async with market.db.transaction() as session:
            found = [
                await session.scalar(select(func.count()).select_from(table))
                for table in (SandboxCoupon, MerchantRequest)
            ]
        assert found == left


async def test_a_thousand_coupons_a_day_are_enough(market: Market, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "COUPONS_A_DAY", 2)
    trying = await sandbox_of(market, till)
    at = clock.now()
    with clock.frozen(at):
        for _ in range(2):
            await issued(trying)
        refused = await trying.call("POST", "/sandbox/coupons", {})
        assert refusal(refused) == (429, "RATE_LIMITED")
    with clock.frozen(at + timedelta(days=1, seconds=1)):
        await issued(trying)
