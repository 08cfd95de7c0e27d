"""A neighbourhood of a test's own, with staff at every level, and what tests do in it again and again."""

import secrets
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from chassis.core.messages import MessageRow
from services.orders.places import actions as places
from services.orders.terms import Level, PlaceKind
from tests.orders.images import photo
from tests.town import Town, actor, new_address, new_phone

LIFT_DOOR = "P0104"  # the property company's, 24 hours, not urgent
TRAPPED = "P0101"  # the property company's, 2 hours, urgent
RUDE = "P0602"  # about the property company
CRACKED_WALL = "H0105"  # a section's


def at(text: str) -> AbstractContextManager[None]:
    """The clock stands at this time in Beijing."""
    return clock.frozen(datetime.fromisoformat(text).replace(tzinfo=BEIJING))


class Neighbourhood:
    """A subdistrict with one community, one property company and a lift, of nobody else's."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.runtime = town.runtime("orders")
        self.db = town.db("orders")
        self.subdistrict, self.section, self.community, self.company, self.rival = (new_id() for _ in range(5))
        self.lift, self.building = new_id(), new_id()
        self.code, self.building_code = (f"T{secrets.token_hex(6)}" for _ in range(2))
        self.handler = self.staff("handler", self.company, "property")
        self.colleague = self.staff("handler", self.company, "property")
        self.stranger = self.staff("handler", self.rival, "property")
        self.community_handler = self.staff("handler", self.community, "community")
        self.dispatcher = self.staff("dispatcher", self.company, "property")
        self.subdistrict_dispatcher = self.staff("dispatcher", self.subdistrict, "subdistrict")
        self.supervisor = self.staff("supervisor", self.subdistrict, "subdistrict")
        self.agent = self.staff("callback_agent", self.subdistrict, "subdistrict")
        self.auditor = self.staff("auditor", self.subdistrict, "subdistrict")
        self.resident = actor("resident", household_id=new_id())

    @staticmethod
    def staff(role: str, organisation_id: UUID, level: str, *more: str) -> Actor:
        """A member of staff."""
        return actor(role, *more, organisation_id=organisation_id, level=level)

    async def settle(self) -> None:
        """Record the units and places."""
        async with self.db.transaction() as session:
            for unit_id, kind, level, parent, remit in (
                (self.subdistrict, "subdistrict", Level.SUBDISTRICT, None, ()),
                (self.section, "section", Level.SUBDISTRICT, self.subdistrict, ("H01",)),
                (self.community, "community", Level.COMMUNITY, self.subdistrict, ()),
                (self.company, "property_company", Level.PROPERTY, self.community, ()),
                (self.rival, "property_company", Level.PROPERTY, self.community, ()),
            ):
                await places.record_unit(
                    session, unit_id, name=kind, kind=kind, level=level, parent_id=parent, remit=remit
                )
            await self.place(session, self.building, PlaceKind.BUILDING, "试验小区3号楼", self.building_code)
            await self.place(session, self.lift, PlaceKind.LIFT, "试验小区3号楼电梯", self.code)

    async def place(self, session: Any, place_id: UUID, kind: PlaceKind, name: str, code: str, **over: Any) -> None:
        """A place with a code."""
        units = {"community_id": self.community, "property_id": self.company} | over
        await places.record_place(session, place_id, kind=kind, name=name, **units)
        await places.issue_qr_code(session, code, place_id)

    def client(self, who: Actor | None = None, *, device: str = "203.0.113.7") -> httpx2.AsyncClient:
        """A client, from a device of this address."""
        return self.town.client("orders", who, address=device)

    async def get(self, path: str, who: Actor | None = None, **params: Any) -> httpx2.Response:
        """GET `/api/orders{path}`."""
        async with self.client(who) as client:
            return await client.get(f"/api/orders{path}", params=params)

    async def post(
        self,
        path: str,
        body: Any = None,
        who: Actor | None = None,
        *,
        device: str = "203.0.113.7",
        key: str | None = None,
    ) -> httpx2.Response:
        """POST JSON to `/api/orders{path}`."""
        async with self.client(who, device=device) as client:
            headers = {"Idempotency-Key": key} if key else {}
            return await client.post(f"/api/orders{path}", json={} if body is None else body, headers=headers)

    async def upload(
        self, content: bytes | None = None, who: Actor | None = None, *, device: str | None = None
    ) -> httpx2.Response:
        """Send a photo."""
        async with self.client(who, device=device or new_device()) as client:
            file = ("photo.jpg", photo() if content is None else content, "image/jpeg")
            return await client.post("/api/orders/photos", files={"file": file})

    async def photo(self) -> str:
        """The id of a photo that can be attached."""
        answer = await self.upload()
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def send_report(self, who: Actor | None = None, *, device: str | None = None, **over: Any) -> httpx2.Response:
        """Report that a lift door sticks, or as `over` says, by default with a phone and from a device of its own."""
        body = {
            "qr_code": self.code,
            "subitem_code": LIFT_DOOR,
            "description": "电梯门关不上",
            "contact": {"name": "张三丰", "phone": new_phone()},
        } | over
        body = {name: value for name, value in body.items() if value is not None}
        return await self.post("/reports", body, who, device=device or new_device())

    async def report(self, who: Actor | None = None, **over: Any) -> dict[str, Any]:
        """A report that is taken; `token` is its private link's."""
        answer = await self.send_report(who, **over)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made | {"token": (made["tracking_url"] or "").removeprefix("/t/")}

    async def act(self, report: dict[str, Any], action: str, who: Actor, **body: Any) -> dict[str, Any]:
        """An action on the order that must succeed."""
        answer = await self.post(f"/{report['id']}/{action}", body, who)
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def by_link(self, report: dict[str, Any], action: str, **body: Any) -> httpx2.Response:
        """An action through the private link."""
        return await self.post(f"/track/{report['token']}/{action}", body)

    async def claimed(self, who: Actor | None = None, **over: Any) -> dict[str, Any]:
        """A report that the handler has claimed."""
        report = await self.report(**over)
        await self.act(report, "claim", who or self.handler)
        return report

    async def work(self, report: dict[str, Any], who: Actor | None = None) -> None:
        """From claimed to resolved, by way of a meeting."""
        who = who or self.handler
        await self.act(report, "meet", who, mode="on_site")
        await self.act(report, "start", who)
        await self.resolve(report, who)

    async def resolve(self, report: dict[str, Any], who: Actor | None = None) -> None:
        """The work is done."""
        await self.act(report, "resolve", who or self.handler, note="已修复", photos=[await self.photo()])

    async def resolved(self, **over: Any) -> dict[str, Any]:
        """A report that waits for its call-back."""
        report = await self.claimed(**over)
        await self.work(report)
        return report

    async def call(self, report: dict[str, Any], solved: bool = True, satisfied: str = "satisfied") -> dict[str, Any]:
        """A call-back that reaches the resident."""
        return await self.act(report, "callback", self.agent, contacted=True, solved=solved, satisfied=satisfied)

    async def under_review(self) -> dict[str, Any]:
        """A report that was worked on three times in vain."""
        report = await self.resolved()
        for _ in range(2):
            await self.call(report, solved=False, satisfied="dissatisfied")
            await self.resolve(report)
        assert (await self.call(report, solved=False, satisfied="dissatisfied"))["state"] == "review_pending"
        return report

    async def detail(self, report: dict[str, Any], who: Actor | None = None) -> dict[str, Any]:
        """The order with its history, as the auditor sees it by default."""
        answer = await self.get(f"/{report['id']}", who or self.auditor)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def track(self, report: dict[str, Any]) -> dict[str, Any]:
        """What the private link shows."""
        answer = await self.get(f"/track/{report['token']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def messages(self, report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """What was published of the order, in order: (type without service and version, data)."""
        async with self.db.transaction() as session:
            statement = (
                select(MessageRow).where(MessageRow.aggregate == f"order/{report['id']}").order_by(MessageRow.sequence)
            )
            return [(row.type.split(".")[1], row.data) for row in await session.scalars(statement)]


def new_device() -> str:
    """An address that no other test comes from."""
    return f"{new_address()}:40000"
