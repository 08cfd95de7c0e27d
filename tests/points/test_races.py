"""Many deliveries at once: whatever overtakes whatever, each gets what is theirs, once."""

import asyncio
import itertools
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.core.ids import new_id
from tests.points.conftest import Points
from tests.points.facts import Order, Told


async def test_the_same_batch_delivered_ten_times_at_once_pays_once(points: Points) -> None:
    handlers = [new_id() for _ in range(4)]
    batch = [message for handler in handlers for message in Order().handled(handler)]
    await asyncio.gather(*[points.deliver(*batch) for _ in range(10)])
    assert await points.balances(handlers) == dict.fromkeys(handlers, 35)
    await points.check()


async def test_the_same_facts_in_different_messages_at_once_pay_once(points: Points) -> None:
    handler = new_id()
    story = Order().handled(handler)
    await asyncio.gather(*[points.deliver(*[message.again() for message in story]) for _ in range(8)])
    assert await points.balance(handler) == 35
    await points.check()


async def test_different_orders_racing_for_one_account_lose_no_point(points: Points) -> None:
    handler, household = new_id(), new_id()
    stories = [
        [
            *Order().handled(handler)[:2],
            Order().closed(handler, reporter_id=new_id(), reporter_household_id=household),
        ]
        for _ in range(12)
    ]
    await asyncio.gather(*[points.deliver(*story) for story in stories])
    assert await points.balance(handler) == 12 * 35
    assert await points.household_balance(household) == 10, "the cap holds in a race too"
    await points.check()


async def test_batches_in_opposite_order_do_not_block_one_another_for_good(points: Points) -> None:
    handlers = [new_id() for _ in range(3)]
    stories = [Order().handled(handler) for handler in handlers]
    orders = list(itertools.permutations(stories))
    await asyncio.gather(*[points.deliver(*itertools.chain.from_iterable(order)) for order in orders])
    assert await points.balances(handlers) == dict.fromkeys(handlers, 35)
    await points.check()


async def test_a_claim_and_its_release_racing_leave_the_points_with_the_next_claimer(points: Points) -> None:
    for _ in range(5):
        order, first, second = Order(), new_id(), new_id()
        claim = order.claimed(first)
        await asyncio.gather(
            points.deliver(claim), points.deliver(order.released(claim)), points.deliver(order.claimed(second))
        )
        assert await points.balances([first, second]) == {first: 0, second: 2}
    await points.check()


def story(steps: Sequence[tuple[int, bool, bool]], order: Order, handlers: Sequence[UUID]) -> list[Told]:
    """Claims that are released again but for the last; then a meeting and the close by the last claimer."""
    told: list[Told] = []
    for number, (who, in_time, _) in enumerate(steps):
        claim = order.claimed(handlers[who], in_time=in_time)
        told.append(claim)
        if number < len(steps) - 1:
            told.append(order.released(claim))
    last, _, on_site = steps[-1]
    return [*told, order.met(handlers[last], mode="on_site" if on_site else "phone"), order.closed(handlers[last])]


STEPS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=4)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, data=st.data())
async def test_in_whatever_order_the_facts_of_an_order_come_each_gets_the_same(
    own_points: Points, steps: Sequence[tuple[int, bool, bool]], data: st.DataObject
) -> None:
    handlers = [new_id() for _ in range(3)]
    told = story(steps, Order(), handlers)
    shuffled = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=4))]))
    await own_points.tell(*shuffled)
    last, in_time, on_site = steps[-1]
    expected = dict.fromkeys(handlers, 0) | {handlers[last]: 30 + 2 * in_time + 3 * on_site}
    assert await own_points.balances(handlers) == expected
    await own_points.check()


@pytest.mark.parametrize("batch_size", [1, 7])
async def test_a_receiver_that_dies_before_it_answers_is_told_again_and_pays_once(
    points: Points, batch_size: int
) -> None:
    handler = new_id()
    told = [message for _ in range(5) for message in Order().handled(handler)]
    for start in range(0, len(told), batch_size):
        batch = told[start : start + batch_size]
        first = asyncio.create_task(points.send(*batch))
        await asyncio.sleep(0.005)  # in the middle of it, or before, or after: all must come to the same
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await points.deliver(*batch)
    assert await points.balance(handler) == 5 * 35
    await points.check()
