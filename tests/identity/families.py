"""People of a test's own, as they use the service: each signed in, from an address of their own."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select, text

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from chassis.core.messages import MessageRow
from services.identity.guardianship.terms import TEXTS
from services.identity.people import actions as people
from services.identity.terms import ConsentPurpose
from tests.identity.service import Identity
from tests.town import new_address, new_phone

RECORD, ACTIVITIES = (TEXTS[purpose].version for purpose in (ConsentPurpose.CHILD_RECORD, ConsentPurpose.ACTIVITIES))


def years_ago(years: int, days: int = 0) -> str:
    """The day so many years, and so many days, before today in Beijing."""
    today = clock.today()
    return (date(today.year - years, today.month, min(today.day, 28)) - timedelta(days=days)).isoformat()


@dataclass
class Someone:
    """Somebody who is signed in. Their token says nothing true of their household: nothing here may rely on it."""

    street: "Street"
    id: str
    name: str
    phone: str
    address: str

    @property
    def token(self) -> str:
        """An access token that is good now, whatever the test's clock says."""
        who = Actor(UUID(self.id), frozenset({"resident"}), None, None, household_id=new_id())
        return self.street.identity.town.token(who)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A request to `/api/identity{path}`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.street.identity.client(self.address) as client:
            return await client.request(
                method,
                f"/api/identity{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.token}"} | named,
            )

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """A request that must succeed; its answer."""
        answer = await self.call(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """A request that must be refused and change nothing: status and code."""
        before = await self.street.everything()
        answer = await self.call(method, path, body)
        assert answer.is_client_error, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert await self.street.everything() == before
        return answer.status_code, answer.json()["code"]

    async def household(self) -> dict[str, Any]:
        """Their household as `/me` shows it."""
        household: dict[str, Any] = (await self.done("GET", "/me"))["household"]
        return household

    async def household_id(self) -> str:
        """Its id."""
        return str((await self.household())["id"])

    async def member(self, person_id: str) -> dict[str, Any]:
        """A member of their household, as they see them."""
        return next(member for member in (await self.household())["members"] if member["id"] == person_id)

    async def member_ids(self) -> set[str]:
        """Who belongs to their household."""
        return {member["id"] for member in (await self.household())["members"]}

    async def add_child(self, name: str = "赵小宝", birth_date: str | None = None) -> str:
        """A child of eight, or born on that day; its id."""
        body = {"name": name, "birth_date": birth_date or years_ago(8), "text_version": RECORD}
        return str((await self.done("POST", "/household/children", body))["id"])

    async def consent(self, child_id: str) -> str:
        """Consent to the child's taking part in activities; the consent's id."""
        body = {"child_id": child_id, "purpose": "activities", "text_version": ACTIVITIES}
        return str((await self.done("POST", "/consents", body))["id"])

    async def invite(self) -> str:
        """A code."""
        return str((await self.done("POST", "/household/invitations"))["code"])

    async def join(self, code: str) -> httpx2.Response:
        """Offer a code."""
        return await self.call("POST", "/household/join", {"code": code})

    async def take_in(self, *others: "Someone") -> None:
        """Let these join, one after the other."""
        for other in others:
            answer = await other.join(await self.invite())
            assert answer.status_code == 200, answer.text


class Street:
    """The identity service, and the people whom one test needs."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.people: list[Someone] = []

    async def someone(self, name: str = "赵建国") -> Someone:
        """A resident who has just registered."""
        phone = new_phone()
        async with self.identity.db.transaction() as session:
            person = await people.register_resident(session, self.identity.vault, phone=phone, name=name)
        return self.signed_in(person.id, name, phone)

    async def staff(self, name: str = "孙督办") -> Someone:
        """Somebody who is known and does not live here."""
        phone = new_phone()
        return self.signed_in(await self.identity.record_person(name, phone), name, phone)

    def signed_in(self, person_id: UUID | str, name: str = "", phone: str = "") -> Someone:
        """This person with a token in hand."""
        someone = Someone(self, str(person_id), name, phone, new_address())
        self.people.append(someone)
        return someone

    async def couple(self) -> tuple[Someone, Someone]:
        """Two adults of one household."""
        mother, father = await self.someone("钱多多"), await self.someone("赵建国")
        await mother.take_in(father)
        return mother, father

    async def told(self, household_id: str) -> list[dict[str, Any]]:
        """What the others were told of a household, from the first on."""
        async with self.identity.db.transaction() as session:
            statement = (
                select(MessageRow.data)
                .where(MessageRow.aggregate == f"household/{household_id}")
                .order_by(MessageRow.sequence)
            )
            return list(await session.scalars(statement))

    async def last_told(self, household_id: str) -> dict[str, Any]:
        """The latest of it, without its time; the versions before count up from 1 without a gap."""
        told = await self.told(household_id)
        assert [fact["version"] for fact in told] == list(range(1, len(told) + 1))
        return {name: value for name, value in told[-1].items() if name != "occurred_at"}

    async def flags(self, household_id: str) -> dict[str, tuple[bool, bool]]:
        """By member, as last told: whether a child, and whether consented for."""
        members = (await self.last_told(household_id))["members"]
        return {member["person_id"]: (member["child"], member["consented"]) for member in members}

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """Rows of the service's tables."""
        async with self.identity.db.transaction() as session:
            return [tuple(row) for row in await session.execute(text(statement), values)]

    async def everything(self) -> list[Any]:
        """What could change by a request that is refused, apart from counted tries."""
        tables = ("person", "household", "membership", "guardianship", "consent", "invitation", "message")
        return [await self.rows(f"SELECT {table}::text FROM {table} ORDER BY 1") for table in tables]
