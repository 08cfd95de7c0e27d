"""Decisions of attendance: the code at the venue, when it is taken, how many minutes count, and what is verified.

Pure: rows and moments go in, decisions and refusals come out.
"""

import hmac
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from chassis.core.errors import DomainError, FieldError, Invalid
from services.events.activities.errors import ActivityOver
from services.events.activities.rules import ENDS_BY_ITSELF
from services.events.activities.tables import Activity
from services.events.attendance.errors import (
    AlreadyVerified,
    AttendanceEnded,
    MemberNotSignedUp,
    NotCheckedIn,
    NotInActivity,
    OwnHousehold,
    TooEarly,
    TooManyVenueCodes,
)
from services.events.attendance.schemas import Adjustment
from services.events.attendance.tables import Attendance, VenueTries, Verification
from services.events.attendance.terms import ENDED_EARLY, Why
from services.events.households.errors import ConsentRequired, NotAMember
from services.events.households.rules import Family
from services.events.terms import ActivityState, AttendanceState

CHECK_IN_OPENS = timedelta(minutes=30)
"""So long before the start codes are taken, and the activity may be ended."""

# The venue code. It is a time-based one-time password (RFC 6238) under a key of the activity's own, so nothing of it
# is stored, and a code of one activity, or of a minute ago, says nothing about another's or the present one.

STEP = timedelta(seconds=15)
"""How long the venue shows one code."""

DIGITS = 6
WRONG_CODES_AN_HOUR = 10
HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def step_of(at: datetime) -> int:
    """The number of the step that `at` falls into."""
    return (at - _EPOCH) // STEP


def step_ends_at(at: datetime) -> datetime:
    """When the code that is shown at this moment gives way to the next."""
    return _EPOCH + (step_of(at) + 1) * STEP


def venue_code(key: bytes, step: int) -> str:
    """The six digits of one step."""
    return HOTP(key, DIGITS, SHA256()).generate(step).decode()


def is_right(key: bytes, offered: str, at: datetime) -> bool:
    """Whether the code is the one shown at this moment, the one before it or the one after it.

    A neighbour is accepted because scanning takes a while and clocks differ.
    """
    now = step_of(at)
    return any(hmac.compare_digest(venue_code(key, step), offered) for step in (now - 1, now, now + 1))


def check_may_try(tries: VenueTries, at: datetime) -> None:
    """Raises TooManyVenueCodes if this household has offered its share of wrong codes this hour."""
    if tries.wrong >= WRONG_CODES_AN_HOUR:
        wait = math.ceil((tries.hour + HOUR - at).total_seconds())
        raise TooManyVenueCodes(retry_after_seconds=max(1, wait))


def check_takes_scans(activity: Activity, at: datetime) -> None:
    """Codes are taken from half an hour before the start until the activity ends. Raises TooEarly, ActivityOver."""
    if activity.state in _OVER or at >= activity.ends_at + ENDS_BY_ITSELF:
        raise ActivityOver
    check_begun(activity, at)


_OVER = frozenset({ActivityState.ENDED, ActivityState.SETTLED, ActivityState.CANCELLED})


def check_begun(activity: Activity, at: datetime) -> None:
    """Raises TooEarly before anybody can have come."""
    opens_at = activity.starts_at - CHECK_IN_OPENS
    if at < opens_at:
        raise TooEarly(f"Check-in opens at {opens_at.isoformat()}.")


def choose(named: Collection[UUID], asked: Sequence[UUID] | None) -> list[UUID]:
    """Whom a scan is for, in the order of their ids: those asked for, or all who are named in the sign-up.

    Raises MemberNotSignedUp, naming the fields.
    """
    if asked is None:
        return sorted(named)
    strangers = [person_id for person_id in asked if person_id not in named]
    if strangers:
        raise MemberNotSignedUp(fields=_fields(strangers, asked, "is not in your household's sign-up"))
    return sorted(set(asked))


def check_may_come(
    chosen: Sequence[UUID], family: Family, present: Mapping[UUID, Attendance], asked: Sequence[UUID] | None
) -> None:
    """Raises NotAMember for somebody who is of the family no more, ConsentRequired for a child under fourteen without
    a living consent, AttendanceEnded for somebody whose attendance was ended; each names the fields.

    `present`: the attendance of those who came before, by person. `asked` is what the request named.
    """
    gone = [person_id for person_id in chosen if person_id not in family.members]
    if gone:
        raise NotAMember(fields=_fields(gone, asked, "is not a member of your household"))
    children = [person_id for person_id in chosen if not family.members[person_id].may_take_part]
    if children:
        raise ConsentRequired(fields=_fields(children, asked, "is under fourteen, without a guardian's living consent"))
    ended = [person_id for person_id, attendance in present.items() if attendance.why in ENDED_EARLY]
    if ended:
        raise AttendanceEnded(fields=_fields(ended, asked, "takes part in this activity no more"))


def check_came(chosen: Sequence[UUID], present: Mapping[UUID, Attendance], asked: Sequence[UUID] | None) -> None:
    """Raises NotCheckedIn where there is nobody to check out, or, naming the fields, one who never checked in."""
    absent = [person_id for person_id in chosen if person_id not in present]
    if absent or not chosen:
        raise NotCheckedIn(fields=_fields(absent, asked, "has not checked in"))


def _fields(people: Collection[UUID], asked: Sequence[UUID] | None, reason: str) -> list[FieldError]:
    """Where these people stand in the request, which may not have named anybody."""
    if asked is None:
        return [FieldError("body.members", reason)] if people else []
    return [FieldError(f"body.members.{asked.index(person_id)}", reason) for person_id in people]


# Hours 时长 are the overlap with the schedule, floored to quarters.

QUARTER_MINUTES = 15
_QUARTER = timedelta(minutes=QUARTER_MINUTES)


def minutes_within(came_at: datetime, left_at: datetime, starts_at: datetime, ends_at: datetime) -> int:
    """Whole quarters, in minutes, of what somebody was there between the start and the end of the schedule."""
    there = min(left_at, ends_at) - max(came_at, starts_at)
    return max(0, there // _QUARTER) * QUARTER_MINUTES


def minutes_of(attendance: Attendance, activity: Activity) -> int:
    """What the scans of an ended activity give. Without a check-out, hours end with the schedule or the real end."""
    if attendance.checked_in_at is None:
        return 0
    left_at = attendance.checked_out_at or activity.ended_at or activity.ends_at
    return minutes_within(attendance.checked_in_at, left_at, activity.starts_at, activity.ends_at)


def took_part_at(attendance: Attendance, activity: Activity) -> datetime:
    """When the hours of somebody in an ended activity count: from when they began; unscanned, from its real end.

    Whoever checks in before midnight for what begins after it has taken part on the day of the activity.
    """
    ended_at = activity.ended_at or activity.ends_at
    if attendance.checked_in_at is None:
        return ended_at
    return min(max(attendance.checked_in_at, activity.starts_at), ended_at)


# Verification 核实. Nobody verifies their own household.

STILL_OWN = timedelta(days=90)
"""So long a household is one's own after one left it, and who left it: else one would part for the settlement."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What verifying one member comes to. `minutes` is None where nothing is verified yet."""

    state: AttendanceState
    minutes: int | None
    why: Why | None


def find(attendance: Attendance, activity: Activity, *, own: bool, adjusted: int | None) -> Finding:
    """What an organiser's settlement makes of one member of an ended activity who was not verified before.

    `own`: whether the member is of the organiser's own household; such a one waits for another organiser. `adjusted`:
    the minutes that the organiser set instead of the scans (never for their own household: check that before).
    """
    if adjusted is not None:
        return Finding(AttendanceState.VERIFIED, adjusted, None)
    if attendance.checked_in_at is None:
        return Finding(AttendanceState.NO_SHOW, None, None)
    if own:
        return Finding(AttendanceState.IN_REVIEW, None, Why.OWN_HOUSEHOLD)
    if attendance.checked_out_at is None:
        return Finding(AttendanceState.IN_REVIEW, None, Why.NO_CHECK_OUT)
    return Finding(AttendanceState.VERIFIED, minutes_of(attendance, activity), None)


def lasting(why: str | None) -> str | None:
    """What is still to be told of an attendance once it is verified: that it ended early, not that it had to wait."""
    return why if why in ENDED_EARLY else None


@dataclass(frozen=True, slots=True)
class Circle:
    """Households, and the people in them."""

    households: Collection[UUID]
    people: Collection[UUID]


def own_members(attendances: Iterable[Attendance], circle: Circle) -> frozenset[UUID]:
    """Those who are in this circle themselves, or whose hours are credited to a household of it."""
    return frozenset(
        attendance.person_id
        for attendance in attendances
        if attendance.person_id in circle.people or attendance.household_id in circle.households
    )


def check_adjustments(
    adjustments: Sequence[Adjustment],
    roll: Mapping[UUID, Attendance],
    verified: Mapping[UUID, Verification],
    own: Collection[UUID],
) -> Mapping[UUID, Adjustment]:
    """The adjustments by person. `roll` is by person, `verified` by attendance, `own` the organiser's own household.

    Raises NotInActivity and Invalid (somebody twice), naming the fields; OwnHousehold; AlreadyVerified where other
    minutes stand already.
    """
    strangers, twice, mine, other = [], [], [], []
    by_person: dict[UUID, Adjustment] = {}
    for number, adjustment in enumerate(adjustments):
        field, person_id = f"body.adjustments.{number}", adjustment.person_id
        if person_id not in roll:
            strangers.append(FieldError(f"{field}.person_id", "did not take part in this activity"))
            continue
        if person_id in by_person:
            twice.append(FieldError(f"{field}.person_id", "is named twice"))
        if person_id in own:
            mine.append(FieldError(f"{field}.person_id", "is of your own household"))
        standing = verified.get(roll[person_id].id)
        if standing is not None and standing.minutes != adjustment.minutes:
            other.append(FieldError(f"{field}.minutes", f"{standing.minutes} are verified already"))
        by_person[person_id] = adjustment
    _raise_if(strangers, NotInActivity)
    _raise_if(twice, Invalid)
    _raise_if(mine, OwnHousehold)
    _raise_if(other, AlreadyVerified)
    return by_person


def _raise_if(fields: Sequence[FieldError], error: type[DomainError]) -> None:
    if fields:
        raise error(fields=fields)


def check_not_own(attendance: Attendance, circle: Circle) -> None:
    """Raises OwnHousehold for somebody in this circle."""
    if own_members([attendance], circle):
        raise OwnHousehold(fields=[FieldError("body.person_id", "is of your own household")])
