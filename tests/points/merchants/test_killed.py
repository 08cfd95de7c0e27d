"""The process is killed at every step between redeeming and using: coupon and ledger agree, nothing told is lost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from chassis.core import keys
from chassis.core.ids import new_id
from services.points.settings import PointsSettings
from tests.points.merchants.conftest import Market, Till
from tests.points.mortal import ANSWERING, MortalService
from tests.points.rewards.conftest import Household, Merchant
from tests.town import Town

STEPS_MAX = 60


@contextmanager
def mortal(town: Town) -> Iterator[MortalService]:
    """The points service once more, on the same database, as a process that can be killed."""
    settings = town.settings("points")
    assert isinstance(settings, PointsSettings)
    signing = keys.read_signing_keys(town.keys_dir / "access-tokens.json")
    service = MortalService(settings, {"keys": [key.as_dict(private=False) for key in signing]})
    try:
        service.start()
        yield service
    finally:
        service.close()


class Shopper:
    """A household that redeems through the mortal service."""

    def __init__(self, market: Market, service: MortalService, household: Household) -> None:
        self.service = service
        self.headers = {"Authorization": f"Bearer {market.points.town.token(household.actor)}"}

    def redeem(self, reward_id: object, key: str, dies: str = "") -> httpx2.Response | None:
        headers = self.headers | {"Idempotency-Key": key}
        return self.service.request("POST", f"/api/points/rewards/{reward_id}/redeem", headers=headers, dies=dies)


def use(
    service: MortalService, till: Till, body: dict[str, Any], dies: str = "", operation: str = "use"
) -> httpx2.Response | None:
    """Redeem the coupon (or whatever the operation is), with a new nonce as a till repeats a request."""
    content = json.dumps(body).encode()
    target = f"/merchant/v1/coupons/{operation}"
    headers = {"Authorization": till.authorization("POST", target, content), "Content-Type": "application/json"}
    return service.request("POST", target, headers=headers, content=content, dies=dies)


@pytest.mark.timeout(1800)
async def test_killed_at_each_step_of_redeeming_a_family_has_one_coupon_for_its_points(
    own_market: Market,
) -> None:
    market = own_market
    till = await market.till()
    reward = await market.shop.reward(merchant_ids=[till.id], stock=1000)
    with mortal(market.points.town) as service:
        for dies in [*map(str, range(STEPS_MAX)), ANSWERING]:
            family = await market.shop.household(20)
            shopper, key = Shopper(market, service, family), new_id().hex
            survived = shopper.redeem(reward, key, dies)
            answer = survived or shopper.redeem(reward, key)
            assert answer is not None
            assert answer.status_code == 201, answer.text
            assert [item["id"] for item in await market.shop.coupons(family)] == [answer.json()["id"]]
            assert await market.shop.balance(family) == 8
            if survived is not None:
                assert int(dies) == service.deaths, "it died at every step before"
                break
        else:
            raise AssertionError(f"redeeming takes more than {STEPS_MAX} steps")
        assert service.deaths > 5
        assert Shopper(market, service, await market.shop.household(20)).redeem(reward, "k", ANSWERING) is None
    await market.shop.check()


@pytest.mark.timeout(1800)
async def test_killed_at_each_step_of_a_use_a_coupon_is_spent_once_and_the_till_learns_it(
    own_market: Market,
) -> None:
    market = own_market
    till = await market.till()
    reward = await market.shop.reward(merchant_ids=[till.id], stock=1000)
    used = 0
    with mortal(market.points.town) as service:
        for dies in [ANSWERING, *map(str, range(STEPS_MAX))]:
            family = await market.shop.household(12)
            coupon = await market.shop.coupon(family, reward)
            body = till.body(coupon["code"])
            survived = use(service, till, body, dies)
            answer = survived or use(service, till, body)
            assert answer is not None
            assert (answer.status_code, answer.json()["state"]) == (200, "USED"), answer.text
            market.check_signed(answer)
            used += 1
            assert await market.shop.payable(Merchant(till.id)) == 12 * used
            if survived is not None:
                break
        else:
            raise AssertionError(f"a use takes more than {STEPS_MAX} steps")
        assert service.deaths == used - 1 > 10
    await market.shop.check()


@pytest.mark.timeout(1800)
async def test_killed_while_a_use_is_undone_it_is_undone_once_and_the_till_learns_it(own_market: Market) -> None:
    """At every fourth step: those at the door are a use's."""
    market = own_market
    till = await market.till()
    reward = await market.shop.reward(merchant_ids=[till.id], stock=1000)
    with mortal(market.points.town) as service:
        for dies in [ANSWERING, *map(str, range(3, STEPS_MAX, 4))]:
            family = await market.shop.household(12)
            coupon = await market.shop.coupon(family, reward)
            used = use(service, till, till.body(coupon["code"]))
            assert used is not None
            body = till.body(coupon_id=coupon["id"], use_no=used.json()["use_no"], use_time=None)
            survived = use(service, till, body, dies, "return")
            answer = survived or use(service, till, body, operation="return")
            assert answer is not None
            assert (answer.status_code, answer.json()["state"]) == (200, "EFFECTIVE"), answer.text
            assert await market.shop.payable(Merchant(till.id)) == 0
            if survived is not None:
                break
        else:
            raise AssertionError(f"a return takes more than {STEPS_MAX} steps")
        assert service.deaths > 3
    await market.shop.check()
