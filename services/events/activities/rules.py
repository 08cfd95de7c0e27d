"""The state machine of an activity, and who may do what with one. Pure.

`TRANSITIONS` is DOMAIN's (Activities 宝贝计划): draft → review → published → open → closed → ended → settled, and any
before ended → cancelled. Running is not stored (`shown_state`).
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from chassis.core.actor import Actor
from chassis.core.errors import FieldError, Forbidden, Invalid
from services.events.activities.errors import ActivityNotFound, ActivityOver, NotOrganiser, WrongState
from services.events.activities.tables import Activity
from services.events.terms import UNDER_WAY, ActivityState

LONGEST = timedelta(days=14)
FARTHEST = timedelta(days=730)
ENDS_BY_ITSELF = timedelta(minutes=30)
"""So long after the schedule's end the organiser may end an activity; then the clock does, and it is over."""

CLOCK = "clock"
"""Who moves what nobody moved in time."""

_ORGANISER = frozenset({"organiser"})
_ADMINISTRATOR = frozenset({"administrator"})

TRANSITIONS: Mapping[tuple[ActivityState | None, ActivityState], frozenset[str]] = MappingProxyType(
    {
        (None, ActivityState.DRAFT): _ORGANISER,
        (ActivityState.DRAFT, ActivityState.REVIEW): _ORGANISER,
        (ActivityState.DRAFT, ActivityState.PUBLISHED): _ORGANISER,
        (ActivityState.REVIEW, ActivityState.PUBLISHED): _ADMINISTRATOR,
        (ActivityState.REVIEW, ActivityState.DRAFT): _ADMINISTRATOR,
        (ActivityState.PUBLISHED, ActivityState.OPEN): _ORGANISER,
        (ActivityState.OPEN, ActivityState.CLOSED): _ORGANISER,
        (ActivityState.PUBLISHED, ActivityState.ENDED): frozenset({CLOCK}),
        (ActivityState.OPEN, ActivityState.ENDED): _ORGANISER | {CLOCK},
        (ActivityState.CLOSED, ActivityState.ENDED): _ORGANISER | {CLOCK},
        (ActivityState.ENDED, ActivityState.SETTLED): _ORGANISER,
        (ActivityState.DRAFT, ActivityState.CANCELLED): _ORGANISER,
        (ActivityState.REVIEW, ActivityState.CANCELLED): _ORGANISER,
        (ActivityState.PUBLISHED, ActivityState.CANCELLED): _ORGANISER,
        (ActivityState.OPEN, ActivityState.CANCELLED): _ORGANISER,
        (ActivityState.CLOSED, ActivityState.CANCELLED): _ORGANISER,
    }
)


def check_move(state: ActivityState | None, to: ActivityState, roles: Collection[str]) -> None:
    """Raises WrongState, naming the present state, unless one of these roles may move an activity from it to `to`."""
    if TRANSITIONS.get((state, to), frozenset()).isdisjoint(roles):
        raise WrongState(f"The activity is {state}; from there it cannot become {to} in this way.")


def organises(actor: Actor | None, activity: Activity) -> bool:
    """Whether the actor is an organiser of the activity's organisation."""
    return actor is not None and actor.has("organiser") and actor.organisation_id == activity.organisation_id


def sees(actor: Actor | None, activity: Activity) -> bool:
    """Whether they may know of the activity: of a published one everybody, before that those who have to do with it.

    `queries.visible` says the same in SQL.
    """
    if activity.published_at is not None or organises(actor, activity):
        return True
    if actor is None:
        return False
    return actor.has("auditor") or (actor.has("administrator") and activity.state is ActivityState.REVIEW)


def check_organiser(actor: Actor, activity: Activity) -> None:
    """Raises NotOrganiser where the activity is another organisation's; ActivityNotFound where they may not see it."""
    if not organises(actor, activity):
        raise NotOrganiser if sees(actor, activity) else ActivityNotFound


def organisation_of(actor: Actor) -> UUID:
    """The organisation in whose name an organiser acts. Raises Forbidden where their post is at none."""
    if actor.organisation_id is None:
        raise Forbidden("Your post is at no organisation.")
    return actor.organisation_id


def check_seen(actor: Actor, activity: Activity) -> None:
    """Raises ActivityNotFound where they may not know of the activity."""
    if not sees(actor, activity):
        raise ActivityNotFound


def check_schedule(starts_at: datetime, ends_at: datetime, at: datetime) -> None:
    """Raises Invalid, naming the field. What has begun may still be written down, what is over may not."""
    if ends_at <= starts_at:
        raise _ends_at("must be after starts_at")
    if ends_at - starts_at > LONGEST:
        raise _ends_at(f"must be at most {LONGEST.days} days after starts_at")
    if ends_at <= at:
        raise _ends_at("must be in the future")
    if starts_at > at + FARTHEST:
        raise Invalid(fields=[FieldError("body.starts_at", f"must be within {FARTHEST.days} days")])


def _ends_at(reason: str) -> Invalid:
    return Invalid(fields=[FieldError("body.ends_at", reason)])


def check_not_over(activity: Activity, at: datetime) -> None:
    """Raises ActivityOver where the schedule's end has passed."""
    if at >= activity.ends_at:
        raise ActivityOver


def shown_state(activity: Activity, at: datetime) -> ActivityState:
    """The state that people see: an open or closed activity runs from its start until it is ended."""
    if activity.state in UNDER_WAY and at >= activity.starts_at:
        return ActivityState.RUNNING
    return activity.state


def takes_signups(activity: Activity, at: datetime) -> bool:
    """Whether families may sign up, be it on the waitlist; also while it runs."""
    return activity.state is ActivityState.OPEN and at < activity.ends_at
