"""Seats and the queue 候补, first come first served. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from chassis.core.beijing import day_of
from chassis.core.errors import FieldError
from services.events.activities.rules import takes_signups
from services.events.activities.tables import Activity
from services.events.signups.errors import (
    AlreadyCheckedIn,
    AlreadySignedUp,
    NoShowPause,
    SignupClosed,
    SignupOver,
    TooManyForActivity,
)
from services.events.signups.tables import Signup
from services.events.terms import LIVING, UNDER_WAY, SignupState

NO_SHOWS_WITHIN = timedelta(days=60)
PAUSE = timedelta(days=30)
NOTICE = timedelta(days=1)
"""Nobody is blamed for a seat that came from the queue later than this before the start."""


def check_open(activity: Activity, at: datetime) -> None:
    """Raises SignupClosed unless families may sign up now."""
    if not takes_signups(activity, at):
        raise SignupClosed


def check_size(activity: Activity, members: Sequence[UUID]) -> None:
    """Raises TooManyForActivity where even the empty activity had no room for all of them: they would wait for ever."""
    if len(members) > activity.capacity:
        raise TooManyForActivity(fields=[FieldError("body.members", f"at most {activity.capacity} can come")])


def check_new(members: Sequence[UUID], standing: Collection[UUID]) -> None:
    """Raises AlreadySignedUp, naming who of the members stands in this activity already."""
    twice = [number for number, member in enumerate(members) if member in standing]
    if twice:
        raise AlreadySignedUp(fields=[FieldError(f"body.members.{number}", "is signed up already") for number in twice])


def paused_until(no_shows: Sequence[datetime]) -> datetime | None:
    """Until when somebody may not sign up who did not come to activities that began then, the earliest first.

    DOMAIN (Two-way points, no_show): two within 60 days, no sign-up for 30 days, counted from the second. The day on
    which it ends is free as a whole, since it is the day that people are told.
    """
    second = [later for earlier, later in pairwise(no_shows) if later - earlier <= NO_SHOWS_WITHIN]
    return second[-1] + PAUSE if second else None


def check_no_shows(members: Sequence[UUID], no_shows: Mapping[UUID, Sequence[datetime]], at: datetime) -> None:
    """Raises NoShowPause, naming who of the members has not come twice, and until when they may not sign up."""
    until = [paused_until(no_shows.get(member, ())) for member in members]
    fields = [
        FieldError(f"body.members.{number}", f"did not come twice; may sign up again from {day_of(end)}")
        for number, end in enumerate(until)
        if end is not None and day_of(at) < day_of(end)
    ]
    if fields:
        raise NoShowPause(fields=fields)


def free_seats(activity: Activity) -> int:
    """Seats, in persons, that nobody has."""
    return activity.capacity - activity.taken


def check_living(activity: Activity, signup: Signup) -> None:
    """Raises SignupOver where there is nothing left to withdraw."""
    if signup.state not in LIVING or activity.state not in UNDER_WAY:
        raise SignupOver


def check_unattended(*, attended: bool) -> None:
    """Raises AlreadyCheckedIn where one of its members has checked in: then the seats are used."""
    if attended:
        raise AlreadyCheckedIn


def fills_up(activity: Activity, at: datetime) -> bool:
    """Whether a freed seat goes to the next in the queue: also after sign-up closed and while it runs, to its end."""
    return activity.state in UNDER_WAY and at < activity.ends_at


def ended_state(activity: Activity, signup: Signup, at: datetime) -> SignupState:
    """What a sign-up becomes that ends now: late 开始后退出 where it gives up a seat after the start."""
    had_seat = signup.state is SignupState.CONFIRMED
    return SignupState.LATE if had_seat and at >= activity.starts_at else SignupState.WITHDRAWN
