"""Facts of orders as the orders service tells them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.core.ids import new_id

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""A Monday noon in Beijing."""


@dataclass(frozen=True)
class Told:
    """A message: the same one, however often it is sent. `again` tells the same fact in another message."""

    type: str
    order_id: UUID
    data: dict[str, Any]
    id: UUID = field(default_factory=new_id)

    def again(self, **changes: Any) -> "Told":
        return replace(self, id=new_id(), data=self.data | changes)

    @property
    def envelope(self) -> dict[str, Any]:
        """The message as it travels."""
        return {
            "specversion": "1.0",
            "id": str(self.id),
            "source": "/orders",
            "type": self.type,
            "subject": f"order/{self.order_id}",
            "time": NOON.isoformat(),
            "datacontenttype": "application/json",
            "data": self.data,
        }


@dataclass(frozen=True)
class Order:
    """An order, and what may be told of it. Handlers and claims are named by id."""

    id: UUID = field(default_factory=new_id)
    unit_id: UUID = field(default_factory=new_id)
    community: UUID = field(default_factory=new_id)
    at: datetime = NOON

    @property
    def number(self) -> str:
        return f"BY-{self.id.hex[-8:]}"

    def _tell(self, what: str, **data: Any) -> Told:
        data |= {"order_id": self.id, "community": self.community, "occurred_at": self.at.isoformat()}
        plain = {name: str(value) if isinstance(value, UUID) else value for name, value in data.items()}
        return Told(f"orders.{what}.v1", self.id, plain)

    def claimed(self, handler: UUID, *, in_time: bool = True, claim_id: UUID | None = None) -> Told:
        return self._tell(
            "order_claimed",
            number=self.number,
            claim_id=claim_id or new_id(),
            handler_id=handler,
            unit_id=self.unit_id,
            in_time=in_time,
        )

    def released(self, claim: Told) -> Told:
        return self._tell("claim_released", claim_id=claim.data["claim_id"])

    def met(self, handler: UUID, *, mode: str = "on_site") -> Told:
        return self._tell("order_met", meeting_id=new_id(), handler_id=handler, unit_id=self.unit_id, mode=mode)

    def meeting_withdrawn(self, meeting: Told) -> Told:
        return self._tell("meeting_withdrawn", meeting_id=meeting.data["meeting_id"])

    def closed(self, handler: UUID, *, satisfied: str | None = "satisfied", **changes: Any) -> Told:
        data = {
            "number": self.number,
            "closure_id": new_id(),
            "handler_id": handler,
            "unit_id": self.unit_id,
            "round": 1,
            "contacted": True,
            "solved": True,
            "satisfied": satisfied,
            "double_yes": satisfied == "satisfied",
            "why": "double_yes",
            "source": "qr",
            "reporter_id": None,
            "reporter_household_id": None,
            "real": True,
        }
        return self._tell("order_closed", **(data | changes))

    def handled(self, handler: UUID, *, mode: str = "on_site", satisfied: str = "satisfied") -> list[Told]:
        """Claimed in time, met, and closed, all by one handler."""
        return [self.claimed(handler), self.met(handler, mode=mode), self.closed(handler, satisfied=satisfied)]
