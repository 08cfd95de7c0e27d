"""Who may have a reward, how often, and in which shops."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.rewards.queries import honoured
from services.points.rewards.rules import period_start, takes
from services.points.rewards.terms import LimitPeriod
from tests.points.conftest import Points
from tests.points.facts import Family
from tests.points.rewards.conftest import Household, Merchant, Shop, code_of
from tests.points.rewards.office import APPROVER, AUDITOR, Office


async def outcome(shop: Shop, family: Household, reward: UUID, **body: Any) -> str:
    """What redeeming comes to: `201`, or the code of the refusal."""
    answer = await redeem(shop, family, reward, **body)
    return "201" if answer.status_code == 201 else code_of(answer)


async def redeem(shop: Shop, family: Household, reward: UUID, **body: Any) -> httpx2.Response:
    async with shop.points.client(family.actor) as client:
        path, key = f"/api/points/rewards/{reward}/redeem", {"Idempotency-Key": str(new_id())}
        return await client.post(path, headers=key, json=body)


async def test_of_todays_pieces_no_more_are_given_and_tomorrow_there_are_others(own_points: Points) -> None:
    shop = Shop(own_points)
    evening = datetime(2026, 12, 1, 23, 59, tzinfo=BEIJING)
    with clock.frozen(evening):
        reward, family = await shop.reward(stock=5, daily_stock=2, cost=1), await shop.household(100)
    got: list[list[str]] = []
    for day in range(3):
        with clock.frozen(evening + timedelta(days=day)):
            got.append([await outcome(shop, family, reward) for _ in range(3)])
        if day == 0:
            with clock.frozen(evening + timedelta(minutes=1)):  # it is another day in Beijing, though not in UTC
                got.append([await outcome(shop, family, reward)])
    gone = "out_of_stock"
    assert got == [["201", "201", gone], ["201"], ["201", gone, gone], ["201", gone, gone]]
    assert (await shop.stock(reward), await shop.balance(family)) == (0, 95)
    await shop.check()


async def test_a_households_share_counts_within_its_period_and_comes_anew_with_the_next(own_points: Points) -> None:
    shop = Shop(own_points)
    sunday = datetime(2026, 11, 29, 12, tzinfo=BEIJING)
    with clock.frozen(sunday):
        family = await shop.household(100)
        rewards = {period: await shop.reward(household_limit=1, limit_period=period, cost=1) for period in LimitPeriod}
    had: dict[str, set[LimitPeriod]] = {}
    for name, moment in {
        "at first": sunday,
        "the same day": sunday + timedelta(hours=11),
        "on Monday": sunday + timedelta(days=1),
        "in December": datetime(2026, 12, 1, tzinfo=BEIJING),
        "in 2027": datetime(2027, 1, 1, tzinfo=BEIJING),
    }.items():
        with clock.frozen(moment):
            had[name] = {period for period, id_ in rewards.items() if await outcome(shop, family, id_) == "201"}
    assert had == {
        "at first": set(LimitPeriod),
        "the same day": set(),
        "on Monday": {LimitPeriod.DAY, LimitPeriod.WEEK},
        "in December": {LimitPeriod.DAY, LimitPeriod.MONTH},
        "in 2027": set(LimitPeriod) - {LimitPeriod.EVER},
    }
    await shop.check()


@pytest.mark.parametrize(
    ("period", "start"),
    [
        (LimitPeriod.EVER, None),
        (LimitPeriod.DAY, datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (LimitPeriod.WEEK, datetime(2026, 12, 27, 16, tzinfo=UTC)),
        (LimitPeriod.MONTH, datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (LimitPeriod.YEAR, datetime(2026, 12, 31, 16, tzinfo=UTC)),
    ],
    ids=str,
)
def test_periods_begin_at_midnight_in_beijing(period: LimitPeriod, start: datetime | None) -> None:
    assert period_start(period, datetime(2026, 12, 31, 16, 30, tzinfo=UTC)) == start


@pytest.mark.parametrize(
    ("audience", "of_one", "of_two", "with_child"),
    [
        ("everyone", "201", "201", "201"),
        ("families", "not_eligible", "201", "201"),
        ("families_with_children", "not_eligible", "not_eligible", "201"),
        ("party_members", "not_eligible", "not_eligible", "not_eligible"),
        ("couriers", "not_eligible", "not_eligible", "not_eligible"),
    ],
)
async def test_a_reward_is_for_those_whom_it_says(
    shop: Shop, audience: str, of_one: str, of_two: str, with_child: str
) -> None:
    reward = await shop.reward(audience=audience)
    alone, couple, parent = await shop.households(3, 12)
    child = new_id()
    await shop.points.tell(
        Family(id=alone.id).changed(1, alone.person_id),
        Family(id=couple.id).changed(1, couple.person_id, new_id()),
        Family(id=parent.id).changed(1, parent.person_id, child, children=[child]),
    )
    got = [await outcome(shop, family, reward) for family in (alone, couple, parent)]
    assert got == [of_one, of_two, with_child]
    assert await shop.balance(alone) == (0 if of_one == "201" else 12)


async def test_who_is_not_known_as_a_family_yet_is_not_refused_for_good(shop: Shop) -> None:
    reward, family = await shop.reward(audience="families"), await shop.household(12)
    assert code_of(await shop.redeem(family, reward, key="eager")) == "not_eligible"
    await shop.points.tell(Family(id=family.id).changed(1, family.person_id, new_id()))
    assert (await shop.redeem(family, reward, key="eager")).status_code == 201


@pytest.mark.parametrize("roll", ["party_members", "couriers"])
async def test_what_is_for_party_members_or_couriers_is_for_those_on_the_roll(shop: Shop, roll: str) -> None:
    reward, family = await shop.reward(audience=roll), await shop.household(24)
    path = f"/api/points/rolls/{roll}"
    async with shop.points.client(APPROVER) as client:
        for _ in range(2):
            assert (await client.put(f"{path}/people/{family.person_id}")).status_code == 204
        entry = (await client.get(path, params={"limit": 200})).json()["items"]
        assert (str(family.person_id), str(APPROVER.id)) in [(one["person_id"], one["entered_by"]) for one in entry]
        assert await outcome(shop, family, reward) == "201"
        for _ in range(2):
            assert (await client.delete(f"{path}/people/{family.person_id}")).status_code == 204
        assert await outcome(shop, family, reward) == "not_eligible"
        assert (await client.put(f"/api/points/rolls/families/people/{family.person_id}")).status_code == 422
    async with shop.points.client(AUDITOR) as client:
        assert (await client.get(path)).status_code == 403


async def test_a_guardian_redeems_for_a_child_and_everybody_at_home_sees_for_whom(shop: Shop) -> None:
    reward, parent = await shop.reward(cost=12), await shop.household(24)
    child, other = new_id(), Household(id=parent.id)
    home = Family(id=parent.id)
    await shop.points.tell(home.changed(1, parent.person_id, other.person_id, child, children=[child]))
    coupon = (await redeem(shop, parent, reward, for_member_id=str(child))).json()
    assert coupon["for_member_id"] == str(child)
    [listed] = await shop.coupons(other)
    assert (listed["id"], listed["for_member_id"]) == (coupon["id"], str(child))
    assert (await shop.show(other, coupon["id"])).json()["code"] is not None


async def test_nothing_is_redeemed_for_somebody_of_another_family(shop: Shop) -> None:
    reward, parent = await shop.reward(cost=12), await shop.household(24)
    await shop.points.tell(Family(id=parent.id).changed(1, parent.person_id))
    answer = await redeem(shop, parent, reward, for_member_id=str(new_id()))
    assert (answer.status_code, code_of(answer)) == (422, "member_unknown")
    assert [error["name"] for error in answer.json()["errors"]] == ["body.for_member_id"]
    assert (await shop.balance(parent), await shop.stock(reward)) == (24, 100)


async def test_a_child_spends_no_points_by_itself(shop: Shop) -> None:
    reward, child = await shop.reward(cost=12), await shop.household(24)
    await shop.points.tell(Family(id=child.id).changed(1, new_id(), child.person_id, children=[child.person_id]))
    answer = await shop.redeem(child, reward)
    assert (answer.status_code, code_of(answer)) == (403, "guardian_needed")
    assert (await shop.balance(child), await shop.stock(reward)) == (24, 100)


async def test_a_merchant_honours_it_in_the_stores_that_are_named_or_in_all(shop: Shop) -> None:
    some, every, none = Merchant(), Merchant(), Merchant()
    reward = await shop.reward(merchant_ids=[some.id, every.id], store_ids={some.id: ["east", "west"]})
    async with shop.db.transaction() as session:
        found = await honoured(session, [reward], [some.id, every.id, none.id])
    took = {
        (name, store): takes(found, reward, merchant.id, store)
        for name, merchant in (("some", some), ("every", every), ("none", none))
        for store in ("east", "north")
    }
    assert took == {
        ("some", "east"): True,
        ("some", "north"): False,
        ("every", "east"): True,
        ("every", "north"): True,
        ("none", "east"): False,
        ("none", "north"): False,
    }
    assert not takes(found, new_id(), some.id, "east")


async def test_what_was_promised_on_expiry_is_what_was_promised_when_it_was_issued(shop: Shop) -> None:
    reward, family = await shop.reward(refund_on_expiry=True), await shop.household(24)
    before = await shop.coupon(family, reward)
    await shop.reward(id=reward, refund_on_expiry=False)
    after = await shop.coupon(family, reward)
    shown = {item["id"]: item["refund_on_expiry"] for item in await shop.coupons(family)}
    assert shown == {before["id"]: True, after["id"]: False}


async def test_a_reward_by_a_second_administrator_can_be_for_some_stores_alone(shop: Shop) -> None:
    office = Office(shop)
    reward = await office.listed()
    merchant = reward["merchants"][0]
    assert (merchant["name"], merchant["stores"]) == ("槐香理发店", [])
    again = await office.drafted(merchants=[{"id": merchant["id"], "stores": ["west", "east"]}])
    assert again["merchants"][0]["stores"] == ["east", "west"]
