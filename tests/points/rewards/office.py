"""Administrators at work on the catalogue."""

from typing import Any

import httpx2

from chassis.core.actor import Actor
from services.points.merchants.actions import record_merchant
from tests.points.rewards.conftest import Merchant, Shop, code_of
from tests.town import actor

WRITER, APPROVER, AUDITOR = actor("administrator"), actor("administrator"), actor("auditor")


async def merchant_with_stores(shop: Shop) -> Merchant:
    """A merchant on record with two stores."""
    merchant = Merchant()
    async with shop.db.transaction() as session:
        stores = {"east": "东店", "west": "西店"}
        await record_merchant(session, merchant.id, mchid=merchant.mchid, name="槐香理发店", stores=stores)
    return merchant


def draft(*merchants: Merchant, **changes: Any) -> dict[str, Any]:
    """A reward as an administrator writes it."""
    body: dict[str, Any] = {
        "title": "理发券",
        "description": "凭券理发一次。",
        "kind": "service",
        "cost": 12,
        "face_fen": 2000,
        "payable_fen": 1500,
        "stock": 10,
        "refund_on_expiry": True,
        "valid_days": 30,
        "starts_at": "2026-01-01T00:00:00+08:00",
        "ends_at": "2036-01-01T00:00:00+08:00",
        "merchants": [{"id": str(merchant.id)} for merchant in merchants],
    }
    return body | changes


class Office:
    """Administrators at work on the catalogue."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def ask(self, method: str, path: str, who: Actor = WRITER, **options: Any) -> httpx2.Response:
        async with self.shop.points.client(who) as client:
            return await client.request(method, f"/api/points/catalogue{path}", **options)

    async def done(self, method: str, path: str, who: Actor = WRITER, **options: Any) -> dict[str, Any]:
        answer = await self.ask(method, path, who, **options)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    async def drafted(self, **changes: Any) -> dict[str, Any]:
        """A draft of the writer's, honoured by a merchant of its own."""
        return await self.done("POST", "", json=draft(await merchant_with_stores(self.shop), **changes))

    async def approved(self, **changes: Any) -> dict[str, Any]:
        reward = await self.drafted(**changes)
        return await self.approve(reward)

    async def approve(self, reward: dict[str, Any], who: Actor = APPROVER) -> dict[str, Any]:
        return await self.done("POST", f"/{reward['id']}/approve", who, json={"version": reward["version"]})

    async def listed(self, **changes: Any) -> dict[str, Any]:
        reward = await self.approved(**changes)
        return await self.done("POST", f"/{reward['id']}/list")

    async def refused(self, method: str, path: str, who: Actor = WRITER, **options: Any) -> tuple[int, str]:
        answer = await self.ask(method, path, who, **options)
        assert not answer.is_success, answer.text
        return answer.status_code, code_of(answer)

    async def public(self, reward: dict[str, Any]) -> httpx2.Response:
        """What somebody who is not signed in is shown of it."""
        async with self.shop.points.client() as client:
            return await client.get(f"/api/points/rewards/{reward['id']}")
