"""Facts about orders that score (see DOMAIN, Two-way points 双向积分+). They hold ids and answers, nobody's words."""

from typing import ClassVar
from uuid import UUID

from chassis.core.messages import Message
from services.orders.terms import ClosedWhy, MeetingMode, Satisfied, Source


class _OrderFact(Message):
    to: ClassVar[tuple[str, ...]] = ("points",)

    order_id: UUID

    @property
    def aggregate(self) -> str:
        return f"order/{self.order_id}"


class OrderClaimed(_OrderFact):
    """抢单: a handler took the order from the pool, `in_time` or later. `community` is that of the place."""

    type: ClassVar[str] = "orders.order_claimed.v1"

    number: str
    claim_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    in_time: bool


class ClaimReleased(_OrderFact):
    """That claim no longer counts: the handler gave the order back, or turned out to be its reporter."""

    type: ClassVar[str] = "orders.claim_released.v1"

    claim_id: UUID


class OrderMet(_OrderFact):
    """见面: the handler met the resident. A second handler's meeting is a fact of its own."""

    type: ClassVar[str] = "orders.order_met.v1"

    number: str
    meeting_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    mode: MeetingMode


class OrderClosed(_OrderFact):
    """办结: handled to an end by the steps; cancelled orders are not told of.

    `contacted`, `solved` and `satisfied` are the answer as far as it counts: null where nobody was reached, and where
    the link of a report without phone or account is all there is (`why` is `unverified`). `real` says whether the
    report proved real. `reporter_id` and `reporter_household_id` are null for a reporter without an account.
    """

    type: ClassVar[str] = "orders.order_closed.v1"

    number: str
    closure_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    round: int
    contacted: bool
    solved: bool | None
    satisfied: Satisfied | None
    double_yes: bool
    why: ClosedWhy
    source: Source
    reporter_id: UUID | None
    reporter_household_id: UUID | None
    real: bool
