"""今日清单: what a store's people see of its day, at hours of their own, on a service of the test's own."""

from datetime import datetime, time, timedelta

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING, day_of
from tests.points.conftest import Points
from tests.points.counter.conftest import Counter, new_counter
from tests.points.rewards.conftest import Shop, code_of
from tests.town import actor

NOON = datetime.combine(day_of(clock.now()) + timedelta(days=2), time(12), BEIJING)
"""Of a day to come, so that nothing was posted later: a ledger's time never runs backwards."""


@pytest.fixture
async def own_counter(own_points: Points) -> Counter:
    return await new_counter(Shop(own_points), stores=("s1", "s2"))


async def test_the_day_lists_its_uses_with_who_made_them_and_sums_what_is_left(own_counter: Counter) -> None:
    counter = own_counter
    with clock.frozen(NOON):
        uses = []
        for _ in range(3):
            _, coupon = await counter.coupon()
            uses.append(await counter.used(coupon["code"]))
        _, coupon = await counter.coupon()
        by_manager = await counter.used(coupon["code"], counter.manager)
        await counter.undo(uses[0])
        today = await counter.today()
        pages = [await counter.today(limit=3)]
        pages.append(await counter.today(limit=3, cursor=pages[0]["next_cursor"]))
    assert (today["day"], today["used"], today["returned"]) == (NOON.date().isoformat(), 4, 1)
    assert (today["face_fen"], today["payable_fen"]) == (3 * 2000, 3 * 1500)
    assert sorted(item["use_no"] for item in today["items"]) == sorted(use["use_no"] for use in [*uses, by_manager])
    items = {item["use_no"]: item for item in today["items"]}
    assert items[uses[0]["use_no"]]["returned_at"] is not None
    assert items[uses[0]["use_no"]]["returnable_until"] is None
    assert items[uses[1]["use_no"]]["returnable_until"] == uses[1]["returnable_until"]
    assert (items[uses[1]["use_no"]]["operator_id"], items[uses[1]["use_no"]]["operator_name"]) == (
        str(counter.clerk.id),
        "小王",
    )
    assert items[by_manager["use_no"]]["operator_name"] is None
    assert [item for page in pages for item in page["items"]] == today["items"]
    assert pages[1]["next_cursor"] is None


async def test_what_was_used_before_midnight_can_still_be_undone_from_the_list_and_counts_for_its_own_day(
    own_counter: Counter,
) -> None:
    counter = own_counter
    before = NOON.replace(hour=23, minute=50)
    with clock.frozen(before - timedelta(hours=2)):
        _, early = await counter.coupon()
        await counter.used(early["code"])
    with clock.frozen(before):
        _, late = await counter.coupon()
        use = await counter.used(late["code"])
        assert (await counter.today())["used"] == 2
    with clock.frozen(before + timedelta(minutes=20)):
        tomorrow = NOON.date() + timedelta(days=1)
        today = await counter.today()
        assert (today["day"], today["used"], today["payable_fen"]) == (tomorrow.isoformat(), 0, 0)
        assert [item["use_no"] for item in today["items"]] == [use["use_no"]]
        assert (await counter.undo(use)).status_code == 200
        today = await counter.today()
        assert (today["used"], today["returned"], today["payable_fen"]) == (0, 1, -1500)


async def test_each_store_has_a_list_of_its_own_which_others_do_not_see(own_counter: Counter) -> None:
    counter = own_counter
    with clock.frozen(NOON):
        _, coupon = await counter.coupon()
        await counter.used(coupon["code"])
        counter.store_id = "s2"
        assert (await counter.today(counter.manager))["items"] == []
        for who in (counter.clerk, actor("resident"), actor("auditor")):
            async with counter.shop.points.client(who) as client:
                answer = await client.get(f"{counter.path}/today")
            assert (answer.status_code, code_of(answer)) == (403, "not_at_this_counter")
