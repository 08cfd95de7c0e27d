"""Reading sign-ups, and the queue. Their rows change under the lock of their activity alone."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.events.activities.rules import ENDS_BY_ITSELF
from services.events.activities.schemas import ActivityRef
from services.events.activities.tables import Activity
from services.events.attendance.tables import Attendance
from services.events.signups import rules
from services.events.signups.errors import SignupNotFound
from services.events.signups.schemas import MemberRef, OwnSignupFilters, OwnSignupOut, SignupFilters, SignupOut
from services.events.signups.tables import Signup, SignupMember
from services.events.terms import LIVING, UNDER_WAY, ActivityState, AttendanceState, SignupState

_NOT_OVER = (ActivityState.PUBLISHED, *UNDER_WAY)


@dataclass(frozen=True, slots=True)
class ConfirmedMember:
    """Somebody who has a seat."""

    signup_id: UUID
    household_id: UUID
    person_id: UUID
    child: bool


async def confirmed_members(session: AsyncSession, activity_id: UUID) -> list[ConfirmedMember]:
    """Who has a seat in the activity, by person; without children whose consent went after others had checked in."""
    statement = (
        select(SignupMember.signup_id, Signup.household_id, SignupMember.person_id, SignupMember.child)
        .join(Signup, Signup.id == SignupMember.signup_id)
        .where(Signup.activity_id == activity_id, Signup.state == SignupState.CONFIRMED, SignupMember.living)
        .order_by(SignupMember.person_id)
    )
    return [ConfirmedMember(*row) for row in await session.execute(statement)]


async def signup_of(session: AsyncSession, activity_id: UUID, signup_id: UUID, household_id: UUID) -> Signup:
    """A household's own sign-up, read anew: lock its activity first. Raises SignupNotFound."""
    signup = await session.get(Signup, signup_id, populate_existing=True)
    if signup is None or signup.activity_id != activity_id or signup.household_id != household_id:
        raise SignupNotFound
    return signup


async def standing(session: AsyncSession, activity_id: UUID, person_ids: Collection[UUID]) -> frozenset[UUID]:
    """Who of these people has a seat, or a place in the queue, of this activity."""
    statement = select(SignupMember.person_id).where(
        SignupMember.activity_id == activity_id, SignupMember.person_id.in_(person_ids), SignupMember.living
    )
    return frozenset(await session.scalars(statement))


async def no_shows(session: AsyncSession, person_ids: Collection[UUID], since: datetime) -> dict[UUID, list[datetime]]:
    """When the activities began to which these people did not come, the earliest first, by person.

    Only where they had the seat a day before, since nobody watches a queue that long, and where the activity did not
    end before it began; what was corrected is none.
    """
    statement = (
        select(Attendance.person_id, Activity.starts_at)
        .join(Activity, Activity.id == Attendance.activity_id)
        .join(Signup, Signup.id == Attendance.signup_id)
        .where(
            Attendance.person_id.in_(person_ids),
            Attendance.state == AttendanceState.NO_SHOW,
            Activity.starts_at > since,
            Activity.ended_at > Activity.starts_at,
            or_(Signup.rank.is_(None), Signup.changed_at <= Activity.starts_at - rules.NOTICE),
        )
        .order_by(Activity.starts_at)
    )
    missed: dict[UUID, list[datetime]] = defaultdict(list)
    for person_id, starts_at in await session.execute(statement):
        missed[person_id].append(starts_at)
    return missed


def _waiting(activity_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return Signup.activity_id == activity_id, Signup.state == SignupState.WAITLISTED


async def next_that_fits(session: AsyncSession, activity: Activity, free: int) -> Signup | None:
    """The first in the queue for all of whose members these seats suffice."""
    if not activity.last_rank:
        return None
    statement = select(Signup).where(*_waiting(activity.id), Signup.seats <= free).order_by(Signup.rank).limit(1)
    return (await session.scalars(statement.execution_options(populate_existing=True))).one_or_none()


async def living_of_household(
    session: AsyncSession, activity_id: UUID, household_id: UUID, person_ids: Collection[UUID]
) -> Sequence[Signup]:
    """The household's living sign-ups for the activity that name any of these people, read anew."""
    named = exists().where(
        SignupMember.signup_id == Signup.id, SignupMember.person_id.in_(person_ids), SignupMember.living
    )
    statement = (
        select(Signup)
        .where(Signup.activity_id == activity_id, Signup.household_id == household_id, Signup.state.in_(LIVING), named)
        .order_by(Signup.id)
    )
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def activities_of_household(
    session: AsyncSession, household_id: UUID, person_ids: Collection[UUID] | None = None
) -> Sequence[UUID]:
    """Activities under way, by id, for which the household has a living sign-up; with any of these people."""
    statement = (
        select(Signup.activity_id)
        .distinct()
        .join(Activity, Activity.id == Signup.activity_id)
        .where(Signup.household_id == household_id, Signup.state.in_(LIVING), Activity.state.in_(UNDER_WAY))
        .order_by(Signup.activity_id)
    )
    if person_ids is not None:
        members = select(SignupMember.signup_id).where(SignupMember.person_id.in_(person_ids), SignupMember.living)
        statement = statement.where(Signup.id.in_(members))
    return (await session.scalars(statement)).all()


async def members_of(session: AsyncSession, signup_ids: Collection[UUID]) -> dict[UUID, list[SignupMember]]:
    """The members of each sign-up, by person."""
    statement = select(SignupMember).where(SignupMember.signup_id.in_(signup_ids)).order_by(SignupMember.person_id)
    members: dict[UUID, list[SignupMember]] = defaultdict(list)
    for member in await session.scalars(statement.execution_options(populate_existing=True)):
        members[member.signup_id].append(member)
    return members


async def is_attended(session: AsyncSession, signup_id: UUID) -> bool:
    """Whether any of its members has checked in."""
    statement = select(exists().where(Attendance.signup_id == signup_id, Attendance.checked_in_at.is_not(None)))
    return bool(await session.scalar(statement))


async def show_signup(session: AsyncSession, signup: Signup) -> SignupOut:
    """The sign-up as its household sees it now."""
    [shown] = await _show(session, [signup])
    return shown


async def _show(session: AsyncSession, signups: Sequence[Signup]) -> list[SignupOut]:
    members = await members_of(session, [signup.id for signup in signups])
    ahead = await _ahead(session, [signup.id for signup in signups if signup.state is SignupState.WAITLISTED])
    return [
        _signup_out(
            signup,
            ahead.get(signup.id, 0),
            [member.person_id for member in members[signup.id] if member.living or signup.state not in LIVING],
        )
        for signup in signups
    ]


async def show_new(session: AsyncSession, signup: Signup, members: Sequence[UUID]) -> SignupOut:
    """A sign-up that was made in this transaction, of these members."""
    ahead = await _ahead(session, [signup.id]) if signup.state is SignupState.WAITLISTED else {}
    return _signup_out(signup, ahead.get(signup.id, 0), sorted(members))


def _signup_out(signup: Signup, ahead: int, members: Sequence[UUID]) -> SignupOut:
    return SignupOut(
        id=signup.id,
        activity_id=signup.activity_id,
        state=signup.state,
        rank=signup.rank,
        ahead=ahead,
        passed_over=signup.passed_over,
        seats=signup.seats,
        members=[MemberRef(person_id=member) for member in members],
        created_at=signup.created_at,
        changed_at=signup.changed_at,
        why=signup.why,
    )


async def _ahead(session: AsyncSession, signup_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many wait before each of these, which wait themselves."""
    if not signup_ids:
        return {}
    first = select(Signup.id, Signup.activity_id, Signup.rank).where(Signup.id.in_(signup_ids)).subquery()
    statement = (
        select(first.c.id, func.count())
        .join(Signup, (Signup.activity_id == first.c.activity_id) & (Signup.rank < first.c.rank))
        .where(Signup.state == SignupState.WAITLISTED)
        .group_by(first.c.id)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def own_signups(
    session: AsyncSession, cursors: Cursors, household_id: UUID, filters: OwnSignupFilters
) -> Page[OwnSignupOut]:
    """A page of a household's sign-ups with their activities; what is upcoming soonest first, else the latest start."""
    carried = {"household": str(household_id), "upcoming": filters.upcoming}
    after = cursors.decode(filters.cursor, carried)
    at = clock.now()
    key = (Activity.starts_at, Signup.id)
    statement = (
        select(Signup, Activity)
        .join(Activity, Activity.id == Signup.activity_id)
        .where(Signup.household_id == household_id)
        .limit(filters.limit + 1)
    )
    if filters.upcoming:
        statement = statement.where(
            Signup.state.in_(LIVING), Activity.state.in_(_NOT_OVER), Activity.ends_at > at - ENDS_BY_ITSELF
        ).order_by(*key)
    else:
        statement = statement.order_by(*(column.desc() for column in key))
    if after is not None:
        last = (datetime.fromisoformat(str(after[0])), UUID(str(after[1])))
        statement = statement.where(tuple_(*key) > last if filters.upcoming else tuple_(*key) < last)
    rows = (await session.execute(statement)).all()
    shown = rows[: filters.limit]
    signups = await _show(session, [row.Signup for row in shown])
    more = [shown[-1].Activity.starts_at.isoformat(), str(shown[-1].Signup.id)] if len(rows) > filters.limit else None
    return Page(
        items=[
            OwnSignupOut(**dict(signup), activity=ActivityRef.of(row.Activity, at))
            for signup, row in zip(signups, shown, strict=True)
        ],
        next_cursor=cursors.encode(carried, more) if more else None,
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of an activity's sign-ups with their members, still without names."""

    signups: Sequence[Signup]
    members: dict[UUID, list[SignupMember]]
    next_cursor: str | None


async def list_signups(session: AsyncSession, cursors: Cursors, activity_id: UUID, filters: SignupFilters) -> Listed:
    """A page of the sign-ups for an activity in the order in which they came. Raises InvalidCursor."""
    carried = {"activity": str(activity_id), "state": filters.state}
    after = cursors.decode(filters.cursor, carried)
    statement = select(Signup).where(Signup.activity_id == activity_id).order_by(Signup.id).limit(filters.limit + 1)
    if filters.state is not None:
        statement = statement.where(Signup.state == filters.state)
    if after is not None:
        statement = statement.where(Signup.id > UUID(str(after[0])))
    found = (await session.scalars(statement)).all()
    shown = found[: filters.limit]
    members = await members_of(session, [signup.id for signup in shown])
    more = len(found) > filters.limit
    return Listed(shown, members, cursors.encode(carried, [str(shown[-1].id)]) if more else None)
