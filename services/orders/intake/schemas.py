"""Bodies about reports, the taxonomy and the private link."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chassis.core.schema import In, Out, Phone, Text
from services.orders.callback.schemas import CallbackOut
from services.orders.photos.schemas import PhotoIds, PhotoRef
from services.orders.places.schemas import PlaceOut
from services.orders.terms import ClosedWhy, Post, Source, State
from services.orders.workflow.schemas import VisitOut

Words = Annotated[str, Text(2000)]


class ContactIn(In):
    """Whom to ask and call back; both may be left out."""

    name: Annotated[str, Text(50)] | None = None
    phone: Phone | None = None


class VisitIn(In):
    """预约上门: when a visit would suit."""

    from_: Annotated[AwareDatetime, Field(alias="from")]
    to: AwareDatetime


class ReportIn(In):
    """A report. `source` is left out as a rule; staff who report for themselves say `app`."""

    qr_code: Annotated[str, Text(40)]
    subitem_code: Annotated[str, Text(20)]
    description: Words
    contact: ContactIn | None = None
    photos: PhotoIds = Field(default_factory=list)
    visit: VisitIn | None = None
    source: Source | None = None


class AdditionIn(In):
    """What the reporter adds."""

    text: Words
    photos: PhotoIds = Field(default_factory=list)


class WithdrawIn(In):
    """Why the report is withdrawn, in the reporter's words."""

    reason: Annotated[str, Text(500)]


class ReportOut(Out):
    """What a reporter is told at once. `tracking_url` is null for staff who entered the report for somebody."""

    id: UUID
    number: str
    state: State
    subitem_code: str
    subitem_name: str
    urgent: bool
    place: PlaceOut
    created_at: datetime
    contact_by: datetime
    due_at: datetime
    tracking_url: str | None


class SubItemOut(Out):
    """One kind of fault or request, and its limit in hours."""

    code: str
    name: str
    urgent: bool
    sla_hours: int


class ItemOut(Out):
    code: str
    name: str
    subitems: list[SubItemOut]


class CategoryOut(Out):
    code: str
    name: str
    items: list[ItemOut]


class TaxonomyOut(Out):
    """The whole taxonomy; `outside` is for what its categories do not cover."""

    version: str
    categories: list[CategoryOut]
    outside: CategoryOut


class EmergencyOut(Out):
    """A number to call instead of reporting, when somebody is in danger."""

    name: str
    phone: str


class OpenHere(Out):
    """Something that is reported at the place and not yet done."""

    subitem_code: str
    subitem_name: str
    state: State
    reported_at: datetime


class PlacePage(Out):
    """What the page of a QR code needs: nothing in it is about a person."""

    code: str
    place: PlaceOut
    community: str
    emergency: list[EmergencyOut]
    likely: list[SubItemOut]
    open: list[OpenHere]


class AdditionOut(Out):
    """What the reporter added."""

    at: datetime
    text: str


class StepOut(Out):
    """A change of the order's state, as its reporter sees it. `why` is what the handler noted on what was done."""

    at: datetime
    post: Post
    from_state: State | None
    to_state: State
    round: int
    why: str | None


class TrackOut(Out):
    """The reporter's view through the private link: the same truth as staff's, without names of staff.

    The reporter's own name and phone are masked, since links get forwarded. `may` says what can be done now.
    """

    number: str
    state: State
    round: int
    subitem_code: str
    subitem_name: str
    urgent: bool
    place: PlaceOut
    unit: str | None
    created_at: datetime
    contact_by: datetime
    due_at: datetime
    callback_by: datetime | None
    resolved_at: datetime | None
    awaits_check: bool
    closed_at: datetime | None
    closed_why: ClosedWhy | None
    name: str | None
    phone: str | None
    description: str
    visit: VisitOut | None
    additions: list[AdditionOut]
    photos: list[PhotoRef]
    history: list[StepOut]
    callbacks: list[CallbackOut]
    may: list[str]


class PersonDeleted(BaseModel):
    """What the identity service tells of somebody who deleted their account."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    person_id: UUID


class ContactOut(Out):
    """Whom to call, and their words.

    Name and phone are null for dispatchers, and where the reporter gave none or deleted their account.
    """

    name: str | None
    phone: str | None
    description: str
    additions: list[AdditionOut]
