"""The facts that earn points, as this service understands them, and the rules as it shows them."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chassis.core.schema import Out, Text
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import Period
from services.points.terms import LedgerName, OwnerKind


class OrderFact(BaseModel):
    """What is common to the facts of an order. Fields that its teller adds are kept, for rules to come."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: ClassVar[str]
    withdraws: ClassVar[str | None] = None

    order_id: UUID
    number: Annotated[str, Text(40)] | None = None
    community: UUID | None = None
    occurred_at: AwareDatetime

    @property
    def fact_id(self) -> UUID:
        """What the teller calls this fact; told again it has the same id."""
        raise NotImplementedError


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


FACTS: dict[str, type[OrderFact]] = {
    kind.type: kind for kind in (OrderClaimed, ClaimReleased, OrderMet, MeetingWithdrawn, OrderClosed)
}
"""The fact types by name: for reading a stored fact again."""


class CapOut(Out):
    """At most `points` in a calendar period of Beijing time, by when the facts happened."""

    points: int
    period: Period


class RuleOut(Out):
    """One version of a rule: what it gives, into whose wallet of which ledger, and since when."""

    code: str
    version: int
    name: str
    name_zh: str
    ledger: LedgerName
    owner_kind: OwnerKind
    points: int
    cap: CapOut | None
    approved_at: datetime
    effective_from: datetime

    @classmethod
    def of(cls, rule: RuleVersion) -> Self:
        """The version as it is shown."""
        cap = CapOut(points=rule.cap_points, period=rule.cap_period) if rule.cap_points and rule.cap_period else None
        return cls(
            code=rule.code,
            version=rule.version,
            name=rule.name,
            name_zh=rule.name_zh,
            ledger=rule.ledger,
            owner_kind=rule.owner_kind,
            points=rule.points,
            cap=cap,
            approved_at=rule.approved_at,
            effective_from=rule.effective_from,
        )
