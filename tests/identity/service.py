"""A running identity service, and what tests of it do again and again."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI

from chassis.core.actor import Actor
from chassis.core.ids import new_id
from chassis.core.runtime import Runtime
from services.identity.organisations import actions as organisations
from services.identity.people import actions as people
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION
from services.identity.terms import Level, OrganisationKind, Role
from tests.town import Town

PHONE = "10000000001"
OTHER_PHONE = "10000000002"


@dataclass
class Outbox:
    """An SMS sender that keeps what it was given."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    async def send_code(self, phone: str, code: str, *, minutes: int) -> None:
        self.sent.append((phone, code))


class Identity:
    """The identity service, seen from outside and from within."""

    def __init__(self, town: Town, app: FastAPI, outbox: Outbox) -> None:
        self.town = town
        self.app = app
        self.outbox = outbox
        self.runtime: Runtime = app.state.runtime
        self.db = self.runtime.db
        self.vault = self.runtime.vault

    def client(self, address: str = "203.0.113.7") -> httpx2.AsyncClient:
        """A client of this very process of the service, from `address`."""
        transport = httpx2.ASGITransport(self.app, client=(address, 40000))
        return httpx2.AsyncClient(transport=transport, base_url="http://town.test")

    async def post(self, path: str, body: Any, *, address: str = "203.0.113.7", **headers: str) -> httpx2.Response:
        """POST to `/api/identity{path}`."""
        async with self.client(address) as client:
            named = {"Content-Type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            return await client.post(f"/api/identity{path}", content=json.dumps(body), headers=named)

    async def get(self, path: str, *, token: str | None = None) -> httpx2.Response:
        """GET `/api/identity{path}`."""
        async with self.client() as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return await client.get(f"/api/identity{path}", headers=headers)

    async def code_for(self, phone: str) -> str:
        """Ask for a code, and read it on the phone."""
        answer = await self.post("/otp", {"phone": phone})
        assert answer.status_code == 202, answer.text
        return self.outbox.sent[-1][1]

    async def sign_in(self, phone: str = PHONE) -> dict[str, Any]:
        """The tokens of a phone, which becomes a resident's if nobody has it."""
        body = {"phone": phone, "code": await self.code_for(phone), "privacy_notice": PRIVACY_NOTICE_VERSION}
        answer = await self.post("/tokens", body)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def record_person(
        self, name: str, phone: str | None = None, *, child: bool = False, person_id: UUID | None = None
    ) -> UUID:
        """A person, as the demo town records one."""
        person_id = person_id or new_id()
        async with self.db.transaction() as session:
            await people.record_person(session, self.vault, person_id, name=name, phone=phone, child=child)
        return person_id

    async def record_household(self, *member_ids: UUID, household_id: UUID | None = None) -> UUID:
        """A household of these."""
        household_id = household_id or new_id()
        async with self.db.transaction() as session:
            await people.record_household(session, household_id, member_ids)
        return household_id

    async def record_organisation(
        self, name: str, kind: OrganisationKind, level: Level, organisation_id: UUID | None = None, **more: Any
    ) -> UUID:
        """An organisation."""
        organisation_id = organisation_id or new_id()
        async with self.db.transaction() as session:
            await organisations.record_organisation(session, organisation_id, name=name, kind=kind, level=level, **more)
        return organisation_id

    async def give_post(self, person_id: UUID, organisation_id: UUID, role: Role) -> None:
        """A post."""
        async with self.db.transaction() as session:
            await organisations.give_post(session, person_id, organisation_id, role)

    async def actor_of(self, access_token: str) -> Actor:
        """Who a service would say the bearer is."""
        return await self.runtime.access_tokens.actor(access_token)


async def start(town: Town, **settings: Any) -> Identity:
    """The service with these settings, and an SMS sender that the test can read."""
    app = await town.start("identity", **settings)
    outbox = Outbox()
    app.state.desk.sender = outbox
    return Identity(town, app, outbox)
