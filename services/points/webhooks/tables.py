"""Where merchants are told, what they are told, and the log of telling them.

Who writes an event for an endpoint takes no more than a KEY SHARE lock on it: whoever changes an endpoint locks it
FOR NO KEY UPDATE, so that the ledgers' writer waits for nobody here. Endpoints are never deleted, for the same reason.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.points.tables import Base, words
from services.points.webhooks.terms import DeliveryState, EndpointState, Failure


class WebhookEndpoint(Base):
    """An address of a merchant's that is told of events, and how it has been doing."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("(old_secret_sealed IS NULL) = (old_secret_until IS NULL)", name="old_secret"),
        CheckConstraint("(state = 'removed') = (secret_sealed IS NULL)", name="secret"),
        Index(None, "merchant_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Of which events it is told; empty for all, those of later versions included."""
    description: Mapped[str]
    state: Mapped[EndpointState] = mapped_column(words(EndpointState))
    secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    """Until then the secret of before signs beside the present one."""
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    changed_by: Mapped[UUID]
    changed_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    """The first failure since something was delivered last; null while all is well."""
    given_up: Mapped[int]
    """Deliveries that were given up since then. The third disables the endpoint."""
    disabled_at: Mapped[datetime | None]


class WebhookEvent(Base):
    """Something that at least one endpoint was to be told, in the words that go out. Without personal data."""

    __tablename__ = "webhook_event"
    __table_args__ = (Index(None, "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The `webhook-id` of every try at every endpoint: by it a receiver knows what it has taken already."""
    merchant_id: Mapped[UUID]
    event_type: Mapped[str]
    resource: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """An event on its way to an endpoint."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="next_attempt"),
        CheckConstraint("0 <= failures AND failures <= attempts", name="failures"),
        Index("ix_webhook_delivery_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index(None, "event_id"),
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_event.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState))
    attempts: Mapped[int]
    """Tries in all, replays included."""
    failures: Mapped[int]
    """Tries that failed since it was announced or replayed last: how far it is in the list of pauses."""
    next_attempt_at: Mapped[datetime | None]
    """Not before then; while it is being sent, when somebody else may take it up."""
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try. What the endpoint answered besides its status is not kept: it is none of ours."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (
        ForeignKeyConstraint(
            ["endpoint_id", "event_id"],
            ["webhook_delivery.endpoint_id", "webhook_delivery.event_id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("status IS NOT NULL OR failure IS NOT NULL", name="outcome"),
    )

    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    milliseconds: Mapped[int]
    status: Mapped[int | None]
    failure: Mapped[Failure | None] = mapped_column(words(Failure))


class Notice(Base):
    """That a merchant was told of something that comes by the calendar, so that it is told once.

    The subject says of what: `bill/2026-01-31`, or a key, its end and how many days before that.
    """

    __tablename__ = "webhook_notice"
    __table_args__ = (Index(None, "given_at"),)

    merchant_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    given_at: Mapped[datetime]
