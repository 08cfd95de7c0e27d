"""The facts that earn points, as this service understands them."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chassis.core.schema import Text
from services.points.awards.terms import SubjectKind

MAX_MINUTES = 366 * 24 * 60
"""No activity lasts longer than a year."""


class ToldFact(BaseModel):
    """What is common to all facts. Fields that its teller adds are kept, for rules to come.

    A fact that `withdraws` another type takes back the fact of that type that bears its own `fact_id`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: ClassVar[str]
    withdraws: ClassVar[str | None] = None
    subject_kind: ClassVar[SubjectKind]

    occurred_at: AwareDatetime

    @property
    def fact_id(self) -> UUID:
        """What the teller calls this fact; told again it has the same id."""
        raise NotImplementedError

    @property
    def subject_id(self) -> UUID:
        """What it is about: a rule gives one standing award for it."""
        raise NotImplementedError

    @property
    def subject_label(self) -> str | None:
        """By what people know the subject, as far as this fact tells it."""
        raise NotImplementedError


class OrderFact(ToldFact):
    """What is common to the facts of an order."""

    subject_kind = SubjectKind.ORDER

    order_id: UUID
    number: Annotated[str, Text(40)] | None = None
    community: UUID | None = None

    @property
    def subject_id(self) -> UUID:
        return self.order_id

    @property
    def subject_label(self) -> str | None:
        return self.number


class OrderClaimed(OrderFact):
    """抢单: a handler took the order from the pool; `in_time` if before the unclaimed timer ran out."""

    type = "orders.order_claimed.v1"

    claim_id: UUID
    handler_id: UUID
    unit_id: UUID
    in_time: bool

    @property
    def fact_id(self) -> UUID:
        return self.claim_id


class ClaimReleased(OrderFact):
    """The handler gave the order back: that claim no longer counts."""

    type = "orders.claim_released.v1"
    withdraws = OrderClaimed.type

    claim_id: UUID

    @property
    def fact_id(self) -> UUID:
        return self.claim_id


class OrderMet(OrderFact):
    """见面: the handler met the resident, on site or by telephone."""

    type = "orders.order_met.v1"

    meeting_id: UUID
    handler_id: UUID
    unit_id: UUID
    mode: Literal["on_site", "phone"]

    @property
    def fact_id(self) -> UUID:
        return self.meeting_id


class OrderClosed(OrderFact):
    """办结: the order came to its end by the steps, with what the call-back found.

    `real` says whether the report proved real. Without an account the reporter has no household here.
    """

    type = "orders.order_closed.v1"

    closure_id: UUID
    handler_id: UUID
    unit_id: UUID
    solved: bool | None
    satisfied: Literal["satisfied", "fairly", "dissatisfied"] | None
    real: bool
    reporter_id: UUID | None
    reporter_household_id: UUID | None

    @property
    def fact_id(self) -> UUID:
        return self.closure_id


class MeetingWithdrawn(OrderFact):
    """The handler turned out to be the reporter: that meeting does not count."""

    type = "orders.meeting_withdrawn.v1"
    withdraws = OrderMet.type

    meeting_id: UUID

    @property
    def fact_id(self) -> UUID:
        return self.meeting_id


class AttendanceFact(ToldFact):
    """What is common to the facts of an attendance: that one member took part in one activity."""

    subject_kind = SubjectKind.ATTENDANCE

    verification_id: UUID
    attendance_id: UUID
    activity_id: UUID

    @property
    def fact_id(self) -> UUID:
        return self.verification_id

    @property
    def subject_id(self) -> UUID:
        return self.attendance_id

    @property
    def subject_label(self) -> str | None:
        return None


class AttendanceVerified(AttendanceFact):
    """核实: staff of another household found these minutes to be true; whole quarters of an hour.

    It happened when the member took part, however much later it was verified. A correction withdraws it and
    tells another.
    """

    type = "events.attendance_verified.v1"

    activity_title: Annotated[str, Text(200)]
    person_id: UUID
    household_id: UUID
    minutes: Annotated[int, Field(ge=0, le=MAX_MINUTES, multiple_of=15)]

    @property
    def subject_label(self) -> str | None:
        return self.activity_title


class AttendanceWithdrawn(AttendanceFact):
    """That verification no longer counts."""

    type = "events.attendance_withdrawn.v1"
    withdraws = AttendanceVerified.type


FACTS: dict[str, type[ToldFact]] = {
    kind.type: kind
    for kind in (
        OrderClaimed,
        ClaimReleased,
        OrderMet,
        MeetingWithdrawn,
        OrderClosed,
        AttendanceVerified,
        AttendanceWithdrawn,
    )
}
"""The fact types by name: for reading a stored fact again."""
