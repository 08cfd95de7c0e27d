"""Reading and locking attendance, and the tries at the venue's code.

Locks are taken in this order: the household, the activity, the household's sign-ups, its tries, attendance.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.events.activities import queries as activities
from services.events.activities.errors import ActivityNotFound
from services.events.activities.tables import Activity
from services.events.attendance import rules
from services.events.attendance.schemas import AttendanceFilters, AttendanceOut, Settled
from services.events.attendance.tables import Attendance, VenueTries, Verification
from services.events.attendance.terms import Why
from services.events.households.tables import FormerMember, Member
from services.events.signups.tables import Signup, SignupMember
from services.events.terms import SignupState

_FRESH = {"populate_existing": True}


async def share_activity(session: AsyncSession, activity_id: UUID) -> Activity:
    """The activity, which nobody may move until the transaction ends, while others may scan. Raises ActivityNotFound.

    Whoever withdraws, ends or settles locks it for themselves, and so sees either all of a scan or nothing.
    """
    statement = select(Activity).where(Activity.id == activity_id).with_for_update(read=True)
    activity = (await session.scalars(statement, execution_options=_FRESH)).one_or_none()
    if activity is None:
        raise ActivityNotFound
    return activity


async def lock_signups(session: AsyncSession, activity_id: UUID, household_id: UUID) -> Sequence[Signup]:
    """Every sign-up of a household for an activity, living or ended: devices of one family scan one after another."""
    statement = (
        select(Signup)
        .where(Signup.activity_id == activity_id, Signup.household_id == household_id)
        .order_by(Signup.id)
        .with_for_update(key_share=True)
    )
    return (await session.scalars(statement, execution_options=_FRESH)).all()


async def named_in(session: AsyncSession, signup_ids: Collection[UUID]) -> Mapping[UUID, UUID]:
    """Who stands in these sign-ups and may still come: the sign-up of each person."""
    statement = select(SignupMember).where(SignupMember.signup_id.in_(signup_ids), SignupMember.living)
    return {member.person_id: member.signup_id for member in await session.scalars(statement, execution_options=_FRESH)}


async def lock_tries(session: AsyncSession, activity_id: UUID, household_id: UUID, hour: datetime) -> VenueTries:
    """The count of this household's wrong codes for this activity in this clock hour, begun if need be."""
    row = insert(VenueTries).values(activity_id=activity_id, household_id=household_id, hour=hour, wrong=0)
    statement = row.on_conflict_do_update(
        index_elements=[VenueTries.activity_id, VenueTries.household_id, VenueTries.hour],
        set_={"wrong": VenueTries.wrong},  # changes nothing, but locks the row and returns it
    ).returning(VenueTries)
    return (await session.scalars(statement, execution_options=_FRESH)).one()


async def delete_tries(session: AsyncSession, *, of_hours_until: datetime) -> None:
    """Forget what was counted in clock hours that began by then."""
    await session.execute(delete(VenueTries).where(VenueTries.hour <= of_hours_until))


async def lock_attendance(
    session: AsyncSession, activity_id: UUID, people: Collection[UUID] | None = None
) -> dict[UUID, Attendance]:
    """The attendance of these people, or of all, in an activity, by person, locked in the order of their ids."""
    statement = select(Attendance).where(Attendance.activity_id == activity_id)
    if people is not None:
        statement = statement.where(Attendance.person_id.in_(people))
    rows = await session.scalars(
        statement.order_by(Attendance.id).with_for_update(key_share=True), execution_options=_FRESH
    )
    return {row.person_id: row for row in rows}


async def lock_attendance_of(session: AsyncSession, signup_ids: Collection[UUID]) -> dict[UUID, Attendance]:
    """Who came of these sign-ups, by person, locked in the order of their ids."""
    statement = select(Attendance).where(Attendance.signup_id.in_(signup_ids)).order_by(Attendance.id)
    rows = await session.scalars(statement.with_for_update(key_share=True), execution_options=_FRESH)
    return {row.person_id: row for row in rows}


# Settlement -----------------------------------------------------------------------------------------------------------


async def standing_verifications(session: AsyncSession, activity_id: UUID) -> dict[UUID, Verification]:
    """The verifications of an activity that count, by attendance."""
    statement = (
        select(Verification)
        .join(Attendance, Attendance.id == Verification.attendance_id)
        .where(Attendance.activity_id == activity_id, Verification.withdrawn_at.is_(None))
    )
    rows = await session.scalars(statement, execution_options=_FRESH)
    return {row.attendance_id: row for row in rows}


async def households_of(session: AsyncSession, person_id: UUID, since: datetime) -> frozenset[UUID]:
    """The households that somebody is a member of, as identity told us last, or has left since then."""
    left = select(FormerMember.household_id).where(FormerMember.person_id == person_id, FormerMember.left_at > since)
    return frozenset(
        await session.scalars(select(Member.household_id).where(Member.person_id == person_id).union(left))
    )


async def people_of(session: AsyncSession, households: Collection[UUID], since: datetime) -> frozenset[UUID]:
    """Everybody who is in these households, or has left them since then."""
    left = select(FormerMember.person_id).where(FormerMember.household_id.in_(households), FormerMember.left_at > since)
    return frozenset(
        await session.scalars(select(Member.person_id).where(Member.household_id.in_(households)).union(left))
    )


# Reading --------------------------------------------------------------------------------------------------------------


async def list_attendance(
    session: AsyncSession, cursors: Cursors, actor: Actor, activity_id: UUID, filters: AttendanceFilters
) -> Page[AttendanceOut]:
    """A page of an activity's members, by their ids. Raises ActivityNotFound, NotOrganiser, InvalidCursor."""
    activity = await activities.own_activity(session, actor, activity_id)
    carried = {"activity": str(activity_id)}
    after = cursors.decode(filters.cursor, carried)
    found = await _lines(session, activity, after=UUID(str(after[0])) if after else None, limit=filters.limit + 1)
    shown = found[: filters.limit]
    more = len(found) > filters.limit
    return Page(items=shown, next_cursor=cursors.encode(carried, [str(shown[-1].person_id)]) if more else None)


async def settled(session: AsyncSession, activity: Activity, at: datetime) -> Settled:
    """A settled activity, with everybody who came or was to come."""
    return Settled(
        activity=await activities.show_activity(session, activity, at), attendance=await _lines(session, activity)
    )


async def attendance_out(session: AsyncSession, activity: Activity, person_id: UUID) -> AttendanceOut:
    """One member's attendance of an activity that was settled."""
    [line] = await _lines(session, activity, only=person_id)
    return line


async def _lines(
    session: AsyncSession,
    activity: Activity,
    *,
    only: UUID | None = None,
    after: UUID | None = None,
    limit: int | None = None,
) -> list[AttendanceOut]:
    """The members of an activity, in the order of their ids: of confirmed sign-ups, and whoever ever checked in."""
    people = union(
        select(SignupMember.person_id)
        .join(Signup, Signup.id == SignupMember.signup_id)
        .where(Signup.activity_id == activity.id, Signup.state == SignupState.CONFIRMED, SignupMember.living),
        select(Attendance.person_id).where(Attendance.activity_id == activity.id),
    ).subquery()
    attendance = (Attendance.activity_id == activity.id) & (Attendance.person_id == people.c.person_id)
    standing = (Verification.attendance_id == Attendance.id) & Verification.withdrawn_at.is_(None)
    statement = (
        select(people.c.person_id, Attendance, Verification)
        .outerjoin(Attendance, attendance)
        .outerjoin(Verification, standing)
        .order_by(people.c.person_id)
        .limit(limit)
    )
    if only is not None:
        statement = statement.where(people.c.person_id == only)
    if after is not None:
        statement = statement.where(people.c.person_id > after)
    return [_line(activity, *row) for row in await session.execute(statement)]


def _line(
    activity: Activity, person_id: UUID, attendance: Attendance | None, verification: Verification | None
) -> AttendanceOut:
    over = attendance is not None and activity.ended_at is not None
    return AttendanceOut(
        person_id=person_id,
        state=attendance.state if attendance else "expected",
        checked_in_at=attendance.checked_in_at if attendance else None,
        checked_out_at=attendance.checked_out_at if attendance else None,
        minutes=verification.minutes if verification else None,
        scanned_minutes=rules.minutes_of(attendance, activity) if attendance and over else None,
        adjusted=verification is not None and verification.adjusted,
        why=Why(attendance.why) if attendance and attendance.why else None,
    )
