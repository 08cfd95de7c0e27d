"""Plays the demo town's activities in the events service: each step by the real action, the clock set to its moment.

An activity is one transaction. That it was played is known by its id.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from beiyuan.demo import town
from beiyuan.demo.activities import Activity, party
from beiyuan.demo.actors import resident_actor, staff_actor
from beiyuan.demo.load_people import present
from beiyuan.demo.people import Household as Family
from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.runtime import Runtime
from services.events.activities import actions as activities
from services.events.activities import tables
from services.events.activities.schemas import ActivityIn
from services.events.attendance import actions as attendance
from services.events.attendance.schemas import Adjustment, ScanIn
from services.events.households import actions as households
from services.events.households.schemas import HouseholdSnapshot
from services.events.households.tables import Household as Copy
from services.events.signups import actions as signups
from services.events.terms import ActivityState
from services.identity.households import queries
from services.identity.people.tables import Household

_LATE_EVERY = 5
_LATE_MINUTES = 20
"""Every so many families, one comes that late."""

_Deed = Callable[[AsyncSession, Vault, Actor, UUID, UUID, ScanIn], Awaitable[object]]
"""Checking in, or out."""


async def play_activities(events: Runtime, identity: Runtime, now: datetime) -> bool:
    """Play the activities that were not played yet, the earliest first; whether there were any."""
    async with events.db.transaction() as session:
        played = await present(session, tables.Activity.id, (activity.id for activity in town.ACTIVITIES.values()))
    missing = [activity for activity in town.ACTIVITIES.values() if activity.id not in played]
    if missing:
        await _tell_of_households(events, identity)
    for activity in sorted(missing, key=lambda activity: activity.starts(now)):
        async with events.db.transaction() as session:
            await _Stage(events, session, activity, now).play()
    return bool(missing)


async def _tell_of_households(events: Runtime, identity: Runtime) -> None:
    """What identity's messages will say, said before they are delivered: only a member can sign up.

    Copies have versions, so the messages that come later change nothing.
    """
    ids = [household.id for household in town.HOUSEHOLDS.values()]
    async with events.db.transaction() as session:
        rows = await session.execute(select(Copy.id, Copy.version).where(Copy.id.in_(ids)))
        known = {row.id: row.version for row in rows}
    async with identity.db.transaction() as session:
        rows = await session.execute(select(Household.id, Household.version).where(Household.id.in_(ids)))
        behind = sorted(row.id for row in rows if row.version > known.get(row.id, 0))
        snapshots = [await queries.snapshot(session, household_id) for household_id in behind]
    async with events.db.transaction() as session:
        for snapshot in snapshots:
            await households.apply(session, HouseholdSnapshot.model_validate(snapshot.model_dump()))


@dataclass
class _Stage:
    """One activity while it is played."""

    events: Runtime
    session: AsyncSession
    activity: Activity
    now: datetime
    organiser: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.organiser = staff_actor(self.activity.organised_by)

    async def play(self) -> None:
        """All that happened up to the state that the activity is in."""
        state = self.activity.state
        await self._draw_up()
        if state is ActivityState.DRAFT:
            return
        with self._days_before(7):
            await activities.publish_activity(self.session, self.organiser, self.activity.id)
        if state is ActivityState.PUBLISHED:
            return
        with self._days_before(6):
            await activities.open_activity(self.session, self.organiser, self.activity.id)
        for number, household in enumerate(self.activity.households):
            with self._days_before(5, minutes=37 * number):
                await self._sign_up(household)
        match state:
            case ActivityState.CLOSED:
                with self._days_before(1):
                    await activities.close_activity(self.session, self.organiser, self.activity.id)
            case ActivityState.CANCELLED:
                with self._days_before(1):
                    await signups.cancel_activity(self.session, self.organiser, self.activity.id, self.activity.reason)
            case ActivityState.ENDED | ActivityState.SETTLED:
                await self._take_place()

    async def _draw_up(self) -> None:
        activity, now = self.activity, self.now
        body = ActivityIn(
            title=activity.title,
            category=activity.category,
            starts_at=activity.starts(now),
            ends_at=activity.ends(now),
            capacity=activity.capacity,
            place=activity.place,
            description=activity.description,
        )
        with self._days_before(8):
            await activities.create_activity(self.session, self.organiser, body, activity_id=activity.id)

    async def _sign_up(self, household: Family) -> None:
        members = [member.id for member in party(household)]
        await signups.sign_up(self.session, _speaker(household), household.id, self.activity.id, members)

    async def _take_place(self) -> None:
        """The families come and go, and the organiser ends and settles it."""
        ends_at = self.activity.ends(self.now)
        if not self.activity.on_paper:
            await self._scan_in_and_out()
        with clock.frozen(ends_at + timedelta(minutes=20)):
            await attendance.end(self.session, self.organiser, self.activity.id)
        if self.activity.state is ActivityState.SETTLED:
            with clock.frozen(ends_at + timedelta(hours=1)):
                await attendance.settle(self.session, self.organiser, self.activity.id, self._adjustments())

    async def _scan_in_and_out(self) -> None:
        starts_at, ends_at = self.activity.starts(self.now), self.activity.ends(self.now)
        for number, household in enumerate(self._who_came(), 1):
            minutes = _LATE_MINUTES if number % _LATE_EVERY == 0 else number - 20
            with clock.frozen(starts_at + timedelta(minutes=minutes)):
                await self._scan(household, attendance.check_in)
        for number, household in enumerate(self._who_came(), 1):
            if household.key not in self.activity.not_out:
                with clock.frozen(ends_at + timedelta(minutes=number)):
                    await self._scan(household, attendance.check_out)

    def _who_came(self) -> list[Family]:
        return [household for household in self.activity.households if household.key not in self.activity.absent]

    async def _scan(self, household: Family, deed: _Deed) -> None:
        """The family scans what the venue shows at this moment."""
        session, vault, activity_id = self.session, self.events.vault, self.activity.id
        shown = await attendance.venue_code(session, vault, self.organiser, activity_id)
        await deed(session, vault, _speaker(household), household.id, activity_id, ScanIn(code=shown.code))

    def _adjustments(self) -> list[Adjustment]:
        """For those whose hours no scans tell."""
        activity = self.activity
        return [
            Adjustment(person_id=member.id, minutes=activity.minutes, reason=activity.reason)
            for household in self._who_came()
            if activity.on_paper or household.key in activity.not_out
            for member in party(household)
        ]

    @contextmanager
    def _days_before(self, days: int, *, minutes: int = 0) -> Iterator[None]:
        """The clock stands so many days before the start, or before now if that is earlier, and minutes after that."""
        start = min(self.activity.starts(self.now), self.now)
        with clock.frozen(start - timedelta(days=days) + timedelta(minutes=minutes)):
            yield


def _speaker(household: Family) -> Actor:
    return resident_actor(household.adults[0], household)
