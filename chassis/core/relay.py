"""The sending side of messages: one relay a service, woken by NOTIFY and by polling.

Only one process of a service relays at a time (a session advisory lock), so that messages of one aggregate go out in
order. No transaction is open while a batch is on the wire.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import structlog
from pydantic import TypeAdapter
from sqlalchemy import Row, func, select, text, update

from chassis.core import clock
from chassis.core.client import ServiceClient
from chassis.core.db import Database, driver_connection, driver_errors
from chassis.core.errors import DomainError
from chassis.core.messages import (
    CONTENT_TYPE,
    MAX_BATCH,
    MAX_BATCH_BYTES,
    Delivery,
    Result,
    channel,
)
from chassis.core.metrics import Metrics, Reading
from chassis.core.telemetry import within_trace

log = structlog.get_logger(__name__)

_FIRST_BACKOFF_SECONDS = 0.2
_LEADERSHIP_RETRY_SECONDS = 2.0
_PRUNE_AT_ONCE = 2000
_RESULTS = TypeAdapter(list[Result])


# What may be sent now: nothing of an aggregate of which a message waits for its next try or for an operator. The states
# stand in the text, so that two small partial indexes serve, however much was sent before; NOT IN makes a hash table of
# the few that wait, whatever the planner believes of their number.
_DUE = text(
    "SELECT sequence, due.attempts, id, type, message.aggregate, occurred_at, traceparent, CAST(data AS text) AS data"
    " FROM ("
    " SELECT message_sequence, attempts FROM delivery"
    " WHERE subscriber = :subscriber AND state = 'pending' AND aggregate NOT IN ("
    "  SELECT aggregate FROM delivery WHERE subscriber = :subscriber AND (state = 'parked'"
    "   OR (state = 'pending' AND attempts > 0 AND next_attempt_at > :now)))"
    " ORDER BY message_sequence LIMIT :limit) due"
    " JOIN message ON message.sequence = due.message_sequence ORDER BY message.sequence"
)
# Arrays go in binary: as text, the driver looks at every character of them.
_SENT = """
UPDATE delivery SET state = 'sent', sent_at = %(now)s, attempts = attempts + 1, error = NULL
WHERE message_sequence = ANY(%(accepted)b::bigint[]) AND subscriber = %(subscriber)s
"""


class Unsent(NamedTuple):
    """A message that is due at one subscriber, and its envelope as it goes out."""

    sequence: int
    attempts: int
    id: UUID
    traceparent: str | None
    envelope: bytes


class Relay:
    """Sends a service's messages to its subscribers until cancelled."""

    def __init__(
        self,
        db: Database,
        client: ServiceClient,
        metrics: Metrics,
        *,
        service: str,
        subscribers: Sequence[str],
        poll_seconds: float,
        backoff_max_seconds: float,
    ) -> None:
        self.db = db
        self.client = client
        self.metrics = metrics
        self.service = service
        self.subscribers = tuple(subscribers)
        self.poll_seconds = poll_seconds
        self.backoff_max_seconds = backoff_max_seconds
        self._wake = {name: asyncio.Event() for name in self.subscribers}

    async def run(self) -> None:
        """Relay while this process leads; wait for the lead otherwise; reconnect after any failure. Never returns."""
        while self.subscribers:
            try:
                await self._lead()
            except Exception as error:
                unforeseen = None if isinstance(error, psycopg.Error | OSError) else error
                log.warning(
                    "relay_disconnected", service=self.service, reason=type(error).__name__, exc_info=unforeseen
                )
            await asyncio.sleep(_LEADERSHIP_RETRY_SECONDS)

    async def _lead(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self.db.conninfo, autocommit=True)
        async with connection:
            key = f"{self.db.schema}.relay"
            row = await (
                await connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
            ).fetchone()
            if not row or not row[0]:
                return
            await connection.execute(f'LISTEN "{channel(self.db.schema)}"')
            tasks = [asyncio.create_task(self._serve(name)) for name in self.subscribers]
            try:
                await self._listen(connection)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async for _ in connection.notifies(timeout=self.poll_seconds, stop_after=1):
                pass
            if connection.closed:
                return
            for event in self._wake.values():
                event.set()
            # A statement, so that a connection lost in silence is noticed and the lead given up.
            await connection.execute("SELECT 1")

    async def _serve(self, subscriber: str) -> None:
        failures = 0
        while True:
            self._wake[subscriber].clear()
            try:
                sent = await self.send_batch(subscriber)
                failures = 0
            except Exception as error:
                failures += 1
                pause = backoff_seconds(failures, longest=self.backoff_max_seconds)
                reason = error.code if isinstance(error, DomainError) else type(error).__name__
                log.warning("relay_paused", subscriber=subscriber, reason=reason, pause_seconds=round(pause, 1))
                await asyncio.sleep(pause)
                continue
            if not sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake[subscriber].wait(), self.poll_seconds)

    async def send_batch(self, subscriber: str) -> int:
        """Send what is due, as much as a batch may hold, and note what became of each. Returns how many were sent.

        Raises DomainError when the subscriber does not answer or refuses the whole call; nothing is noted then.
        """
        due = await self._due(subscriber)
        if not due:
            return 0
        fitting = sum(size <= MAX_BATCH_BYTES for size in accumulate(len(item.envelope) + 1 for item in due))
        batch = due[: max(1, fitting)]
        body = b"[" + b",".join([item.envelope for item in batch]) + b"]"
        answer = await self.client.post(
            subscriber, "/internal/messages", body, timeout_seconds=30, content_type=CONTENT_TYPE
        )
        await self._note(subscriber, batch, _RESULTS.validate_python(answer["results"]))
        return len(batch)

    async def _due(self, subscriber: str) -> list[Unsent]:
        async with self.db.transaction() as session:
            values = {"subscriber": subscriber, "now": clock.now(), "limit": MAX_BATCH}
            rows = (await session.execute(_DUE, values)).all()
        return [Unsent(row.sequence, row.attempts, row.id, row.traceparent, self._envelope(row)) for row in rows]

    def _envelope(self, row: Row[Any]) -> bytes:
        """A message as an `Envelope` in JSON. Its data is JSON already."""
        attributes = {
            "specversion": "1.0",
            "id": str(row.id),
            "source": f"/{self.service}",
            "type": row.type,
            "subject": row.aggregate,
            "time": row.occurred_at.isoformat(),
            "datacontenttype": "application/json",
        }
        if row.traceparent is not None:
            attributes["traceparent"] = row.traceparent
        return f'{json.dumps(attributes)[:-1]}, "data": {row.data}}}'.encode()

    async def _note(self, subscriber: str, batch: Sequence[Unsent], results: Sequence[Result]) -> None:
        now = clock.now()
        by_id = {result.id: result for result in results}
        accepted: list[int] = []
        outcomes: Counter[str] = Counter()
        async with self.db.transaction() as session:
            for item in batch:
                result = by_id.get(item.id)
                outcome = result.outcome if result else "failed"
                outcomes[outcome] += 1
                if outcome == "accepted":
                    accepted.append(item.sequence)
                elif outcome != "deferred":
                    await session.execute(
                        update(Delivery)
                        .where(Delivery.message_sequence == item.sequence, Delivery.subscriber == subscriber)
                        .values(self._setback(item, result, now))
                    )
            if accepted:
                driver = await driver_connection(session)
                with driver_errors(driver):
                    await driver.execute(_SENT, {"accepted": accepted, "subscriber": subscriber, "now": now})
        for name, count in outcomes.items():
            self.metrics.messages_sent.labels(self.service, subscriber, name).inc(count)

    def _setback(self, item: Unsent, result: Result | None, now: datetime) -> dict[str, Any]:
        refused = result is not None and result.outcome == "refused"
        reason = result.reason if result else "the subscriber gave no result for it"
        pause = backoff_seconds(item.attempts + 1, longest=self.backoff_max_seconds)
        with within_trace(item.traceparent):
            log.warning("message_parked" if refused else "message_delayed", id=str(item.id), reason=reason)
        return {
            "state": "parked" if refused else "pending",
            "attempts": item.attempts + 1,
            "next_attempt_at": now + timedelta(seconds=pause),
            "error": (reason or "")[:500],
        }


def backoff_seconds(failures: int, *, longest: float) -> float:
    """How long to wait after so many failures in a row: twice as long each time, spread a little, up to `longest`."""
    pause = min(longest, _FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 20))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  # spreading, not secrecy


async def waiting(db: Database) -> dict[tuple[str, ...], int]:
    """How many deliveries are pending and parked."""
    async with db.transaction() as session:
        rows = await session.execute(
            select(Delivery.state, func.count().label("deliveries"))
            .where(Delivery.state.in_(["pending", "parked"]))
            .group_by(Delivery.state)
        )
        return {("pending",): 0, ("parked",): 0} | {(row.state,): row.deliveries for row in rows}


WAITING = Reading("beiyuan_messages_waiting", "Messages not yet delivered", waiting, ("state",))


async def prune(db: Database, *, keep: timedelta) -> int:
    """Delete messages that every subscriber has had for longer than `keep`, some at a time. Returns how many."""
    statement = text(
        "DELETE FROM message WHERE sequence IN ("
        " SELECT sequence FROM message WHERE occurred_at < :before AND NOT EXISTS ("
        "  SELECT 1 FROM delivery WHERE message_sequence = sequence"
        "  AND (state NOT IN ('sent', 'skipped') OR sent_at >= :before))"
        " ORDER BY sequence LIMIT :most)"
    )
    values = {"before": clock.now() - keep, "most": _PRUNE_AT_ONCE}
    pruned = 0
    while True:
        async with db.transaction() as session:
            result = await session.execute(statement, values)
        pruned += (count := int(result.rowcount))  # type: ignore[attr-defined]  # a DELETE's result has it
        if count < _PRUNE_AT_ONCE:
            return pruned
