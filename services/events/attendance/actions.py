"""Checking in and out by the venue's code, and the settlement of an activity: who is verified with how many minutes.

Each function is one use case within the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.errors import FieldError
from chassis.core.messages import publish, publish_all
from services.events.activities import queries as activities
from services.events.activities.actions import move
from services.events.activities.errors import WrongState
from services.events.activities.rules import check_move, check_seen
from services.events.activities.tables import Activity
from services.events.attendance import queries, rules
from services.events.attendance.errors import NotInActivity, NotSignedUp, VenueCodeWrong
from services.events.attendance.messages import AttendanceVerified, AttendanceWithdrawn
from services.events.attendance.schemas import Adjustment, ScanIn, VenueCode
from services.events.attendance.tables import Attendance, Verification
from services.events.households import queries as households
from services.events.households.rules import Family, check_actor
from services.events.signups import queries as signups
from services.events.signups.tables import Signup
from services.events.terms import ActivityState, AttendanceState, SignupState

# Scans ----------------------------------------------------------------------------------------------------------------


async def check_in(
    session: AsyncSession, vault: Vault, actor: Actor, household_id: UUID, activity_id: UUID, scan: ScanIn
) -> list[Attendance]:
    """A family scans the venue's code on arriving: all its confirmed members, or those named; all or none.

    The first scan of each member counts; whoever is there already stays as they are. Returns them in the order of their
    ids. Raises NotOfHousehold, ActivityNotFound, TooEarly, ActivityOver, NotSignedUp, TooManyVenueCodes;
    VenueCodeWrong, after which the try stays counted; MemberNotSignedUp, NotAMember, ConsentRequired, AttendanceEnded.
    """
    visit = await _arrive(session, actor, household_id, activity_id)
    confirmed = [signup.id for signup in visit.signups if signup.state is SignupState.CONFIRMED]
    if not confirmed:
        raise NotSignedUp
    await _check_code(session, vault, visit, scan.code)
    named = await queries.named_in(session, confirmed)
    chosen = rules.choose(named if scan.members else named.keys() & visit.family.members.keys(), scan.members)
    if not chosen:
        raise NotSignedUp
    present = await queries.lock_attendance(session, activity_id, chosen)
    rules.check_may_come(chosen, visit.family, present, scan.members)
    for person_id in chosen:
        if person_id not in present:
            present[person_id] = Attendance(
                id=ids.new_id(),
                activity_id=activity_id,
                signup_id=named[person_id],
                person_id=person_id,
                household_id=household_id,
                state=AttendanceState.CHECKED_IN,
                checked_in_at=visit.at,
                checked_out_at=None,
                why=None,
            )
            session.add(present[person_id])
    return [present[person_id] for person_id in chosen]


async def check_out(
    session: AsyncSession, vault: Vault, actor: Actor, household_id: UUID, activity_id: UUID, scan: ScanIn
) -> list[Attendance]:
    """A family scans the venue's code on leaving: all of its members who checked in, or those named; all or none.

    The first scan of each member counts. Raises what `check_in` raises of the activity, the code and the names;
    NotCheckedIn where nobody checked in, or one who is named did not.
    """
    visit = await _arrive(session, actor, household_id, activity_id)
    await _check_code(session, vault, visit, scan.code)
    own = [signup.id for signup in visit.signups]  # ended ones too: whoever is there may leave
    present = await queries.lock_attendance_of(session, own)
    named = {*await queries.named_in(session, own), *present}
    chosen = rules.choose(named, scan.members) if scan.members else sorted(present)
    rules.check_came(chosen, present, scan.members)
    for person_id in chosen:
        if present[person_id].checked_out_at is None:
            _leave(present[person_id], visit.at)
    return [present[person_id] for person_id in chosen]


async def end_early(session: AsyncSession, activity_id: UUID, person_id: UUID, *, at: datetime, why: str) -> bool:
    """Somebody who is there may not take part any longer: what they did until `at` stays theirs, and no more follows.

    `why` is a `Why` of ENDED_EARLY. The caller holds the activity's lock, and the activity has not ended. Returns
    whether they had checked in; where they had not, or had left, nothing changes.
    """
    attendance = (await queries.lock_attendance(session, activity_id, [person_id])).get(person_id)
    if attendance is None or attendance.checked_in_at is None:
        return False
    if attendance.state is AttendanceState.CHECKED_IN:
        _leave(attendance, at)
        attendance.why = why
    return True


@dataclass(frozen=True, slots=True)
class _Visit:
    """A family at an activity, at the moment of its scan."""

    activity: Activity
    family: Family
    signups: Sequence[Signup]
    at: datetime


async def _arrive(session: AsyncSession, actor: Actor, household_id: UUID, activity_id: UUID) -> _Visit:
    family = await households.lock_family(session, household_id)
    check_actor(family, actor.id)
    activity = await queries.share_activity(session, activity_id)
    check_seen(actor, activity)
    found = await queries.lock_signups(session, activity_id, household_id)
    at = clock.now()  # under the lock, so that of two devices of a family the one whose scan is kept was the first
    rules.check_takes_scans(activity, at)
    if not found:
        raise NotSignedUp
    return _Visit(activity, family, found, at)


async def _check_code(session: AsyncSession, vault: Vault, visit: _Visit, offered: str) -> None:
    tries = await queries.lock_tries(session, visit.activity.id, visit.family.id, clock.hour_of(visit.at))
    rules.check_may_try(tries, visit.at)
    if not rules.is_right(venue_key(vault, visit.activity.id), offered, visit.at):
        tries.wrong += 1
        raise VenueCodeWrong


def _leave(attendance: Attendance, at: datetime) -> None:
    assert attendance.checked_in_at is not None
    attendance.state = AttendanceState.CHECKED_OUT
    attendance.checked_out_at = max(at, attendance.checked_in_at)


def venue_key(vault: Vault, activity_id: UUID) -> bytes:
    """The key under which an activity's codes are made: derived anew each time, and stored nowhere."""
    return vault.derive(f"venue code {activity_id}")


async def venue_code(session: AsyncSession, vault: Vault, actor: Actor, activity_id: UUID) -> VenueCode:
    """What the venue shows now. Raises ActivityNotFound, NotOrganiser."""
    await activities.own_activity(session, actor, activity_id)
    at = clock.now()
    code = rules.venue_code(venue_key(vault, activity_id), rules.step_of(at))
    return VenueCode(code=code, expires_at=rules.step_ends_at(at))


async def forget_tries(session: AsyncSession, at: datetime) -> None:
    """Forget the wrong codes of hours that are past."""
    await queries.delete_tries(session, of_hours_until=at - rules.HOUR)


# Settlement -----------------------------------------------------------------------------------------------------------


async def end(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """The organiser ends the activity, early or late. Raises ActivityNotFound, NotOrganiser, WrongState, TooEarly."""
    activity = await activities.lock_own(session, actor, activity_id)
    check_move(activity.state, ActivityState.ENDED, actor.roles)
    at = clock.now()
    rules.check_begun(activity, at)
    move(session, activity, ActivityState.ENDED, by=actor, at=at)
    return activity


async def settle(session: AsyncSession, actor: Actor, activity_id: UUID, adjustments: Sequence[Adjustment]) -> Activity:
    """结算: verify everybody who was there, by their scans or as adjusted; done again, whoever was left before.

    Whoever did not check out, and the organiser's own household, wait in review; whoever never came is a no-show.
    Raises ActivityNotFound, NotOrganiser, WrongState, NotInActivity, Invalid, OwnHousehold, AlreadyVerified.
    """
    activity = await activities.lock_own(session, actor, activity_id)
    at = clock.now()
    if activity.state is not ActivityState.SETTLED:
        move(session, activity, ActivityState.SETTLED, by=actor, at=at)
    roll = await _roll(session, activity_id)
    verified = await queries.standing_verifications(session, activity_id)
    own = rules.own_members(roll.values(), await _circle(session, actor, at))
    adjusted = rules.check_adjustments(adjustments, roll, verified, own)
    made = []
    for person_id, attendance in sorted(roll.items()):
        if attendance.id in verified:
            continue
        adjustment = adjusted.get(person_id)
        minutes = adjustment.minutes if adjustment else None
        finding = rules.find(attendance, activity, own=person_id in own, adjusted=minutes)
        attendance.state = finding.state
        attendance.why = finding.why or rules.lasting(attendance.why)
        if finding.minutes is not None:
            reason = adjustment.reason if adjustment else None
            made.append((_verify(session, actor, attendance, finding.minutes, reason, at), attendance))
    await session.flush()
    await publish_all(session, [fact for each in made for fact in _facts(activity, *each)])
    return activity


async def correct(session: AsyncSession, actor: Actor, activity_id: UUID, body: Adjustment) -> Activity:
    """更正: after the settlement, the minutes of one member as they should have been; 0 takes them back.

    What was verified before is withdrawn and the new minutes are verified instead; minutes that are right already stay
    as they are. Raises ActivityNotFound, NotOrganiser, WrongState, NotInActivity, OwnHousehold.
    """
    activity = await activities.lock_own(session, actor, activity_id)
    if activity.state is not ActivityState.SETTLED:
        raise WrongState(f"The activity is {activity.state}; hours are corrected after it was settled.")
    attendance = (await queries.lock_attendance(session, activity_id, [body.person_id])).get(body.person_id)
    if attendance is None:
        raise NotInActivity(fields=[FieldError("body.person_id", "did not take part in this activity")])
    at = clock.now()
    rules.check_not_own(attendance, await _circle(session, actor, at))
    before = (await queries.standing_verifications(session, activity_id)).get(attendance.id)
    if before is not None and before.minutes == body.minutes:
        return activity
    if before is not None:
        before.withdrawn_at = at
        await session.flush()
        if before.minutes:
            await publish(session, AttendanceWithdrawn.of(before, attendance, at))
    attendance.state = AttendanceState.VERIFIED
    attendance.why = rules.lasting(attendance.why)
    verification = _verify(session, actor, attendance, body.minutes, body.reason, at)
    await session.flush()
    await publish_all(session, _facts(activity, verification, attendance))
    return activity


async def _roll(session: AsyncSession, activity_id: UUID) -> dict[UUID, Attendance]:
    """The attendance of everybody who came or was to come, by person; begun for those who were never scanned."""
    roll = await queries.lock_attendance(session, activity_id)
    for member in await signups.confirmed_members(session, activity_id):
        if member.person_id not in roll:
            roll[member.person_id] = Attendance(
                id=ids.new_id(),
                activity_id=activity_id,
                signup_id=member.signup_id,
                person_id=member.person_id,
                household_id=member.household_id,
                state=AttendanceState.NO_SHOW,
                checked_in_at=None,
                checked_out_at=None,
                why=None,
            )
            session.add(roll[member.person_id])
    await session.flush()
    return roll


async def _circle(session: AsyncSession, actor: Actor, at: datetime) -> rules.Circle:
    """Whom the actor must not verify: by the token, which may be minutes old, and by our copy of the households."""
    since = at - rules.STILL_OWN
    own = await queries.households_of(session, actor.id, since)
    if actor.household_id:
        own |= {actor.household_id}
    return rules.Circle(households=own, people={actor.id} | await queries.people_of(session, own, since))


def _verify(
    session: AsyncSession, actor: Actor, attendance: Attendance, minutes: int, reason: str | None, at: datetime
) -> Verification:
    """`reason` is given where the minutes were set by hand."""
    verification = Verification(
        id=ids.new_id(),
        attendance_id=attendance.id,
        minutes=minutes,
        adjusted=reason is not None,
        reason=reason,
        verified_by=actor.id,
        verified_at=at,
        withdrawn_at=None,
    )
    session.add(verification)
    return verification


def _facts(activity: Activity, verification: Verification, attendance: Attendance) -> list[AttendanceVerified]:
    """What is told of a verification: of one with no minutes, nothing."""
    if not verification.minutes:
        return []
    took_part_at = rules.took_part_at(attendance, activity)
    return [AttendanceVerified.of(verification, attendance, activity, took_part_at)]
