"""Facts about orders that score (see DOMAIN, Two-way points 双向积分+). They hold ids and answers, nobody's words."""

from typing import ClassVar
from uuid import UUID

from chassis.core.messages import Message
from services.orders.terms import MeetingMode


class OrderFact(Message):
    """What is common to the facts of an order."""

    to: ClassVar[tuple[str, ...]] = ("points",)

    order_id: UUID

    @property
    def aggregate(self) -> str:
        return f"order/{self.order_id}"


class OrderClaimed(OrderFact):
    """抢单: a handler took the order from the pool, `in_time` or later. `community` is that of the place."""

    type: ClassVar[str] = "orders.order_claimed.v1"

    number: str
    claim_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    in_time: bool


class ClaimReleased(OrderFact):
    """That claim no longer counts: the handler gave the order back, or turned out to be its reporter."""

    type: ClassVar[str] = "orders.claim_released.v1"

    claim_id: UUID


class MeetingWithdrawn(OrderFact):
    """That meeting does not count: the handler turned out to be the reporter."""

    type: ClassVar[str] = "orders.meeting_withdrawn.v1"

    meeting_id: UUID


class OrderMet(OrderFact):
    """见面: the handler met the resident. A second handler's meeting is a fact of its own."""

    type: ClassVar[str] = "orders.order_met.v1"

    number: str
    meeting_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    mode: MeetingMode
