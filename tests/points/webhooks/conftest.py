"""Merchants who are told: endpoints on this machine, and what goes out to them when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select, update

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from chassis.core.outbound import Outbound
from services.points.merchants.actions import record_merchant
from services.points.webhooks.announcing import Announcement, announce
from services.points.webhooks.rules import PAUSES
from services.points.webhooks.sending import Courier, Sending
from services.points.webhooks.tables import WebhookDelivery, WebhookEndpoint
from services.points.webhooks.terms import DeliveryState, EndpointState
from tests import openssl
from tests.points.conftest import Points, service_on
from tests.points.merchants.conftest import Key
from tests.receiver import Receiver
from tests.town import TestDatabase, actor

ENDPOINTS = "/api/points/webhooks/endpoints"
NOON = datetime(2026, 3, 5, 4, tzinfo=UTC)


class Merchant:
    """A merchant and its manager."""

    def __init__(self, post_office: "PostOffice", merchant_id: UUID) -> None:
        self._office = post_office
        self.id = merchant_id
        self.manager = actor("merchant", organisation_id=merchant_id)

    async def ask(self, method: str, path: str = "", body: Any = None, **params: Any) -> httpx2.Response:
        """What its manager is answered."""
        return await self._office.ask(self.manager, method, path, body, **params)

    async def endpoint(self, url: str, *event_types: str, **fields: Any) -> dict[str, Any]:
        """An endpoint that is told of these events, or of all."""
        body = {"merchant_id": str(self.id), "url": url, "event_types": event_types} | fields
        answer = await self.ask("POST", body=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def shown(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """An endpoint as it is now."""
        answer = await self.ask("GET", f"/{endpoint['id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def log(self, endpoint: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        """The first page of its deliveries, the latest event first."""
        answer = await self.ask("GET", f"/{endpoint['id']}/deliveries", **params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def delivery(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """Its only delivery, with every try."""
        [delivery] = await self.log(endpoint)
        answer = await self.ask("GET", f"/{endpoint['id']}/deliveries/{delivery['event_id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def told(self, event_type: str = "COUPON.USED", **resource: Any) -> Announcement:
        """Something to be announced."""
        return Announcement(self.id, event_type, {"coupon_id": "12345678901234"} | resource, clock.now())


class PostOffice:
    """Webhooks of a running points service. Nothing goes out but when it is asked to `send`."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.db = points.db
        self.vault = points.town.runtime("points").vault
        self._opened: list[Outbound] = []

    async def merchant(self) -> Merchant:
        """A merchant that nobody else has."""
        merchant_id = new_id()
        mchid = f"{merchant_id.int % 10**10:010d}"
        async with self.db.transaction() as session:
            await record_merchant(session, merchant_id, mchid=mchid, name="麦垛面包房", stores={})
        return Merchant(self, merchant_id)

    async def ask(self, who: Actor, method: str, path: str = "", body: Any = None, **params: Any) -> httpx2.Response:
        """What somebody is answered under the endpoints' address."""
        async with self.points.client(who) as client:
            return await client.request(method, ENDPOINTS + path, json=body, params=params)

    async def announce(self, *announcements: Announcement) -> None:
        """Announce in one transaction, which is committed."""
        async with self.db.transaction() as session:
            await announce(session, announcements)

    def courier(self, **options: Any) -> Courier:
        """Somebody who sends, to this machine too unless `options` say otherwise."""
        outbound = Outbound(**({"local_addresses": True, "timeout_seconds": 60} | options))
        self._opened.append(outbound)
        return Courier(Sending(self.db, self.vault, outbound, self.points.town.runtime("points").metrics))

    async def send(self) -> None:
        """Send all that is due."""
        await self.courier().send_all()

    async def send_at(self, at: datetime) -> None:
        """Send all that is due at that time."""
        with clock.frozen(at):
            await self.send()

    async def secrets(self) -> dict[UUID, bytes]:
        """What is stored of the endpoints' secrets."""
        async with self.db.transaction() as session:
            rows = await session.execute(select(WebhookEndpoint.id, WebhookEndpoint.secret_sealed))
            return {row.id: row.secret_sealed for row in rows}

    async def close(self) -> None:
        """Leave nothing to other tests that would go out."""
        await asyncio.gather(*[outbound.aclose() for outbound in self._opened])
        gone = {"state": EndpointState.REMOVED, "secret_sealed": None}
        async with self.db.transaction() as session:
            await session.execute(update(WebhookEndpoint).values(old_secret_sealed=None, old_secret_until=None, **gone))


@pytest.fixture(scope="module")
async def points(
    shared_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """The service that a module's tests share, which lets webhooks go to this machine."""
    home = tmp_path_factory.mktemp("points")
    async with service_on(shared_database, keys_dir, home, webhook_local_addresses=True) as service:
        yield service


@pytest.fixture
async def office(points: Points) -> AsyncIterator[PostOffice]:
    office = PostOffice(points)
    try:
        yield office
    finally:
        await office.close()


@pytest.fixture
async def merchant(office: PostOffice) -> Merchant:
    return await office.merchant()


@pytest.fixture(scope="session")
def rsa_key() -> Key:
    """An RSA key by openssl."""
    return Key(*openssl.new_rsa_key())


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A merchant's web server."""
    async with Receiver() as receiver:
        yield receiver


async def given_up(office: PostOffice, endpoint: dict[str, Any], at: datetime) -> None:
    """Have everything that waits for an endpoint come to its last try, and that be made."""
    last = {"attempts": len(PAUSES), "failures": len(PAUSES), "next_attempt_at": at}
    waiting = WebhookDelivery.endpoint_id == endpoint["id"], WebhookDelivery.state == DeliveryState.PENDING
    async with office.db.transaction() as session:
        await session.execute(update(WebhookDelivery).where(*waiting).values(last))
    await office.send_at(at)
