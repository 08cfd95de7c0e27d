"""What is on offer, and my coupons."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.merchants.actions import record_merchant
from tests.points.conftest import Points
from tests.points.rewards.conftest import Merchant, Shop, code_of
from tests.town import actor


async def catalogue(shop: Shop, **params: Any) -> list[dict[str, Any]]:
    """All that anybody is shown, page after page."""
    items: list[dict[str, Any]] = []
    async with shop.points.client() as client:
        while True:
            answer = await client.get("/api/points/rewards", params=params)
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            if answer.json()["next_cursor"] is None:
                return items
            params["cursor"] = answer.json()["next_cursor"]


async def test_everybody_sees_what_is_on_offer_the_cheapest_first(own_points: Points) -> None:
    shop = Shop(own_points)
    costs = [30, 12, 12, 50, 7]
    rewards = [await shop.reward(cost=cost) for cost in costs]
    await shop.reward(starts_at=clock.now() + timedelta(hours=1))
    await shop.reward(ends_at=clock.now())
    shown = await catalogue(shop)
    assert [item["cost"] for item in shown] == sorted(costs)
    assert {item["id"] for item in shown} == set(map(str, rewards))
    assert [item["id"] for item in await catalogue(shop, limit=2)] == [item["id"] for item in shown]


async def test_a_reward_says_what_it_costs_what_is_left_and_who_honours_it(shop: Shop) -> None:
    merchant = Merchant()
    async with shop.db.transaction() as session:
        await record_merchant(session, merchant.id, mchid=merchant.mchid, name="槐香理发店", stores={"store-1": "本店"})
    reward = await shop.reward(cost=12, stock=0, household_limit=2, merchant_ids=[merchant.id, new_id()])
    async with shop.points.client() as client:
        answer = await client.get(f"/api/points/rewards/{reward}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["title"], body["kind"], body["cost"], body["stock"]) == ("理发券", "service", 12, 0)
    assert (body["household_limit"], body["valid_days"], body["face_fen"]) == (2, 30, 2000)
    assert body["merchants"] == [{"id": str(merchant.id), "name": "槐香理发店", "stores": []}]
    assert "payable_fen" not in body


async def test_a_reward_that_is_no_longer_on_offer_can_still_be_looked_up(shop: Shop) -> None:
    reward = await shop.reward(ends_at=clock.now())
    async with shop.points.client() as client:
        assert (await client.get(f"/api/points/rewards/{reward}")).status_code == 200
        missing = await client.get(f"/api/points/rewards/{new_id()}")
    assert (missing.status_code, code_of(missing)) == (404, "reward_not_found")


async def test_a_family_sees_all_its_coupons_the_latest_first_and_no_code_in_the_list(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(60)
    made = [(await shop.coupon(family, reward))["id"] for _ in range(5)]
    listed = await shop.coupons(family)
    assert [item["id"] for item in listed] == made[::-1]
    assert all("code" not in item for item in listed)
    seen: list[str] = []
    async with shop.points.client(family.actor) as client:
        params = {"owner": "me", "state": "effective", "limit": "2"}
        while True:
            page = (await client.get("/api/points/coupons", params=params)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
    assert seen == made[::-1]


async def test_coupons_of_one_moment_are_neither_repeated_nor_left_out_between_pages(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(60)
    with clock.frozen(clock.now()):
        made = {(await shop.coupon(family, reward))["id"] for _ in range(5)}
        first = await shop.coupons(family, limit=3)
        async with shop.points.client(family.actor) as client:
            page = (await client.get("/api/points/coupons", params={"owner": "me", "limit": 3})).json()
            rest = await shop.coupons(family, limit=3, cursor=page["next_cursor"])
    assert len(first + rest) == 5
    assert {item["id"] for item in first + rest} == made


async def test_coupons_can_be_asked_for_by_state(shop: Shop) -> None:
    merchant = Merchant()
    reward, family = await shop.reward(merchant), await shop.household(24)
    used, kept = await shop.coupon(family, reward), await shop.coupon(family, reward)
    await shop.use(merchant, used["code"])
    by_state = {
        state: [item["id"] for item in await shop.coupons(family, state=state)]
        for state in ("effective", "used", "expired", "locked", "deactivated", "refunded")
    }
    assert by_state == {
        "effective": [kept["id"]],
        "used": [used["id"]],
        "expired": [],
        "locked": [],
        "deactivated": [],
        "refunded": [],
    }


async def test_a_coupon_shows_its_code_to_its_family_and_no_cache_keeps_it(shop: Shop) -> None:
    family = await shop.household(12)
    coupon = await shop.coupon(family, await shop.reward())
    answer = await shop.show(family, coupon["id"])
    assert answer.status_code == 200
    assert answer.json()["code"].startswith(coupon["id"])
    assert answer.headers["Cache-Control"] == "no-store"
    left = datetime.fromisoformat(answer.json()["code_expires_at"]) - clock.now()
    assert left <= timedelta(seconds=30)


async def test_another_familys_coupon_is_not_there(shop: Shop) -> None:
    coupon = await shop.coupon(await shop.household(12), await shop.reward())
    for stranger in ((await shop.household()).actor, actor("resident"), actor("administrator"), actor("merchant")):
        async with shop.points.client(stranger) as client:
            answer = await client.get(f"/api/points/coupons/{coupon['id']}")
        assert (answer.status_code, code_of(answer)) == (404, "coupon_not_found")


@pytest.mark.parametrize("coupon_id", ["1", "x" * 14, "券", str(UUID(int=7)), "1" * 14])
async def test_what_names_no_coupon_is_not_found(shop: Shop, coupon_id: str) -> None:
    answer = await shop.show(await shop.household(), coupon_id)
    assert (answer.status_code, code_of(answer)) == (404, "coupon_not_found")


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("coupons", {}, "query.owner"),
        ("coupons", {"owner": "all"}, "query.owner"),
        ("coupons", {"owner": "me", "state": "new"}, "query.state"),
        ("coupons", {"owner": "me", "household": "7"}, "query.household"),
        ("coupons", {"owner": "me", "limit": "0"}, "query.limit"),
        ("coupons", {"owner": "me", "cursor": "x"}, "query.cursor"),
        ("rewards", {"state": "listed"}, "query.state"),
        ("rewards", {"limit": "201"}, "query.limit"),
        ("rewards", {"cursor": "x"}, "query.cursor"),
        ("rewards/7", {}, "path.reward_id"),
        ("coupons/%00", {}, "path.coupon_id"),
        ("coupons/" + "1" * 41, {}, "path.coupon_id"),
    ],
)
async def test_a_bad_filter_is_named(shop: Shop, path: str, params: dict[str, str], field: str) -> None:
    async with shop.points.client((await shop.household()).actor) as client:
        answer = await client.get(f"/api/points/{path}", params=params)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_a_cursor_of_one_list_is_refused_by_another(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(24)
    for _ in range(2):
        await shop.coupon(family, reward)
    async with shop.points.client(family.actor) as client:
        page = (await client.get("/api/points/coupons", params={"owner": "me", "limit": 1})).json()
        for path, params in (("rewards", {}), ("coupons", {"owner": "me", "state": "used"})):
            answer = await client.get(f"/api/points/{path}", params=params | {"cursor": page["next_cursor"]})
            assert (answer.status_code, code_of(answer)) == (422, "invalid_cursor")
