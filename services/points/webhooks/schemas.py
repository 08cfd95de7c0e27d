"""Webhooks as merchants' managers see to them. Endpoints' secrets are answered when they are made, and never again."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from chassis.core.schema import In, Out, Text
from services.points.webhooks.rules import OVERLAP, written
from services.points.webhooks.tables import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from services.points.webhooks.terms import DeliveryState, EndpointState, EventType, Failure

_MOST_OVERLAP_HOURS = 168


def _each_once(chosen: list[EventType]) -> list[EventType]:
    return sorted(set(chosen))


Url = Annotated[str, Field(strict=True, min_length=1, max_length=500)]
EventTypes = Annotated[list[EventType], Field(max_length=len(EventType)), AfterValidator(_each_once)]
"""Of which events it is told; an empty list means all, those of later versions included."""

Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]


class EndpointIn(In):
    """Where a merchant is to be told: https, on the public internet."""

    merchant_id: UUID
    url: Url
    event_types: EventTypes = Field(default_factory=list)
    description: Annotated[str, Text(200, min_length=0)] = ""


class EndpointChange(In):
    """What is to be different of an endpoint; what is left out stays. A disabled one is set active again by `state`."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Annotated[str, Text(200, min_length=0)] | None = None
    state: Literal[EndpointState.ACTIVE, EndpointState.PAUSED] | None = None


class RotationIn(In):
    """For how many hours the old secret signs beside the new one; 0 where others know it."""

    overlap_hours: int = Field(default=OVERLAP // timedelta(hours=1), ge=0, le=_MOST_OVERLAP_HOURS)


class ReplayIn(In):
    """From which event on everything that failed is sent again."""

    since: Moment


class EndpointFilters(In):
    """Whose endpoints."""

    merchant_id: UUID


class DeliveryFilters(In):
    """Which deliveries of an endpoint."""

    state: DeliveryState | None = None
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class EndpointOut(Out):
    """An endpoint and how it is doing.

    `failing_since` is the first failure since something was delivered last, null while all is well. `pending` of its
    deliveries wait for their next try.
    """

    id: UUID
    merchant_id: UUID
    url: str
    event_types: list[str]
    description: str
    state: EndpointState
    created_at: datetime
    changed_at: datetime
    old_secret_until: datetime | None
    tried_at: datetime | None
    delivered_at: datetime | None
    failing_since: datetime | None
    given_up: int
    disabled_at: datetime | None
    pending: int

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, pending: int) -> Self:
        """The endpoint as it is shown."""
        return cls(**_fields(cls, endpoint, pending=pending))


class EndpointsOut(Out):
    """A merchant's endpoints, the first made first."""

    items: list[EndpointOut]


class EndpointWithSecret(EndpointOut):
    """The same, with the secret by which its webhooks are checked. It is not shown again."""

    secret: str

    @classmethod
    def showing(cls, endpoint: WebhookEndpoint, pending: int, secret: bytes) -> Self:
        """The endpoint with its new secret."""
        return cls(**_fields(cls, endpoint, pending=pending, secret=written(secret)))


class AttemptOut(Out):
    """One try: at its end, how long it took, and what came of it. `status` is null where nothing was answered."""

    number: int
    at: datetime
    milliseconds: int
    status: int | None
    failure: Failure | None


class DeliveryOut(Out):
    """An event on its way to an endpoint, with its last try."""

    event_id: UUID
    endpoint_id: UUID
    event_type: str
    created_at: datetime
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_attempt: AttemptOut | None

    @classmethod
    def of(cls, delivery: WebhookDelivery, event: WebhookEvent, last: WebhookAttempt | None) -> Self:
        """The delivery as lists show it."""
        return cls(**_fields(cls, delivery, **_of_event(event), last_attempt=_attempt(last) if last else None))


class DeliveryDetail(DeliveryOut):
    """The same, with what is told, and every try."""

    resource: dict[str, Any]
    tries: list[AttemptOut]

    @classmethod
    def with_tries(cls, delivery: WebhookDelivery, event: WebhookEvent, tries: list[WebhookAttempt]) -> Self:
        """The delivery as it is shown by itself."""
        shown = [_attempt(each) for each in tries]
        last = shown[-1] if shown else None
        return cls(
            **_fields(cls, delivery, **_of_event(event), last_attempt=last, resource=event.resource, tries=shown)
        )


class ReplayedOut(Out):
    """How many deliveries are sent again; `more` where there are so many that it is to be asked for again."""

    replayed: int
    more: bool


def _of_event(event: WebhookEvent) -> dict[str, Any]:
    return {"event_type": event.event_type, "created_at": event.created_at}


def _attempt(attempt: WebhookAttempt) -> AttemptOut:
    return AttemptOut(**_fields(AttemptOut, attempt))


def _fields(of: type[Out], row: object, **given: Any) -> dict[str, Any]:
    return {name: given[name] if name in given else getattr(row, name) for name in of.model_fields}
