"""Decisions about reports. Pure."""

from datetime import datetime, timedelta

from chassis.core.actor import Actor
from chassis.core.errors import FieldError, Invalid
from services.orders.intake.errors import TooManyAdditions, VisitImpossible
from services.orders.terms import FINISHED, WORKING, Source, State
from services.orders.workflow.errors import WrongState

STAFF_ROLES = ("handler", "dispatcher", "supervisor", "callback_agent", "social_worker", "organiser", "administrator")
"""Posts whose holders enter reports for residents."""

ADDITIONS_MAX = 10
VISIT_AHEAD_MAX = timedelta(days=30)
VISIT_LENGTH_MAX = timedelta(hours=12)


def source_of(actor: Actor | None, asked: Source | None) -> Source:
    """How a report comes in: what is `asked` for, else by who is signed in.

    Staff enter on a resident's behalf unless they say `app`, which makes the report their own. Raises Invalid for a
    source that is not theirs to use.
    """
    if actor is None:
        allowed = [Source.QR]
    elif actor.has("patrol"):
        allowed = [Source.PATROL, Source.STAFF, Source.APP, Source.QR]
    elif actor.has(*STAFF_ROLES):
        allowed = [Source.STAFF, Source.APP, Source.QR]
    else:
        allowed = [Source.APP, Source.QR]
    if asked is None:
        return allowed[0]
    if asked not in allowed:
        raise Invalid(fields=[FieldError("body.source", "is not a source that you may name")])
    return asked


def check_visit(begins: datetime, ends: datetime, at: datetime) -> None:
    """Raises VisitImpossible unless the visit lies within the next thirty days and takes at most twelve hours."""
    if begins < at:
        reason = "begins in the past"
    elif ends <= begins:
        reason = "ends before it begins"
    elif ends - begins > VISIT_LENGTH_MAX:
        reason = "is longer than twelve hours"
    elif begins - at > VISIT_AHEAD_MAX:
        reason = "is more than thirty days ahead"
    else:
        return
    raise VisitImpossible(fields=[FieldError("body.visit", reason)])


def check_addition(state: State, additions: int) -> None:
    """Raises WrongState once the order has come to an end, TooManyAdditions beyond ten."""
    if state in FINISHED:
        raise WrongState(f"The order is {state}; nothing can be added to it.")
    if additions >= ADDITIONS_MAX:
        raise TooManyAdditions


def reporter_may(state: State, *, answered: bool) -> list[str]:
    """What the private link allows just now: `add`, `withdraw`, `settled`, `callback`. Without staff's limits.

    `answered`: a good answer was given and waits for its check by phone; a bad one may still follow.
    """
    may = [] if state in FINISHED else ["add"]
    if state in {State.SUBMITTED, State.POOLED}:
        may.append("withdraw")
    if state in WORKING:
        may.append("settled")
    if state is State.RESOLVED and not answered:
        may.append("callback")
    return may
