"""The state machine of a work order: who may move it from where to where, and on what conditions.

Pure: a row goes in, a decision or a refusal comes out. `TRANSITIONS` is what this version can do of the whole table in
DOMAIN (Work orders 接诉即办).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from chassis.core.errors import FieldError, Invalid
from services.orders.places.errors import UnitUnknown
from services.orders.places.rules import HANDLING_KINDS
from services.orders.places.tables import Unit
from services.orders.terms import Level, MeetingMode, Post, State
from services.orders.workflow.errors import (
    ClaimLimitReached,
    NotHandler,
    OrderAlreadyClaimed,
    OrderNotFound,
    OwnReport,
    UnitAccused,
    WrongState,
)
from services.orders.workflow.tables import Order

_HANDLER = frozenset({Post.HANDLER})
_RESIDENT = frozenset({Post.RESIDENT})
_CALLBACK = frozenset({Post.CALLBACK_AGENT, Post.RESIDENT})
_SUPERVISOR = frozenset({Post.SUPERVISOR})

TRANSITIONS: Mapping[tuple[State | None, State], frozenset[Post]] = MappingProxyType(
    {
        (None, State.SUBMITTED): frozenset({Post.SYSTEM}),
        (State.SUBMITTED, State.POOLED): frozenset({Post.SYSTEM, Post.DISPATCHER}),
        (State.POOLED, State.CLAIMED): _HANDLER,
        (State.CLAIMED, State.POOLED): _HANDLER,
        (State.SUBMITTED, State.CANCELLED): _RESIDENT,
        (State.POOLED, State.CANCELLED): _RESIDENT,
        (State.CLAIMED, State.MET): _HANDLER,
        (State.CLAIMED, State.IN_PROGRESS): _HANDLER,
        (State.MET, State.IN_PROGRESS): _HANDLER,
        (State.MET, State.RESOLVED): _HANDLER | _RESIDENT,
        (State.IN_PROGRESS, State.RESOLVED): _HANDLER | _RESIDENT,
        (State.CLAIMED, State.RESOLVED): _RESIDENT,
        (State.RESOLVED, State.CLOSED): _CALLBACK,
        (State.RESOLVED, State.IN_PROGRESS): _CALLBACK,
        (State.RESOLVED, State.REVIEW_PENDING): _CALLBACK,
        (State.REVIEW_PENDING, State.CLOSED): _SUPERVISOR,
        (State.REVIEW_PENDING, State.IN_PROGRESS): _SUPERVISOR,
    }
)


def check_move(state: State | None, to: State, post: Post) -> None:
    """Raises WrongState, naming the present state, unless this post may move an order from `state` to `to`."""
    if post not in TRANSITIONS.get((state, to), frozenset()):
        raise WrongState(f"The order is {state}; from there it cannot become {to} by a {post}.")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member of staff stands: the unit and level of their posts."""

    person_id: UUID
    unit_id: UUID | None
    level: Level | None


def check_claim(
    order: Order, by: Standing, *, reporters: Collection[UUID | None], open_claims: int, limit: int
) -> None:
    """抢单. Raises OrderNotFound for staff of another unit or level, OrderAlreadyClaimed for whoever comes later,
    WrongState, OwnReport (`reporters`: who reported or entered it), ClaimLimitReached.
    """
    if order.unit_id is None or (order.unit_id, order.level) != (by.unit_id, by.level):
        raise OrderNotFound
    check_not_accused(order, order.unit_id)
    if order.claim_id is not None:
        raise OrderAlreadyClaimed
    check_move(order.state, State.CLAIMED, Post.HANDLER)
    if by.person_id in reporters:
        raise OwnReport
    if open_claims >= limit:
        raise ClaimLimitReached(f"You hold {open_claims} orders that are not resolved; {limit} are allowed.")


def is_in_time(order: Order, at: datetime) -> bool:
    """Whether a claim at this moment takes the order from the pool in time."""
    return order.claim_by is not None and at <= order.claim_by


def check_handler(order: Order, person_id: UUID) -> None:
    """Raises NotHandler if the order is in somebody else's hands."""
    if order.handler_id not in {None, person_id}:
        raise NotHandler


def check_within(order: Order, unit: Unit, office: Unit | None) -> None:
    """Raises UnitUnknown unless the unit handles orders and belongs to `office`, the order's own subdistrict."""
    if unit.kind not in HANDLING_KINDS or office is None or order.subdistrict_id not in {None, office.id}:
        raise UnitUnknown(fields=[FieldError("body.unit_id", "is not a unit of the order's subdistrict")])


def check_not_accused(order: Order, unit_id: UUID) -> None:
    """Raises UnitAccused: a complaint about a property company never goes to it."""
    if order.accused_unit_id == unit_id:
        raise UnitAccused


def check_meeting(mode: MeetingMode, note: str | None) -> None:
    """Raises Invalid for a meeting by phone without a word on why it was not on site."""
    if mode is MeetingMode.PHONE and note is None:
        raise Invalid(fields=[FieldError("body.note", "is needed: why was the resident not met on site?")])


def check_start(order: Order, reason: str | None) -> None:
    """Raises Invalid for work begun without a meeting and without a reason."""
    if order.state is State.CLAIMED and reason is None:
        raise Invalid(fields=[FieldError("body.reason", "is needed: why was there nobody to meet?")])
