"""Messages between services: facts in the past tense, sent at least once, taking effect exactly once.

The publisher writes a message and one delivery for each subscriber in the transaction of the change itself
(`publish`). The relay (`chassis.core.relay`) sends what is unsent; the receiver (`chassis.core.inbox`) writes the
message's id and its effect in one transaction and drops repeats. The wire format is CloudEvents 1.0, JSON batches.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core import clock
from chassis.core.db import ChassisBase, Instant, driver_connection, driver_errors, notify_at_commit
from chassis.core.ids import new_id
from chassis.core.schema import Out
from chassis.core.telemetry import traceparent

Outcome = Literal["accepted", "refused", "failed", "deferred"]
MAX_BATCH = 500
MAX_BATCH_BYTES = 512 * 1024
MAX_DATA_BYTES = 64 * 1024
CONTENT_TYPE = "application/cloudevents-batch+json"


class MessageRow(ChassisBase):
    """A published fact. `sequence` orders the messages of one aggregate as they were committed."""

    __tablename__ = "message"

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    type: Mapped[str] = mapped_column(String(100))
    aggregate: Mapped[str] = mapped_column(String(100))
    occurred_at: Mapped[Instant]
    traceparent: Mapped[str | None] = mapped_column(String(55))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Delivery(ChassisBase):
    """What became of one message at one subscriber."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_unsent", "subscriber", "message_sequence", postgresql_where=text("state = 'pending'")),
        Index(
            "ix_delivery_blocking",
            "subscriber",
            "aggregate",
            postgresql_where=text("state = 'parked' OR (state = 'pending' AND attempts > 0)"),
        ),
    )

    message_sequence: Mapped[int] = mapped_column(ForeignKey(MessageRow.sequence, ondelete="CASCADE"), primary_key=True)
    subscriber: Mapped[str] = mapped_column(String(40), primary_key=True)
    aggregate: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int]
    next_attempt_at: Mapped[Instant]
    sent_at: Mapped[Instant | None]
    error: Mapped[str | None] = mapped_column(String(500))


class Message(Out):
    """A fact that a domain publishes. Derive one class per type and say its `type`, who it goes `to`, its `aggregate`.

    `type` is `<service>.<what_happened>.v<n>`. Messages of one aggregate arrive in the order of their commits, as long
    as whoever publishes holds the lock on that aggregate. Where `to` is empty nobody is told as yet: the message is
    kept for thirty days like any other, and whoever is added to `to` gets those that are published from then on.
    """

    type: ClassVar[str]
    to: ClassVar[tuple[str, ...]]

    occurred_at: AwareDatetime

    @property
    def aggregate(self) -> str:
        """What the fact is about, e.g. `order/<id>`."""
        raise NotImplementedError


# Sorted, so that the sequences go up in the order given. Arrays go in binary: as text, the driver looks at every
# character of them.
_PUBLISH = """
WITH published AS (
    INSERT INTO message (id, type, aggregate, occurred_at, traceparent, data)
    SELECT id, type, aggregate, occurred_at, %(traceparent)s, data::jsonb
    FROM unnest(%(ids)b::uuid[], %(types)b::text[], %(aggregates)b::text[], %(times)b::timestamptz[], %(data)b::text[])
        WITH ORDINALITY AS fact (id, type, aggregate, occurred_at, data, position)
    ORDER BY position RETURNING sequence, id, aggregate
)
INSERT INTO delivery (message_sequence, subscriber, aggregate, state, attempts, next_attempt_at)
SELECT sequence, subscriber, aggregate, 'pending', 0, %(now)s FROM published
JOIN unnest(%(addressed)b::uuid[], %(subscribers)b::text[]) AS address (id, subscriber) USING (id)
"""
_MOST_A_STATEMENT = 500


async def publish(session: AsyncSession, message: Message) -> UUID:
    """Write the message and its deliveries in the caller's transaction; the relay is woken when that commits.

    Raises ValueError where the data are larger than MAX_DATA_BYTES: a fact refers to large things by their ids.
    """
    [message_id] = await publish_all(session, [message])
    return message_id


async def publish_all(session: AsyncSession, facts: Sequence[Message]) -> list[UUID]:
    """As `publish`, for many at once: they arrive in the order given. Returns their ids in that order.

    Raises ValueError for one that is too large; nothing is written then.
    """
    written = [(new_id(), fact, _data(fact)) for fact in facts]
    if not written:
        return []
    driver = await driver_connection(session)
    for start in range(0, len(written), _MOST_A_STATEMENT):
        part = written[start : start + _MOST_A_STATEMENT]
        addresses = [(message_id, subscriber) for message_id, fact, _ in part for subscriber in fact.to]
        values = {
            "ids": [message_id for message_id, _, _ in part],
            "types": [fact.type for _, fact, _ in part],
            "aggregates": [fact.aggregate for _, fact, _ in part],
            "times": [fact.occurred_at for _, fact, _ in part],
            "data": [data for _, _, data in part],
            "traceparent": traceparent.get(),
            "now": clock.now(),
            "addressed": [message_id for message_id, _ in addresses],
            "subscribers": [subscriber for _, subscriber in addresses],
        }
        with driver_errors(driver):
            await driver.execute(_PUBLISH, values)
    notify_at_commit(session, channel(session.info["schema"]))
    return [message_id for message_id, _, _ in written]


def _data(fact: Message) -> str:
    data = fact.model_dump_json()
    if (size := len(data.encode())) > MAX_DATA_BYTES:
        raise ValueError(f"a message of {size} bytes ({fact.type})")
    return data


def channel(schema: str) -> str:
    """The NOTIFY channel that wakes the relay of a schema (channels are not schema objects, so the name tells)."""
    return f"{schema}_messages"


class Envelope(BaseModel):
    """A CloudEvents 1.0 envelope. `source` is the sending service, `subject` the aggregate."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str = Field(pattern=r"^/[a-z]{1,39}$")
    type: str = Field(max_length=100)
    subject: str = Field(max_length=100)
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
    data: dict[str, Any]


class Result(BaseModel):
    """What became of one message of a batch.

    accepted: it has taken effect, now or before. refused: it never will; do not send what follows it. failed: try
    again later. deferred: not looked at, since an earlier one of its aggregate was refused or failed.
    """

    id: UUID
    outcome: Outcome
    reason: str | None = None
