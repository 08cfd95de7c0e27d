"""The receiving side of messages: each takes effect once, in the transaction that notes that it came.

A service says what it takes by its Subscriptions; `receive` takes a batch as the relay of another service sends it.
"""

import itertools
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import String, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core import clock
from chassis.core.clocks import is_ahead
from chassis.core.db import ChassisBase, Database, Instant, driver_connection, driver_errors, is_away, is_contention
from chassis.core.errors import DomainError, Unavailable
from chassis.core.ids import made_before
from chassis.core.messages import Envelope, Result
from chassis.core.telemetry import within_trace

log = structlog.get_logger(__name__)

_FIRST_PART = 10
_PART_SECONDS = 0.1  # how long the messages that one transaction receives should take at most
REMEMBERED = timedelta(days=60)
"""How old a message may be when it comes: for so long its receiver knows whether it came before."""


class Received(ChassisBase):
    """The ids of messages that have taken effect here."""

    __tablename__ = "received"

    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[Instant]


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
