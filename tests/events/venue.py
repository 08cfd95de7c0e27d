"""An activity as it takes place: its code on the wall, families that scan it, organisers that settle it."""

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.messages import MessageRow
from services.events.attendance.tables import Attendance
from tests.events.service import Events, Family
from tests.town import Town

STARTS = datetime(2027, 5, 15, 9, tzinfo=BEIJING)
"""A Saturday morning."""

HOUR = timedelta(hours=1)
MIN = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Venue:
    """An open activity, from nine to eleven unless it is made otherwise."""

    def __init__(self, events: Events, activity_id: str, starts_at: datetime, ends_at: datetime) -> None:
        self.events = events
        self.id = activity_id
        self.processes = itertools.cycle([events.town])
        self.starts_at = starts_at
        self.ends_at = ends_at

    def served_by(self, others: list[Town]) -> None:
        """From now on requests go to these processes of the service, too, in turn."""
        self.processes = itertools.cycle([self.events.town, *others])

    async def post(self, path: str, who: Actor, body: Any, key: str | None = None) -> httpx2.Response:
        """POST to a path of this activity, at the process whose turn it is."""
        async with next(self.processes).client("events", who) as client:
            headers = {"Idempotency-Key": key} if key else {}
            with_body = {} if body is None else {"json": body}
            return await client.post(f"/api/events/activities/{self.id}/{path}", headers=headers, **with_body)

    async def family(self, adults: int = 1, *children: bool) -> Family:
        """A family that has signed up all of its members."""
        with clock.frozen(self.starts_at - HOUR):
            family = await self.events.family(adults, *children)
            await self.sign_up(family)
        return family

    async def sign_up(self, family: Family, members: list[UUID] | None = None) -> dict[str, Any]:
        """Sign a family up the day before."""
        with clock.frozen(self.starts_at - 24 * HOUR):
            return await self.events.sign_up(self.id, family, members)

    async def code(self, at: datetime, who: Actor | None = None) -> str:
        """What the wall shows at this moment."""
        with clock.frozen(at):
            answer = await self.events.get(f"/activities/{self.id}/venue-code", who or self.events.organiser)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])

    async def scan(
        self,
        kind: str,
        family: Family,
        at: datetime,
        *,
        code: str | None = None,
        members: Iterable[UUID] | None = None,
        who: Actor | None = None,
        key: str | None = None,
    ) -> httpx2.Response:
        """Scan the code that the wall shows, or send this one."""
        body: dict[str, Any] = {"code": code or await self.code(at)}
        if members is not None:
            body["members"] = [str(member) for member in members]
        with clock.frozen(at):
            return await self.post(kind, who or family.actor, body, key)

    async def check_in(self, family: Family, at: datetime, **how: Any) -> dict[UUID, dict[str, Any]]:
        """Check in; what the answer says of each member."""
        return answered(await self.scan("check-ins", family, at, **how))

    async def check_out(self, family: Family, at: datetime, **how: Any) -> dict[UUID, dict[str, Any]]:
        """Check out; what the answer says of each member."""
        return answered(await self.scan("check-outs", family, at, **how))

    async def visit(self, family: Family, came_at: datetime, left_at: datetime, **how: Any) -> None:
        """Check in and out."""
        await self.check_in(family, came_at, **how)
        await self.check_out(family, left_at, **how)

    async def act(
        self, action: str, at: datetime, who: Actor | None = None, body: Any = None, *, key: str | None = None
    ) -> httpx2.Response:
        """An action of an organiser."""
        with clock.frozen(at):
            return await self.post(action, who or self.events.organiser, body, key)

    async def end(self, at: datetime | None = None) -> None:
        """End it, with the schedule unless another moment is named."""
        answer = await self.act("end", at or self.ends_at)
        assert answer.status_code == 200, answer.text

    async def settle(self, who: Actor | None = None) -> dict[UUID, dict[str, Any]]:
        """Settle it without adjustments; what the answer says of each member."""
        return self.settled(await self.try_settle({}, who))

    async def try_settle(self, minutes: dict[UUID, int], who: Actor | None = None) -> httpx2.Response:
        """Settle it with these minutes set by hand."""
        body = {"adjustments": [adjustment(person, to) for person, to in minutes.items()]}
        return await self.act("settle", self.ends_at + HOUR, who, body)

    @staticmethod
    def settled(answer: httpx2.Response) -> dict[UUID, dict[str, Any]]:
        """What a settlement that succeeded says of each member."""
        assert answer.status_code == 200, answer.text
        assert answer.json()["activity"]["state"] == "settled"
        return {UUID(line["person_id"]): line for line in answer.json()["attendance"]}

    async def correct(self, person: UUID, minutes: int, who: Actor | None = None) -> httpx2.Response:
        """Correct somebody's minutes the day after."""
        return await self.act("corrections", self.ends_at + 24 * HOUR, who, adjustment(person, minutes))

    async def attendance(self) -> dict[UUID, Attendance]:
        """What is stored, by person."""
        async with self.events.db.transaction() as session:
            rows = await session.scalars(select(Attendance).where(Attendance.activity_id == UUID(self.id)))
            return {row.person_id: row for row in rows}

    async def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """What was published of this activity's hours, in order: the kind of fact, and its data."""
        async with self.events.db.transaction() as session:
            statement = select(MessageRow).where(MessageRow.data["activity_id"].astext == self.id)
            rows = await session.scalars(statement.order_by(MessageRow.sequence))
            return [(row.type.split(".")[1].removeprefix("attendance_"), dict(row.data)) for row in rows]

    async def credited(self) -> dict[UUID, int]:
        """The minutes that stand for each person after all that was published."""
        minutes: dict[UUID, int] = {}
        verified: dict[str, dict[str, Any]] = {}
        for kind, data in await self.facts():
            if kind == "verified":
                assert data["verification_id"] not in verified
                verified[data["verification_id"]] = data
                person = UUID(data["person_id"])
                minutes[person] = minutes.get(person, 0) + data["minutes"]
            else:
                withdrawn = verified[data["verification_id"]]
                minutes[UUID(withdrawn["person_id"])] -= withdrawn["minutes"]
        return {person: total for person, total in minutes.items() if total}


async def a_venue(events: Events, starts_at: datetime = STARTS, ends_at: datetime | None = None, **plan: Any) -> Venue:
    """An activity that families can sign up for, made two days before."""
    ends_at = ends_at or starts_at + 2 * HOUR
    with clock.frozen(starts_at - 48 * HOUR):
        activity_id = await events.opened(starts_at=starts_at, ends_at=ends_at, **plan)
    return Venue(events, activity_id, starts_at, ends_at)


def adjustment(person: UUID, minutes: int) -> dict[str, Any]:
    return {"person_id": str(person), "minutes": minutes, "reason": "现场记录"}


def answered(answer: httpx2.Response) -> dict[UUID, dict[str, Any]]:
    """What an answer to a scan says of each member."""
    assert answer.status_code == 200, answer.text
    return {UUID(member["person_id"]): member for member in answer.json()["members"]}


def refused(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """A refusal: its status, its code, and the fields at fault."""
    problem = answer.json()
    return answer.status_code, problem["code"], [error["name"] for error in problem["errors"]]


def wrong(*codes: str) -> str:
    """A code that is none of these."""
    return next(f"{number:06d}" for number in range(10) if f"{number:06d}" not in codes)
