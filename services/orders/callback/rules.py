"""Decisions about the call-back 回访 and what follows from it. Pure."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from chassis.core.beijing import BEIJING
from chassis.core.errors import FieldError, Invalid
from services.orders.callback.errors import AlreadyAnswered, OwnCallback
from services.orders.terms import ClosedWhy, Post, Satisfied, State
from services.orders.workflow.rules import check_move
from services.orders.workflow.tables import Order

ROUNDS_BEFORE_REVIEW = 2
TRIES_BEFORE_UNREACHABLE = 3


def check_callback_by(person_id: UUID, *, handlers: Collection[UUID], reporters: Collection[UUID | None]) -> None:
    """Raises OwnCallback for whoever ever handled the order, reported it or entered it."""
    if person_id in handlers or person_id in reporters:
        raise OwnCallback


def check_link_answer(
    order: Order, *, good: bool, handlers: Collection[UUID], reporters: Collection[UUID | None]
) -> None:
    """An answer through the private link. Raises WrongState, OwnCallback where the reporter is known to have handled
    the order, AlreadyAnswered where an equal answer waits for its check.
    """
    check_move(order.state, State.CLOSED, Post.RESIDENT)
    if not set(handlers).isdisjoint(reporters):
        raise OwnCallback
    if order.awaits_check and good:
        raise AlreadyAnswered


def check_answer(contacted: bool, solved: bool | None, satisfied: Satisfied | None) -> None:
    """Raises Invalid unless `solved` and `satisfied` are given exactly where the resident was reached."""
    wrong = [name for name, value in (("solved", solved), ("satisfied", satisfied)) if (value is None) is contacted]
    if wrong:
        reason = "is needed where the resident was reached" if contacted else "cannot be known: nobody was reached"
        raise Invalid(fields=[FieldError(f"body.{name}", reason) for name in wrong])


def is_good(solved: bool, satisfied: Satisfied) -> bool:
    """Whether this answer closes the order: solved, and at least fairly satisfied."""
    return solved and satisfied is not Satisfied.DISSATISFIED


def is_double_yes(solved: bool, satisfied: Satisfied) -> bool:
    """双是: solved and satisfied; fairly satisfied is not."""
    return solved and satisfied is Satisfied.SATISFIED


def closing_reason(solved: bool, satisfied: Satisfied, *, verifiable: bool) -> ClosedWhy:
    """Why an order closes after a good answer. `verifiable`: an agent heard it, or somebody stands behind the link."""
    if not is_double_yes(solved, satisfied):
        return ClosedWhy.FAIRLY
    return ClosedWhy.DOUBLE_YES if verifiable else ClosedWhy.UNVERIFIED


def after_bad_answer(round_: int) -> State:
    """Back to work for two rounds, then to the supervisor's review 复核."""
    return State.IN_PROGRESS if round_ <= ROUNDS_BEFORE_REVIEW else State.REVIEW_PENDING


def is_unreachable(tries: Collection[datetime]) -> bool:
    """Whether fruitless tries (since the order was resolved) fall on three separate days in Beijing."""
    return len({at.astimezone(BEIJING).date() for at in tries}) >= TRIES_BEFORE_UNREACHABLE


def is_drawn_for_check(draw: bytes, share: float) -> bool:
    """Whether a good answer by link is to be checked by phone.

    `draw` is a keyed hash of the order: nobody without the key can tell which orders are drawn, and asking again does
    not change it.
    """
    return int.from_bytes(draw[:8], "big") < share * 2**64
