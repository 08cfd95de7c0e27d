"""Facts as the services that know them tell them: of orders, of attendance, of households."""

from collections.abc import Collection, Mapping
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
    subject_id: UUID
    data: dict[str, Any]
    id: UUID = field(default_factory=new_id)
    aggregate: str = "order"

    @property
    def source(self) -> str:
        """The service that tells it."""
        return self.type.split(".")[0]

    def again(self, **changes: Any) -> "Told":
        return replace(self, id=new_id(), data=self.data | changes)

    @property
    def envelope(self) -> dict[str, Any]:
        """The message as it travels."""
        return {
            "specversion": "1.0",
            "id": str(self.id),
            "source": f"/{self.source}",
            "type": self.type,
            "subject": f"{self.aggregate}/{self.subject_id}",
            "time": NOON.isoformat(),
            "datacontenttype": "application/json",
            "data": self.data,
        }


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as they travel."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in data.items()}


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
        data |= {"order_id": self.id, "community": self.community, "occurred_at": self.at.astimezone(UTC).isoformat()}
        return Told(f"orders.{what}.v1", self.id, plain(data))

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


@dataclass(frozen=True)
class Attendance:
    """That a member of a household took part in an activity, and what may be told of it."""

    person_id: UUID = field(default_factory=new_id)
    household_id: UUID = field(default_factory=new_id)
    id: UUID = field(default_factory=new_id)
    activity_id: UUID = field(default_factory=new_id)
    at: datetime = NOON
    title: str = "陪老人包饺子"

    def _tell(self, what: str, **data: Any) -> Told:
        data |= {
            "attendance_id": self.id,
            "activity_id": self.activity_id,
            "occurred_at": self.at.astimezone(UTC).isoformat(),
        }
        return Told(f"events.attendance_{what}.v1", self.id, plain(data), aggregate="attendance")

    def verified(self, minutes: int, **changes: Any) -> Told:
        data = {
            "verification_id": new_id(),
            "activity_title": self.title,
            "category": "volunteering",
            "organisation_id": new_id(),
            "person_id": self.person_id,
            "household_id": self.household_id,
            "minutes": minutes,
        }
        return self._tell("verified", **(data | changes))

    def withdrawn(self, verification: Told) -> Told:
        return self._tell("withdrawn", verification_id=verification.data["verification_id"])


@dataclass(frozen=True)
class Family:
    """A household, and what identity may tell of it."""

    id: UUID = field(default_factory=new_id)
    at: datetime = NOON

    def changed(self, version: int, *members: UUID, into: UUID | None = None, children: Collection[UUID] = ()) -> Told:
        """The household as of a version, all its members grown up but for the `children` among them."""
        data = {
            "occurred_at": self.at.astimezone(UTC).isoformat(),
            "household_id": self.id,
            "version": version,
            "members": [{"person_id": str(id_), "child": id_ in children, "consented": False} for id_ in members],
            "dissolved_into": into,
        }
        return Told("identity.household_changed.v1", self.id, plain(data), aggregate="household")

    def dissolved(self, version: int, into: UUID) -> Told:
        return self.changed(version, into=into)
