"""What people find in the catalogue, what they could get, and what they are about to lose."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from tests.points.conftest import Points
from tests.points.facts import Family
from tests.points.rewards.conftest import Household, Merchant, Shop
from tests.town import actor


async def test_search_finds_words_in_titles_and_descriptions_and_takes_signs_for_signs(shop: Shop) -> None:
    word = new_id().hex
    cake = await shop.reward(title=f"{word} 蛋糕 100%", description="当日现烤")
    book = await shop.reward(title="绘本", description=f"三个月 {word}")
    async with shop.points.client() as client:

        async def found(q: str) -> set[str]:
            answer = await client.get("/api/points/rewards", params={"q": q})
            assert answer.status_code == 200, answer.text
            return {item["id"] for item in answer.json()["items"]}

        assert await found(word) == {str(cake), str(book)}
        assert await found(f"{word} 现烤") == {str(cake)}
        assert await found(f"{word} 100%") == {str(cake)}
        assert await found(f"{word.upper()} 绘本") == {str(book)}
        assert await found(f"{word}%绘") == await found(f"{word}_") == set()


async def test_the_catalogue_is_sorted_and_filtered_as_asked_page_by_page(shop: Shop) -> None:
    merchant, word = Merchant(), new_id().hex
    ends = [datetime(2030 + year, 1, 1, tzinfo=UTC) for year in (3, 1, 2, 4)]
    kinds = ["goods", "place", "honour", "place"]
    made = [
        await shop.reward(merchant if number % 2 else None, title=word, cost=cost, kind=kind, ends_at=end)
        for number, (cost, kind, end) in enumerate(zip([20, 30, 10, 30], kinds, ends, strict=True))
    ]

    async def found(**params: Any) -> list[int]:
        params |= {"q": word, "limit": 1}
        seen: list[int] = []
        async with shop.points.client() as client:
            while True:
                page = (await client.get("/api/points/rewards", params=params)).json()
                seen += [made.index(UUID(item["id"])) for item in page["items"]]
                if page["next_cursor"] is None:
                    return seen
                params["cursor"] = page["next_cursor"]

    assert await found() == await found(sort="cheapest") == [2, 0, 1, 3]
    assert await found(sort="dearest") == [3, 1, 0, 2]
    assert await found(sort="newest") == [3, 2, 1, 0]
    assert await found(sort="ending") == [1, 2, 0, 3]
    assert await found(kind="place") == await found(merchant=str(merchant.id)) == [1, 3]
    assert await found(when="soon") == []


async def test_what_comes_soon_is_shown_apart_from_what_can_be_had_now(shop: Shop) -> None:
    word = new_id().hex
    soon = await shop.reward(title=word, starts_at=clock.now() + timedelta(hours=1))
    now = await shop.reward(title=word)
    async with shop.points.client() as client:
        for when, id_ in (("soon", soon), ("now", now)):
            page = (await client.get("/api/points/rewards", params={"q": word, "when": when})).json()
            assert [item["id"] for item in page["items"]] == [str(id_)]


async def test_what_is_affordable_is_what_ones_household_has_the_points_for(shop: Shop) -> None:
    word = new_id().hex
    cheap, _ = [await shop.reward(title=word, cost=cost) for cost in (12, 13)]
    family, params = await shop.household(12), {"q": word, "affordable": "true"}
    async with shop.points.client(family.actor) as client:
        page = (await client.get("/api/points/rewards", params=params)).json()
    assert [item["id"] for item in page["items"]] == [str(cheap)]
    async with shop.points.client() as client:
        assert (await client.get("/api/points/rewards", params=params)).status_code == 401
    async with shop.points.client(actor("resident")) as client:
        assert (await client.get("/api/points/rewards", params=params)).json()["items"] == []


async def test_what_i_could_get_is_what_would_not_be_refused(shop: Shop) -> None:
    with clock.frozen(clock.now()):  # today's piece is gone all the while
        family, child = await shop.household(30), new_id()
        await shop.points.tell(Family(id=family.id).changed(1, family.person_id, child, children=[child]))
        mine = {
            "plain": await shop.reward(cost=10),
            "shared": await shop.reward(cost=10, household_limit=2),
            "families": await shop.reward(cost=30, audience="families_with_children"),
            "last": await shop.reward(cost=1, stock=1),
        }
        others = [
            await shop.reward(cost=31),
            await shop.reward(stock=0),
            await shop.reward(audience="couriers"),
            await shop.reward(starts_at=clock.now() + timedelta(hours=1)),
            await shop.reward(ends_at=clock.now()),
        ]
        once = await shop.reward(cost=1, household_limit=1, daily_stock=1)
        for other in (*others, *([await spent(shop, once)])):
            assert await at_most(shop, family, other) is None
        assert {name: await at_most(shop, family, id_) for name, id_ in mine.items()} == {
            "plain": 3,
            "shared": 2,
            "families": 1,
            "last": 1,
        }
        await shop.coupon(family, mine["shared"])
        assert await at_most(shop, family, mine["shared"]) == 1
        await shop.coupon(family, mine["shared"])
        assert await at_most(shop, family, mine["shared"]) is None
        for nobody in (Household(id=family.id, person_id=child), Household()):
            assert await at_most(shop, nobody, mine["plain"]) is None


async def spent(shop: Shop, reward: UUID) -> UUID:
    """A reward of which another household has taken all of today."""
    await shop.coupon(await shop.household(10), reward)
    return reward


async def at_most(shop: Shop, family: Household, reward: UUID) -> int | None:
    """How many of it are in a household's reach, by all pages; None where it is not there."""
    params: dict[str, Any] = {"limit": 200}
    async with shop.points.client(family.actor) as client:
        while True:
            page = (await client.get("/api/points/outlook/rewards", params=params)).json()
            for item in page["items"]:
                if item["reward"]["id"] == str(reward):
                    return int(item["at_most"])
            if page["next_cursor"] is None:
                return None
            params["cursor"] = page["next_cursor"]


async def test_what_expires_is_told_before_it_does_points_and_coupons(own_points: Points) -> None:
    shop = Shop(own_points)
    morning = datetime(2026, 12, 1, 9, tzinfo=BEIJING)
    with clock.frozen(morning):
        soon, later = await shop.reward(valid_days=3), await shop.reward(valid_days=60)
        family = await shop.household(100)
        coupons = [(await shop.coupon(family, reward))["id"] for reward in (later, soon)]

        async def expiring(**params: Any) -> dict[str, Any]:
            async with shop.points.client(family.actor) as client:
                answer = await client.get("/api/points/outlook/expiring", params=params)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        month = await expiring()
        assert ([item["id"] for item in month["coupons"]], month["points"]) == ([coupons[1]], [])
        years = await expiring(days=800)
        assert [item["id"] for item in years["coupons"]] == [coupons[1], coupons[0]]
        assert [(lot["points"], lot["last_day"]) for lot in years["points"]] == [(76, "2027-12-31")]
        assert years["more_coupons"] is False
        async with shop.points.client(actor("resident")) as client:
            nothing = (await client.get("/api/points/outlook/expiring")).json()
        assert (nothing["coupons"], nothing["points"]) == ([], [])
    with clock.frozen(morning + timedelta(days=4)):
        assert (await expiring())["coupons"] == []
