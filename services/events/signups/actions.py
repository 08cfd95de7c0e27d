"""Signing up, withdrawing, and who gets a freed seat: one function a use case, each within the caller's transaction.

Households are locked first, then activities in the order of their ids; sign-ups change under their activity's lock.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.actor import Actor
from services.events.activities import actions as activities
from services.events.activities.queries import lock_activity, lock_own
from services.events.activities.rules import check_seen
from services.events.activities.tables import Activity
from services.events.attendance import actions as attendance
from services.events.attendance.tables import Attendance
from services.events.households.queries import lock_family
from services.events.households.rules import Changes, Family, check_actor, check_members
from services.events.signups import queries, rules
from services.events.signups.tables import Signup, SignupMember
from services.events.terms import LIVING, UNDER_WAY, ActivityState, SignupState

BY_HOUSEHOLD = "by_household"
CONSENT_WITHDRAWN = "consent_withdrawn"
LEFT_HOUSEHOLD = "left_household"
ACTIVITY_CANCELLED = "activity_cancelled"


async def sign_up(
    session: AsyncSession, actor: Actor, household_id: UUID, activity_id: UUID, members: Sequence[UUID]
) -> Signup:
    """报名: members of the household sign up, all or none: confirmed where seats suffice for all, else waitlisted.

    First come first served: whom the free seats would suit and who waits already goes first. Raises ActivityNotFound,
    NotOfHousehold, SignupClosed, NotAMember, ConsentRequired, TooManyForActivity, AlreadySignedUp, NoShowPause.
    """
    family = await lock_family(session, household_id)
    activity = await lock_activity(session, activity_id)
    at = clock.now()
    check_seen(actor, activity)
    check_actor(family, actor.id)
    rules.check_open(activity, at)
    check_members(family, members)
    rules.check_size(activity, members)
    rules.check_new(members, await queries.standing(session, activity_id, members))
    since = at - rules.PAUSE - rules.NO_SHOWS_WITHIN
    rules.check_no_shows(members, await queries.no_shows(session, members, since), at)
    signup = await _enter(session, actor, activity, household_id, len(members), at)
    await session.execute(insert(SignupMember), [_member(signup, family, member) for member in members])
    return signup


async def _enter(
    session: AsyncSession, actor: Actor, activity: Activity, household_id: UUID, seats: int, at: datetime
) -> Signup:
    """Take so many seats if they are free for the newcomer, else a place at the end of the queue."""
    free = rules.free_seats(activity)
    confirmed = seats <= free and await queries.next_that_fits(session, activity, free) is None
    if confirmed:
        activity.taken += seats
        await _pass_over(session, activity)
    else:
        activity.last_rank += 1
    signup = Signup(
        id=ids.new_id(),
        activity_id=activity.id,
        household_id=household_id,
        by_id=actor.id,
        seats=seats,
        state=SignupState.CONFIRMED if confirmed else SignupState.WAITLISTED,
        rank=None if confirmed else activity.last_rank,
        passed_over=0,
        created_at=at,
        changed_at=at,
        why=None,
    )
    session.add(signup)
    await session.flush()
    return signup


def _member(signup: Signup, family: Family, person_id: UUID) -> dict[str, object]:
    return {
        "signup_id": signup.id,
        "person_id": person_id,
        "activity_id": signup.activity_id,
        "child": family.members[person_id].child,
        "living": True,
    }


async def withdraw(
    session: AsyncSession, actor: Actor, household_id: UUID, activity_id: UUID, signup_id: UUID
) -> Signup:
    """退出: the household gives up its seats, or its place in the queue; the next ones come in at once.

    Raises ActivityNotFound, SignupNotFound, NotOfHousehold, SignupOver, AlreadyCheckedIn.
    """
    family = await lock_family(session, household_id)
    activity = await lock_activity(session, activity_id)
    signup = await queries.signup_of(session, activity_id, signup_id, household_id)
    check_actor(family, actor.id)
    at = clock.now()
    rules.check_living(activity, signup)
    rules.check_unattended(attended=await queries.is_attended(session, signup_id))
    await _end(session, activity, signup, at, BY_HOUSEHOLD)
    await _fill(session, activity, at)
    return signup


async def _end(session: AsyncSession, activity: Activity, signup: Signup, at: datetime, why: str) -> None:
    """The sign-up is over, and its seats are free."""
    if signup.state is SignupState.CONFIRMED:
        activity.taken -= signup.seats
    signup.state = rules.ended_state(activity, signup, at)
    signup.changed_at, signup.why = at, why
    await session.execute(update(SignupMember).where(SignupMember.signup_id == signup.id).values(living=False))


async def _fill(session: AsyncSession, activity: Activity, at: datetime) -> None:
    """Let the next ones in as far as the free seats go, in the order of their ranks."""
    while rules.fills_up(activity, at):
        signup = await queries.next_that_fits(session, activity, rules.free_seats(activity))
        if signup is None:
            break
        activity.taken += signup.seats
        signup.state, signup.changed_at = SignupState.CONFIRMED, at
        await _pass_over(session, activity, before=signup.rank)
    await session.flush()


async def _pass_over(session: AsyncSession, activity: Activity, *, before: int | None = None) -> None:
    """Somebody came in before those in the queue (with a rank before this one) for whom the seats did not suffice."""
    if not activity.last_rank:
        return
    statement = update(Signup).where(Signup.activity_id == activity.id, Signup.state == SignupState.WAITLISTED)
    if before is not None:
        statement = statement.where(Signup.rank < before)
    await session.execute(statement.values(passed_over=Signup.passed_over + 1))


async def cancel_activity(session: AsyncSession, actor: Actor, activity_id: UUID, reason: str) -> Activity:
    """取消: the activity does not take place, and every sign-up ends.

    Raises ActivityNotFound, NotOrganiser, WrongState.
    """
    activity = await lock_own(session, actor, activity_id)
    at = clock.now()
    activities.move(session, activity, ActivityState.CANCELLED, by=actor, at=at, why=reason)
    activity.taken = 0
    await session.execute(
        update(Signup)
        .where(Signup.activity_id == activity_id, Signup.state.in_(LIVING))
        .values(state=SignupState.WITHDRAWN, changed_at=at, why=ACTIVITY_CANCELLED)
    )
    await session.execute(
        update(SignupMember).where(SignupMember.activity_id == activity_id, SignupMember.living).values(living=False)
    )
    return activity


async def follow_household(session: AsyncSession, household_id: UUID, changes: Changes, at: datetime) -> None:
    """End what depends on members who left and on consents that are not alive. The household is locked by the caller.

    The whole sign-up that names one of them ends, and its seats go to the next. Once somebody of it has checked in,
    only the member concerned goes: out of the attendance if they are there, else out of the sign-up.
    """
    concerned = changes.left | changes.unconsented
    if not concerned:
        return
    for activity_id in await queries.activities_of_household(session, household_id, concerned):
        activity = await lock_activity(session, activity_id)
        if activity.state not in UNDER_WAY:
            continue
        for signup in await queries.living_of_household(session, activity_id, household_id, concerned):
            if await queries.is_attended(session, signup.id):
                await _strike_out(session, activity, signup, changes, at)
            else:
                members = {member.person_id for member in await _living_members(session, signup)}
                await _end(session, activity, signup, at, _why(changes, members))
        await _fill(session, activity, at)


async def _strike_out(
    session: AsyncSession, activity: Activity, signup: Signup, changes: Changes, at: datetime
) -> None:
    for member in await _living_members(session, signup):
        if member.person_id not in changes.left | changes.unconsented:
            continue
        why = _why(changes, {member.person_id})
        if not await attendance.end_early(session, activity.id, member.person_id, at=at, why=why):
            member.living = False
            signup.seats -= 1
            activity.taken -= 1


async def _living_members(session: AsyncSession, signup: Signup) -> list[SignupMember]:
    return [member for member in (await queries.members_of(session, [signup.id]))[signup.id] if member.living]


def _why(changes: Changes, members: set[UUID]) -> str:
    return CONSENT_WITHDRAWN if changes.unconsented & members else LEFT_HOUSEHOLD


async def hand_over(session: AsyncSession, household_id: UUID, into: UUID) -> None:
    """Everything that a dissolved household signed up for, and took part in, is now the other one's.

    Both are locked by the caller.
    """
    for activity_id in await queries.activities_of_household(session, household_id):
        await lock_activity(session, activity_id)
    await session.execute(update(Signup).where(Signup.household_id == household_id).values(household_id=into))
    theirs = select(Signup.id).where(Signup.household_id == into)
    await session.execute(
        update(Attendance)
        .where(Attendance.household_id == household_id, Attendance.signup_id.in_(theirs))
        .values(household_id=into)
    )
