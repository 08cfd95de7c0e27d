"""Bodies of requests and responses about work orders."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out, Text
from services.orders.callback.schemas import CallbackOut
from services.orders.intake.tables import Report
from services.orders.intake.taxonomy import load
from services.orders.photos.schemas import PHOTOS_MAX, PhotoRef
from services.orders.places.schemas import PlaceOut
from services.orders.terms import ClosedWhy, Level, MeetingMode, Post, Source, State
from services.orders.workflow.tables import Change, Order

Note = Annotated[str, Text(1000)]
Reason = Annotated[str, Text(500)]


class PoolIn(In):
    """Which unit the order goes to."""

    unit_id: UUID


class ReleaseIn(In):
    """Why the order is given back."""

    reason: Reason


class MeetIn(In):
    """How the resident was met; by phone, the note says why not on site."""

    mode: MeetingMode
    note: Note | None = None


class StartIn(In):
    """`reason`: why there was nobody to meet; needed where nobody was met."""

    reason: Reason | None = None


class ResolveIn(In):
    """What was done, for the resident to read, with photos that prove it."""

    note: Note
    photos: Annotated[list[UUID], Field(min_length=1, max_length=PHOTOS_MAX)]


class OrderFilters(In):
    """Which orders, and from where on.

    `owner=me`: only what the caller reported by account. `open`: what has not come to an end, or what has.
    """

    owner: Literal["me"] | None = None
    open: bool | None = None
    state: State | None = None
    unit: UUID | None = None
    community: UUID | None = None
    subitem: Annotated[str, Text(20)] | None = None
    urgent: bool | None = None
    cursor: Annotated[str, Text(2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class UnitRef(Out):
    """A unit by name."""

    id: UUID
    name: str


class OrderOut(Out):
    """A work order as staff see it, without anything personal. `handler_id` is null for its reporter."""

    id: UUID
    number: str
    state: State
    source: Source
    round: int
    subitem_code: str
    subitem_name: str
    urgent: bool
    place: PlaceOut
    community: UnitRef
    level: Level
    unit: UnitRef | None
    handler_id: UUID | None
    created_at: datetime
    contact_by: datetime
    due_at: datetime
    claim_by: datetime | None
    callback_by: datetime | None
    resolved_at: datetime | None
    awaits_check: bool
    closed_at: datetime | None
    closed_why: ClosedWhy | None

    @classmethod
    def of(cls, order: Order, *, for_staff: bool = True) -> Self:
        """The order with its place, community and unit, which must be loaded."""
        subitem = load(order.taxonomy_version).subitems[order.subitem_code]
        return cls(
            id=order.id,
            number=order.number,
            state=order.state,
            source=order.source,
            round=order.round,
            subitem_code=subitem.code,
            subitem_name=subitem.name,
            urgent=order.urgent,
            place=PlaceOut.of(order.place),
            community=UnitRef(id=order.community.id, name=order.community.name),
            level=order.level,
            unit=UnitRef(id=order.unit.id, name=order.unit.name) if order.unit else None,
            handler_id=order.handler_id if for_staff else None,
            created_at=order.created_at,
            contact_by=order.contact_by,
            due_at=order.due_at,
            claim_by=order.claim_by,
            callback_by=order.callback_by,
            resolved_at=order.resolved_at,
            awaits_check=order.awaits_check,
            closed_at=order.closed_at,
            closed_why=order.closed_why,
        )


class ChangeOut(Out):
    """One row of the history. `by` is null for the reporter, for the system, and towards the reporter."""

    at: datetime
    post: Post
    by: UUID | None
    from_state: State | None
    to_state: State
    round: int
    why: str | None

    @classmethod
    def of(cls, change: Change, *, for_staff: bool = True) -> Self:
        """The row; towards the reporter without who it was."""
        return cls(
            at=change.at,
            post=change.post,
            by=change.by_id if for_staff else None,
            from_state=change.from_state,
            to_state=change.to_state,
            round=change.round,
            why=change.why,
        )


class VisitOut(Out):
    """预约上门: when the resident would like to be visited."""

    from_: Annotated[datetime, Field(serialization_alias="from")]
    to: datetime

    @classmethod
    def of(cls, report: Report) -> Self | None:
        """The visit that the reporter booked, if any."""
        if report.visit_from is None or report.visit_to is None:
            return None
        return cls(from_=report.visit_from, to=report.visit_to)


class OrderDetail(OrderOut):
    """An order with all that happened to it. `first_unit_id` is the unit that received it first 首接."""

    first_unit_id: UUID | None
    visit: VisitOut | None
    photos: list[PhotoRef]
    history: list[ChangeOut]
    callbacks: list[CallbackOut]
