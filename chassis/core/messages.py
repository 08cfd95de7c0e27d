"""Messages between services: facts in the past tense, sent at least once, taking effect exactly once.

The publisher writes a message and one delivery for each subscriber in the transaction of the change itself
(`publish`). The relay (`chassis.core.relay`) sends what is unsent; the receiver (`receive`) writes the message's id and
its effect in one transaction and drops repeats. The wire format is CloudEvents 1.0, JSON batches.
"""

import itertools
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypeVar
from uuid import UUID

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core import clock
from chassis.core.clocks import is_ahead
from chassis.core.db import (
    ChassisBase,
    Database,
    Instant,
    driver_connection,
    driver_errors,
    is_away,
    is_contention,
    notify_at_commit,
)
from chassis.core.errors import DomainError, Unavailable
from chassis.core.ids import made_before, new_id
from chassis.core.schema import Out
from chassis.core.telemetry import traceparent, within_trace

log = structlog.get_logger(__name__)

Outcome = Literal["accepted", "refused", "failed", "deferred"]
MAX_BATCH = 500
MAX_BATCH_BYTES = 512 * 1024
_FIRST_PART = 10
_PART_SECONDS = 0.1  # how long the messages that one transaction receives should take at most
MAX_DATA_BYTES = 64 * 1024
REMEMBERED = timedelta(days=60)
"""How old a message may be when it comes: for so long its receiver knows whether it came before."""
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


class Received(ChassisBase):
    """The ids of messages that have taken effect here."""

    __tablename__ = "received"

    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[Instant]


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


# The receiving side ---------------------------------------------------------------------------------------------------


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


Fact = TypeVar("Fact", bound=BaseModel)
Handler = Callable[[AsyncSession, Fact, Envelope], Awaitable[None]]
SetHandler = Callable[[AsyncSession, Sequence[tuple[Fact, Envelope]]], Awaitable[None]]


@dataclass(frozen=True)
class Subscription:
    """How a service takes one type of message: its own view of the data, and what to do with it.

    `handler` is a Handler, or a SetHandler where it takes `many` at once.
    """

    view: type[BaseModel]
    handler: Handler[Any] | SetHandler[Any]
    many: bool = False


class Subscriptions:
    """The message types that a service takes."""

    def __init__(self) -> None:
        self.by_type: dict[str, Subscription] = {}

    def on(self, message_type: str, view: type[Fact]) -> Callable[[Handler[Fact]], Handler[Fact]]:
        """Register `async handler(session, fact, envelope)`. It raises DomainError to refuse the message for ever."""
        if message_type in self.by_type:
            raise ValueError(f"{message_type} has a handler already")

        def register(handler: Handler[Fact]) -> Handler[Fact]:
            self.by_type[message_type] = Subscription(view, handler)
            return handler

        return register

    def on_many(self, views: Mapping[str, type[Fact]]) -> Callable[[SetHandler[Fact]], SetHandler[Fact]]:
        """Register `async handler(session, told)` for messages of these types, by type the view of their data.

        `told` are (fact, envelope), as many as are taken in one transaction, in the order in which they take effect;
        those between which one of another handler comes are told apart. It raises DomainError to refuse: then they come
        one by one, each in a transaction of its own, and the refusal is that of the one it was alone with.
        """
        if known := sorted(views.keys() & self.by_type.keys()):
            raise ValueError(f"{known[0]} has a handler already")

        def register(handler: SetHandler[Fact]) -> SetHandler[Fact]:
            for message_type, view in views.items():
                self.by_type[message_type] = Subscription(view, handler, many=True)
            return handler

        return register


@dataclass
class Pace:
    """How many messages are taken in one transaction: as many as can be done in a moment, as the last ones show.

    What a transaction takes however short it is (`least`) does not count: on a machine that is overloaded it is more
    than the moment, and to take fewer would only make it worse.
    """

    size: int = _FIRST_PART
    least: float = math.inf

    def learn(self, taken: int, seconds: float) -> None:
        """So many took so long. A short part says nothing of how many more could have been done."""
        self.least = seconds if taken == 1 else min(self.least, seconds)
        if taken >= self.size or seconds - self.least > _PART_SECONDS:
            fitting = int(taken * _PART_SECONDS / max(seconds - self.least, 0.001))
            self.size = max(1, min(fitting, 4 * self.size))

    def falter(self) -> None:
        """A part came to nothing, perhaps because the sender would not wait for so many: fewer the next time."""
        self.size = max(1, self.size // 4)


class _Refused(Exception):
    pass


async def receive(
    db: Database, subscriptions: Mapping[str, Subscription], issuer: str, batch: Sequence[Envelope], pace: Pace
) -> list[Result]:
    """Take a batch from the service `issuer` in parts: each in one transaction if all goes well, else one by one.

    Parts are as long as can be done in a moment: nobody waits for the locks of a whole batch, and what was taken stays
    taken where the sender waits no longer. `pace` is kept from batch to batch.
    Returns a result for each, in the order given. One message's failure holds back only its own aggregate. Raises the
    driver's error where the database is away: the whole batch will come again.
    """
    results: list[Result] = []
    held: set[str] = set()
    while part := batch[len(results) : len(results) + pace.size]:
        started = time.monotonic()
        try:
            results += await _receive_part(db, subscriptions, issuer, part, held)
        except BaseException:  # cancelled, too
            pace.falter()
            raise
        pace.learn(len(part), time.monotonic() - started)
    return results


async def _receive_part(
    db: Database,
    subscriptions: Mapping[str, Subscription],
    issuer: str,
    part: Sequence[Envelope],
    held: set[str],
) -> list[Result]:
    """`held` are the aggregates of which an earlier message was not accepted. They are added to."""
    if held.isdisjoint(envelope.subject for envelope in part):
        try:
            async with db.transaction() as session:
                await _apply(session, subscriptions, issuer, part)
            return [Result(id=envelope.id, outcome="accepted") for envelope in part]
        except Exception as error:
            if len(part) > 1 or not isinstance(error, _Refused | DomainError):
                log.info("messages_taken_singly", issuer=issuer, size=len(part), reason=type(error).__name__)
    results: list[Result] = []
    for envelope in part:
        if envelope.subject in held:
            results.append(Result(id=envelope.id, outcome="deferred"))
            continue
        result = await _receive_one(db, subscriptions, issuer, envelope)
        if result.outcome != "accepted":
            held.add(envelope.subject)
        results.append(result)
    return results


async def _receive_one(
    db: Database, subscriptions: Mapping[str, Subscription], issuer: str, envelope: Envelope
) -> Result:
    try:
        await db.retrying(lambda session: _apply(session, subscriptions, issuer, [envelope]))
    except (_Refused, DomainError) as error:
        if isinstance(error, DomainError) and error.status >= 500:
            return Result(id=envelope.id, outcome="failed", reason=error.code)
        reason = f"{error.code}: {error}" if isinstance(error, DomainError) else str(error)
        return Result(id=envelope.id, outcome="refused", reason=reason[:500])
    except Exception as error:
        if is_away(error):
            raise
        trace = None if is_contention(error) else error
        with within_trace(envelope.traceparent):
            log.warning("message_failed", type=envelope.type, id=str(envelope.id), exc_info=trace)
        return Result(id=envelope.id, outcome="failed", reason=type(error).__name__)
    return Result(id=envelope.id, outcome="accepted")


_RECEIVE = """
INSERT INTO received (source, id, received_at) SELECT %(source)s, id, %(now)s FROM unnest(%(ids)b::uuid[]) AS id
ON CONFLICT DO NOTHING RETURNING id
"""


async def _apply(
    session: AsyncSession, subscriptions: Mapping[str, Subscription], issuer: str, batch: Sequence[Envelope]
) -> None:
    """The effects of messages and the note that they came, in the present transaction; nothing of what came before."""
    opened = [_open(subscriptions, issuer, envelope) for envelope in batch]
    ids = sorted({envelope.id for envelope in batch})
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = driver.cursor(binary=True)
        await cursor.execute(_RECEIVE, {"source": issuer, "ids": ids, "now": clock.now()})
        new = {message_id for [message_id] in await cursor.fetchall()}
    if new and min(new) < made_before(REMEMBERED):
        if await is_ahead(session):  # it may be young: let it come again
            raise Unavailable
        raise _Refused(f"published more than {REMEMBERED.days} days ago: whether it was taken then is forgotten")
    told = []
    for envelope, (subscription, fact) in zip(batch, opened, strict=True):
        if envelope.id in new:
            new.remove(envelope.id)
            told.append((subscription, fact, envelope))
    for handler, some in itertools.groupby(told, key=lambda item: item[0].handler):
        await _take(session, handler, list(some))


async def _take(session: AsyncSession, handler: Any, told: list[tuple[Subscription, BaseModel, Envelope]]) -> None:
    """Let one handler take what comes for it in a row."""
    if told[0][0].many:
        with within_trace(told[0][2].traceparent if len(told) == 1 else None):
            await handler(session, [(fact, envelope) for _, fact, envelope in told])
            await session.flush()
        return
    for _, fact, envelope in told:
        with within_trace(envelope.traceparent):
            await handler(session, fact, envelope)
            await session.flush()


_FORGET = text(
    "DELETE FROM received WHERE source = :source AND id IN ("
    "SELECT id FROM received WHERE source = :source AND id < :before ORDER BY id LIMIT :most)"
)
_FORGET_AT_ONCE = 5000


async def forget_received(db: Database, subscriptions: Mapping[str, Subscription]) -> None:
    """Forget the messages that are so old that they would be refused if they came again.

    Judged by their ids, which say when they were published, here as there: so none can be forgotten and still be taken.
    The day between is for clocks that differ.
    """
    before = made_before(REMEMBERED + timedelta(days=1))
    for source in sorted({message_type.partition(".")[0] for message_type in subscriptions}):
        values = {"source": source, "before": before, "most": _FORGET_AT_ONCE}
        while True:
            async with db.transaction() as session:
                result = await session.execute(_FORGET, values)
            if result.rowcount < _FORGET_AT_ONCE:  # type: ignore[attr-defined]  # a DELETE's result has it
                break


def _open(subscriptions: Mapping[str, Subscription], issuer: str, envelope: Envelope) -> tuple[Subscription, BaseModel]:
    """Who takes the message, and their view of its data. Raises _Refused."""
    if envelope.source != f"/{issuer}" or not envelope.type.startswith(f"{issuer}."):
        raise _Refused(f"{envelope.type} from {envelope.source} is not {issuer}'s to send")
    subscription = subscriptions.get(envelope.type)
    if subscription is None:
        raise _Refused(f"messages of type {envelope.type} are not taken here")
    try:
        return subscription, subscription.view.model_validate(envelope.data)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise _Refused(f"the data does not fit: {places}") from error
