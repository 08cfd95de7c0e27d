"""The events service as its neighbours and its users see it, and families and organisers to use it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chassis.core import clock, keys
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from chassis.core.tokens import ServiceTokens
from services.events.activities.tables import Activity
from services.events.signups.tables import Signup, SignupMember
from services.events.terms import SignupState
from tests.town import Town, actor


@dataclass
class Family:
    """A household as identity knows it. Whoever changes it counts `version` up, as identity does."""

    adults: list[UUID]
    children: dict[UUID, bool] = field(default_factory=dict)
    """Each child, and whether a guardian's consent for it is alive."""
    id: UUID = field(default_factory=new_id)
    version: int = 1
    dissolved_into: UUID | None = None

    @property
    def actor(self) -> Actor:
        """Its first adult, signed in."""
        return self.signed_in(self.adults[0])

    def signed_in(self, person_id: UUID) -> Actor:
        """A member, signed in."""
        return actor("resident", id=person_id, household_id=self.id)

    @property
    def child(self) -> UUID:
        """Its first child."""
        return next(iter(self.children))

    @property
    def everybody(self) -> list[UUID]:
        return [*self.adults, *self.children]

    def change(self) -> None:
        """Something of it has changed."""
        self.version += 1

    def withdraw_consent(self, child: UUID | None = None) -> None:
        self.children[child or self.child] = False
        self.change()

    def lose(self, person_id: UUID) -> None:
        """A member leaves."""
        self.adults = [adult for adult in self.adults if adult != person_id]
        self.children.pop(person_id, None)
        self.change()

    def join(self, other: "Family") -> None:
        """The whole household joins another one and is no more."""
        other.adults += self.adults
        other.children |= self.children
        other.change()
        self.adults, self.children, self.dissolved_into = [], {}, other.id
        self.change()

    @property
    def snapshot(self) -> dict[str, Any]:
        """The household as identity tells it."""
        members = [{"person_id": str(adult), "child": False, "consented": False} for adult in self.adults]
        members += [
            {"person_id": str(child), "child": True, "consented": consented}
            for child, consented in self.children.items()
        ]
        return {
            "occurred_at": clock.now().isoformat(),
            "household_id": str(self.id),
            "version": self.version,
            "members": members,
            "dissolved_into": str(self.dissolved_into) if self.dissolved_into else None,
        }


class Identity:
    """What events asks identity: its public keys, households, and masked names. `asked`: which households it was."""

    def __init__(self, keys_dir: Path) -> None:
        signing = keys.read_signing_keys(keys_dir / "access-tokens.json")
        self.jwks = {"keys": [key.as_dict(private=False) for key in signing]}
        self.families: dict[str, Family] = {}
        self.asked: list[str] = []
        self.down = False
        self.app = Starlette(
            routes=[
                Route("/api/identity/.well-known/jwks.json", self._keys),
                Route("/internal/households/{household_id}", self._household),
                Route("/internal/people/masked-names", self._names, methods=["POST"]),
            ]
        )

    async def _keys(self, request: Request) -> JSONResponse:
        return JSONResponse(self.jwks)

    async def _household(self, request: Request) -> JSONResponse:
        household_id = request.path_params["household_id"]
        self.asked.append(household_id)
        if self.down:
            return JSONResponse({}, 503)
        family = self.families.get(household_id)
        if family is None:
            return JSONResponse({"code": "household_not_found"}, 404)
        return JSONResponse(family.snapshot)

    async def _names(self, request: Request) -> JSONResponse:
        if self.down:
            return JSONResponse({}, 503)
        wanted = (await request.json())["person_ids"]
        known = {str(person) for family in self.families.values() for person in family.everybody}
        assert len(wanted) <= 200
        return JSONResponse({"names": [{"person_id": one, "name": "张*"} for one in wanted if one in known]})


class Events:
    """The service, with an organisation of the test's own."""

    def __init__(self, town: Town, identity: Identity) -> None:
        self.town = town
        self.identity = identity
        self.db = town.db("events")
        signing_key = keys.read_signing_key(town.keys_dir, "identity")
        self._identity_tokens = ServiceTokens("identity", signing_key, keys.read_trusted(town.keys_dir))
        self.organisation = new_id()
        self.organiser = self.staff("organiser", self.organisation)
        self.colleague = self.staff("organiser", self.organisation)
        self.stranger = self.staff("organiser", new_id())
        self.administrator = self.staff("administrator", new_id())
        self.auditor = self.staff("auditor", new_id())

    @staticmethod
    def staff(role: str, organisation_id: UUID, **more: Any) -> Actor:
        """A member of staff of this organisation."""
        return actor(role, organisation_id=organisation_id, level="community", **more)

    def client(self, who: Actor | None = None) -> httpx2.AsyncClient:
        return self.town.client("events", who)

    async def get(self, path: str, who: Actor | None = None, /, **params: Any) -> httpx2.Response:
        """GET `/api/events{path}`."""
        async with self.client(who) as client:
            return await client.get(f"/api/events{path}", params=params)

    async def post(
        self, path: str, who: Actor | None = None, body: Any = None, *, key: str | None = None
    ) -> httpx2.Response:
        """POST JSON to `/api/events{path}`; without a body, nothing at all."""
        async with self.client(who) as client:
            headers = {"Idempotency-Key": key} if key else {}
            if body is None:
                return await client.post(f"/api/events{path}", headers=headers)
            return await client.post(f"/api/events{path}", json=body, headers=headers)

    # Households

    async def family(self, adults: int = 1, *children: bool, told: bool = True) -> Family:
        """A family with so many adults, and a child for each of `children`: whether its consent is alive.

        `told`: this service has had identity's message about it.
        """
        family = Family([new_id() for _ in range(adults)], {new_id(): consented for consented in children})
        self.identity.families[str(family.id)] = family
        if told:
            await self.tell(family)
        return family

    async def tell(self, *families: Family) -> None:
        """Identity's messages about these households as they are now, in one batch, which must be taken."""
        assert set(await self.send(*(family.snapshot for family in families))) == {"accepted"}

    async def send(self, *snapshots: dict[str, Any], ids: list[UUID] | None = None) -> list[str]:
        """Messages with these data, in one batch; what became of each."""
        batch = [
            {
                "specversion": "1.0",
                "id": str(ids[number] if ids else new_id()),
                "source": "/identity",
                "type": "identity.household_changed.v1",
                "subject": f"household/{snapshot.get('household_id')}",
                "time": datetime.now(UTC).isoformat(),
                "datacontenttype": "application/json",
                "data": snapshot,
            }
            for number, snapshot in enumerate(snapshots)
        ]
        async with self.client() as client:
            headers = {"Authorization": f"Bearer {self._identity_tokens.issue('events')}"}
            answer = await client.post("/internal/messages", json=batch, headers=headers)
        assert answer.status_code == 200, answer.text
        return [result["outcome"] for result in answer.json()["results"]]

    # Activities

    @staticmethod
    def plan(**over: Any) -> dict[str, Any]:
        """The body of a new activity: tomorrow for two hours, with 30 seats, or as `over` says."""
        starts_at = clock.now() + timedelta(days=1)
        body = {
            "title": "社区植树",
            "category": "environment",
            "starts_at": starts_at,
            "ends_at": over.get("starts_at", starts_at) + timedelta(hours=2),
            "capacity": 30,
            "place": "温榆河畔",
            "description": "带上手套",
        } | over
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in body.items()}

    async def draft(self, who: Actor | None = None, **over: Any) -> str:
        """The id of a draft."""
        answer = await self.post("/activities", who or self.organiser, self.plan(**over))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def published(self, **over: Any) -> str:
        """The id of an activity that everybody can see."""
        activity_id = await self.draft(**over)
        await self.act(activity_id, "publish")
        return activity_id

    async def opened(self, **over: Any) -> str:
        """The id of an activity that families can sign up for."""
        activity_id = await self.published(**over)
        await self.act(activity_id, "open")
        return activity_id

    async def act(self, activity_id: str, action: str, who: Actor | None = None, body: Any = None) -> dict[str, Any]:
        """An action on the activity, by its organiser unless somebody else is named, that must succeed."""
        answer = await self.post(f"/activities/{activity_id}/{action}", who or self.organiser, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def show(self, activity_id: str, who: Actor | None = None) -> dict[str, Any]:
        """The activity as somebody sees it."""
        answer = await self.get(f"/activities/{activity_id}", who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    # Sign-ups

    async def try_sign_up(
        self,
        activity_id: str,
        family: Family,
        members: list[UUID] | None = None,
        *,
        who: Actor | None = None,
        key: str | None = None,
    ) -> httpx2.Response:
        """Sign up everybody of the family, or these members."""
        body = {"members": [str(member) for member in (family.everybody if members is None else members)]}
        return await self.post(f"/activities/{activity_id}/signups", who or family.actor, body, key=key)

    async def sign_up(self, activity_id: str, family: Family, members: list[UUID] | None = None) -> dict[str, Any]:
        """The same; it must succeed."""
        answer = await self.try_sign_up(activity_id, family, members)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def withdraw(self, signup: dict[str, Any], who: Actor, **options: Any) -> httpx2.Response:
        """Withdraw a sign-up."""
        path = f"/activities/{signup['activity_id']}/signups/{signup['id']}/withdraw"
        return await self.post(path, who, **options)

    async def signups(self, activity_id: str) -> list[Signup]:
        """All sign-ups for an activity as they are stored, in the order in which they came."""
        async with self.db.transaction() as session:
            statement = select(Signup).where(Signup.activity_id == UUID(activity_id)).order_by(Signup.id)
            return list(await session.scalars(statement))

    async def stored(self, signup: dict[str, Any]) -> Signup:
        """A sign-up as it is stored."""
        async with self.db.transaction() as session:
            return await session.get_one(Signup, UUID(signup["id"]))

    async def check_seats(self, activity_id: str) -> None:
        """What is counted is what is there: seats taken, living members, ranks without a gap, nobody twice."""
        async with self.db.transaction() as session:
            await _check_seats(session, await session.get_one(Activity, UUID(activity_id)))


async def _check_seats(session: AsyncSession, activity: Activity) -> None:
    signups = (await session.scalars(select(Signup).where(Signup.activity_id == activity.id))).all()
    members = (await session.scalars(select(SignupMember).where(SignupMember.activity_id == activity.id))).all()
    confirmed = [signup for signup in signups if signup.state is SignupState.CONFIRMED]
    waiting = [signup for signup in signups if signup.state is SignupState.WAITLISTED]
    assert sum(signup.seats for signup in confirmed) == activity.taken <= activity.capacity
    assert sorted(signup.rank for signup in signups if signup.rank) == list(range(1, activity.last_rank + 1))
    living = [member.person_id for member in members if member.living]
    assert len(set(living)) == len(living) == sum(signup.seats for signup in confirmed + waiting)
    free = activity.capacity - activity.taken
    assert not [signup for signup in waiting if signup.seats <= free], "somebody waits for whom there is room"
