"""抢兑: thousands want the same at once. Who comes first gets it, and nobody else loses a point."""

import asyncio
from collections import Counter

import pytest

from chassis.core import clock
from services.points.coupons.issuing import IssuedCoupon
from services.points.coupons.redemption import Redeem, Redemption
from services.points.ledger.writer import Writer
from services.points.rewards.errors import OutOfStock
from tests.points.rewards.conftest import Shop, all_of, code_of


@pytest.mark.parametrize("daily", [False, True], ids=["of all", "of today's"])
async def test_of_thousands_of_households_the_first_hundred_get_the_hundred_pieces(shop: Shop, daily: bool) -> None:
    number = 300 if daily else 5000
    reward = await shop.reward(cost=12, stock=1000 if daily else 100, daily_stock=100 if daily else None)
    families = await shop.households(number, 12)
    runtime = shop.points.town.runtime("points")
    patient = Writer(runtime.db, runtime.vault, runtime.metrics, wait_seconds=600, work_seconds=600)
    try:
        wanted = [Redemption(shop.vault, family.actor, reward) for family in families]
        with clock.frozen(clock.now()):  # all of them today
            results = await all_of(*(patient.submit(Redeem, each) for each in wanted))
    finally:
        await patient.close()
    assert Counter(type(result) for result in results) == {IssuedCoupon: 100, OutOfStock: number - 100}
    assert all(isinstance(result, IssuedCoupon) for result in results[:100]), "in the order in which they came"
    coupons = [result for result in results[:100] if isinstance(result, IssuedCoupon)]
    assert [coupon.household_id for coupon in coupons] == [family.id for family in families[:100]]
    assert await shop.balances(families) == {
        family.id: 0 if place < 100 else 12 for place, family in enumerate(families)
    }
    assert await shop.stock(reward) == (900 if daily else 0)
    await shop.check()


async def test_over_http_all_but_the_winners_are_told_that_nothing_is_left_and_told_the_same_again(shop: Shop) -> None:
    reward, families = await shop.reward(cost=12, stock=10), await shop.households(100, 12)
    first = await asyncio.gather(*(shop.redeem(family, reward, key="flash") for family in families))
    again = await asyncio.gather(*(shop.redeem(family, reward, key="flash") for family in families))
    outcomes = Counter((answer.status_code, answer.json().get("code") if answer.is_error else "") for answer in first)
    assert outcomes == {(201, ""): 10, (409, "out_of_stock"): 90}
    for one, other in zip(first, again, strict=True):
        assert (one.status_code, one.is_error or one.content) == (other.status_code, other.is_error or other.content)
        assert not one.is_error or code_of(one) == code_of(other)
    assert sum((await shop.balances(families)).values()) == 90 * 12
    await shop.check()
