"""A shop's counter without a till: clerks who redeem the coupons that households show."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from tests.points.conftest import Points
from tests.points.registry.conftest import Registry, manager_of
from tests.points.rewards.conftest import Household, Shop
from tests.town import actor

__all__ = ["Shop"]


@dataclass
class Counter:
    """A merchant's store, and a clerk at its counter."""

    shop: Shop
    registry: Registry
    id: UUID  # the merchant's, as a reward's merchant
    manager: Actor
    clerk: Actor
    clerk_id: str
    store_id: str = "s1"

    @property
    def path(self) -> str:
        return f"/api/points/counter/{self.id}/{self.store_id}"

    async def ask(self, action: str, body: Any, who: Actor | None = None, *, key: str | None = None) -> httpx2.Response:
        """Do something at the counter: the clerk, unless it is said who."""
        async with self.shop.points.client(who or self.clerk) as client:
            headers = {"Idempotency-Key": key or str(new_id())}
            return await client.post(f"{self.path}/{action}", json=body, headers=headers)

    async def look(self, code: str, who: Actor | None = None) -> httpx2.Response:
        """See what a code is."""
        async with self.shop.points.client(who or self.clerk) as client:
            return await client.post(f"{self.path}/look", json={"coupon_code": code})

    async def used(self, code: str, who: Actor | None = None) -> dict[str, Any]:
        """A coupon redeemed by looking and confirming."""
        seen = (await self.look(code, who)).json()
        answer = await self.ask("use", {"token": seen["token"]}, who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def undo(self, use: dict[str, Any], who: Actor | None = None, *, key: str | None = None) -> httpx2.Response:
        """Undo a use."""
        return await self.ask("return", {"coupon_id": use["coupon_id"], "use_no": use["use_no"]}, who, key=key)

    async def today(self, who: Actor | None = None, **params: Any) -> dict[str, Any]:
        """A page of today's list."""
        async with self.shop.points.client(who or self.clerk) as client:
            answer = await client.get(f"{self.path}/today", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def coupon(self, **reward: Any) -> tuple[Household, dict[str, Any]]:
        """A coupon that the merchant honours, as its household has it."""
        family = await self.shop.household(12)
        return family, await self.shop.coupon(family, await self.shop.reward(merchant_ids=[self.id], **reward))

    async def revoke(self) -> None:
        """The clerk is a clerk no more."""
        answer = await self.registry.post(f"/{self.id}/clerks/{self.clerk_id}/revoke", None, self.manager)
        assert answer.status_code == 200, answer.text


async def new_counter(shop: Shop, *, stores: tuple[str, ...] = ("s1",)) -> Counter:
    """A counter of a merchant of its own, with one clerk at the first of its stores."""
    registry = Registry(shop.points)
    merchant_id = await registry.merchant(stores=stores)
    clerk = actor("resident", household_id=new_id())
    invitation = await registry.invite(merchant_id, stores[0])
    assert (await registry.join(invitation["code"], clerk)).status_code == 200
    return Counter(shop, registry, merchant_id, manager_of(merchant_id), clerk, invitation["clerk"]["id"], stores[0])


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """A code changes every half minute and the day at midnight: neither comes in the middle of a test, however slow."""
    with clock.frozen(clock.now()):
        yield


@pytest.fixture
async def counter(points: Points) -> Counter:
    """A counter that nobody else has."""
    return await new_counter(Shop(points))
