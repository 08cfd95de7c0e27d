"""The registry of merchants as administrators and managers use it. Proofs are signed by the openssl command line."""

import hashlib
from typing import Any
from uuid import UUID

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from chassis.core.actor import Actor
from chassis.core.ids import new_id
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key
from tests.town import actor

ADMINISTRATOR = actor("administrator")
AUDITOR = actor("auditor")


def manager_of(merchant_id: UUID) -> Actor:
    """Somebody who holds the post of manager at a merchant."""
    return actor("merchant", organisation_id=merchant_id, level="property")


def serial_of(key: Key) -> str:
    """The serial number that a developer works out for a key."""
    der = load_pem_public_key(key.public.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:40].upper()


def proof_of(key: Key, mchid: str, *, sandbox: bool = False) -> str:
    """What shows that one has a key's private half."""
    return key.sign(f"HHBY1-KEY\n{mchid}\n{serial_of(key)}\n{'sandbox' if sandbox else 'live'}\n".encode())


class Registry:
    """The registry of a running points service."""

    def __init__(self, points: Points) -> None:
        self.points = points

    async def get(self, path: str, who: Actor = ADMINISTRATOR, **params: Any) -> httpx2.Response:
        async with self.points.client(who) as client:
            return await client.get(f"/api/points/merchants{path}", params=params)

    async def post(self, path: str, body: Any, who: Actor = ADMINISTRATOR, **headers: str) -> httpx2.Response:
        async with self.points.client(who) as client:
            return await client.post(f"/api/points/merchants{path}", json=body, headers=headers)

    async def patch(self, path: str, body: Any, who: Actor = ADMINISTRATOR) -> httpx2.Response:
        async with self.points.client(who) as client:
            return await client.patch(f"/api/points/merchants{path}", json=body)

    async def merchant(self, *, name: str = "麦垛面包房", stores: tuple[str, ...] = ("s1",)) -> UUID:
        """A merchant with stores."""
        merchant_id = new_id()
        await self.post("", {"organisation_id": str(merchant_id), "name": name})
        for store_id in stores:
            answer = await self.post(f"/{merchant_id}/stores", {"id": store_id, "name": "总店"})
            assert answer.status_code == 201, answer.text
        return merchant_id

    async def add_key(
        self, merchant_id: UUID, mchid: str, key: Key, who: Actor = ADMINISTRATOR, *, sandbox: bool = False, **over: Any
    ) -> httpx2.Response:
        """Have a key registered, with the proof that is right unless `over` says otherwise."""
        body = {"algorithm": key.algorithm.value, "public_key": key.public, "sandbox": sandbox}
        body["proof"] = proof_of(key, mchid, sandbox=sandbox)
        return await self.post(f"/{merchant_id}/keys", body | over, who)

    async def invite(self, merchant_id: UUID, store_id: str = "s1", who: Actor = ADMINISTRATOR) -> dict[str, Any]:
        """An invitation to a store."""
        answer = await self.post(f"/{merchant_id}/clerks", {"store_id": store_id, "name": "小王"}, who)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def join(self, code: str, who: Actor) -> httpx2.Response:
        """Type an invitation's code."""
        async with self.points.client(who) as client:
            return await client.post("/api/points/counter/join", json={"code": code})

    async def stores(self, who: Actor) -> list[dict[str, Any]]:
        """The counters that somebody may stand at."""
        async with self.points.client(who) as client:
            answer = await client.get("/api/points/counter/stores")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])


@pytest.fixture
def registry(points: Points) -> Registry:
    """The service that a module's tests share: each has merchants of its own."""
    return Registry(points)
