"""Requests that carry an `Idempotency-Key`: the first answer is kept with the change itself, repeats get it again."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, String, delete, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core import clock
from chassis.core.crypto import Vault
from chassis.core.db import ChassisBase, Database, Instant, driver_connection, driver_errors, sqlstate
from chassis.core.errors import IdempotencyKeyReused, RequestInProgress
from chassis.core.ids import new_id

WAIT_SECONDS = 5


class RequestRow(ChassisBase):
    """A request under an idempotency key, and its answer once there is one."""

    __tablename__ = "request"

    caller: Mapped[str] = mapped_column(String(64), primary_key=True)
    operation: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    id: Mapped[UUID]
    body_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[Instant]
    status: Mapped[int | None]
    content_type: Mapped[str | None] = mapped_column(String(100))
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[bytes | None] = mapped_column(LargeBinary)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a request the same one: who, doing what, under which key; and the hash of its body."""

    caller: str
    operation: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it is kept; body and headers are sealed."""

    status: int
    content_type: str
    body: bytes
    headers: bytes | None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it is given, now and when its request is repeated."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def opened(cls, vault: Vault, request: RequestKey, answer: Answer) -> "Reply":
        """The reply that was kept as `answer` of this request."""
        headers: list[list[str]] = []
        if answer.headers:
            headers = json.loads(vault.open(answer.headers, _context(request, "headers")))
        body = vault.open(answer.body, _context(request, "answer")).encode()
        return cls(answer.status, answer.content_type, body, tuple((name, value) for name, value in headers))

    def sealed(self, vault: Vault, request: RequestKey) -> Answer:
        """As it is kept for this request."""
        body = vault.seal(self.body.decode(), _context(request, "answer"))
        headers = None
        if self.headers:  # a link may be private
            headers = vault.seal(json.dumps(self.headers), _context(request, "headers"))
        return Answer(self.status, self.content_type, body, headers)


def _context(request: RequestKey, column: str) -> str:
    return f"request.{column}:{request.caller}:{request.operation}:{request.key}"


async def begin(session: AsyncSession, request: RequestKey) -> Answer | None:
    """Claim the key in this transaction. Returns the kept answer where the request was answered before.

    Waits up to five seconds for the first request if it is still in flight. Raises RequestInProgress after that, and
    IdempotencyKeyReused where the key came with another body.
    """
    await session.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
    try:
        claimed = await session.scalar(
            pg_insert(RequestRow)
            .values(
                caller=request.caller,
                operation=request.operation,
                key=request.key,
                id=new_id(),
                body_hash=request.body_hash,
                created_at=clock.now(),
            )
            .on_conflict_do_nothing()
            .returning(RequestRow.id)
        )
    except DBAPIError as error:
        if sqlstate(error) == "55P03":
            raise RequestInProgress from error
        raise
    await session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    if claimed is not None:
        return None
    row = await session.get(RequestRow, (request.caller, request.operation, request.key), populate_existing=True)
    if row is None or row.status is None:
        raise RequestInProgress
    if row.body_hash != request.body_hash:
        raise IdempotencyKeyReused
    return Answer(row.status, row.content_type or "application/json", row.answer or b"", row.headers)


async def remember(session: AsyncSession, request: RequestKey, answer: Answer) -> None:
    """Keep the answer in the transaction that claimed the key."""
    await session.execute(
        update(RequestRow)
        .where(*_row(request))
        .values(status=answer.status, content_type=answer.content_type, answer=answer.body, headers=answer.headers)
    )


class AnsweredMeanwhile(Exception):
    """Another transaction has answered one of the requests: undo this one, and look them up again."""


# Arrays go in binary: as text, the driver looks at every character of them.
_ANSWERED = """
SELECT caller, operation, key, body_hash, status, content_type, answer, headers FROM request
JOIN unnest(%(callers)b::text[], %(operations)b::text[], %(keys)b::text[]) AS asked (caller, operation, key)
USING (caller, operation, key)
"""
_KEEP = """
INSERT INTO request (caller, operation, key, id, body_hash, created_at, status, content_type, answer, headers)
SELECT caller, operation, key, id, body_hash, %(now)s, status, content_type, answer, headers
FROM unnest(%(callers)b::text[], %(operations)b::text[], %(keys)b::text[], %(ids)b::uuid[], %(hashes)b::bytea[],
    %(statuses)b::integer[], %(types)b::text[], %(answers)b::bytea[], %(headers)b::bytea[])
    AS fresh (caller, operation, key, id, body_hash, status, content_type, answer, headers)
ORDER BY caller, operation, key ON CONFLICT DO NOTHING
"""


async def answered(
    session: AsyncSession, requests: Collection[RequestKey]
) -> dict[RequestKey, Answer | IdempotencyKeyReused]:
    """Of many requests those whose key was answered before: their answers, or that it was for another body.

    Nothing is claimed. For requests that are carried out under one lock: looked up under it, in a statement after the
    one that takes it, they are seen as answered or are in flight nowhere. Their answers go to `keep`.
    """
    if not requests:
        return {}
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = await driver.cursor(binary=True).execute(
            _ANSWERED,
            {
                "callers": [request.caller for request in requests],
                "operations": [request.operation for request in requests],
                "keys": [request.key for request in requests],
            },
        )
        found = {row[:3]: row[3:] for row in await cursor.fetchall()}
    kept: dict[RequestKey, Answer | IdempotencyKeyReused] = {}
    for request in requests:
        row = found.get((request.caller, request.operation, request.key))
        if row is None:
            continue
        body_hash, status, content_type, answer, headers = row
        if body_hash != request.body_hash:
            kept[request] = IdempotencyKeyReused()
        else:
            kept[request] = Answer(status, content_type or "application/json", answer or b"", headers)
    return kept


async def keep(session: AsyncSession, answers: Sequence[tuple[RequestKey, Answer]]) -> None:
    """Keep the answers to many requests, each under a key of its own, in the transaction that carried them out.

    Raises AnsweredMeanwhile where one was answered by somebody who does not share the lock (see `answered`).
    """
    if not answers:
        return
    requests = [request for request, _ in answers]
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = await driver.execute(
            _KEEP,
            {
                "callers": [request.caller for request in requests],
                "operations": [request.operation for request in requests],
                "keys": [request.key for request in requests],
                "ids": [new_id() for _ in requests],
                "hashes": [request.body_hash for request in requests],
                "statuses": [answer.status for _, answer in answers],
                "types": [answer.content_type for _, answer in answers],
                "answers": [answer.body for _, answer in answers],
                "headers": [answer.headers for _, answer in answers],
                "now": clock.now(),
            },
        )
    if cursor.rowcount < len(answers):
        raise AnsweredMeanwhile


async def forget(session: AsyncSession, request: RequestKey) -> None:
    """Give the claimed key up in this transaction, which goes on to commit: the same request may be made again."""
    await session.execute(delete(RequestRow).where(*_row(request)))


def _row(request: RequestKey) -> tuple[ColumnElement[bool], ...]:
    return (
        RequestRow.caller == request.caller,
        RequestRow.operation == request.operation,
        RequestRow.key == request.key,
    )


async def forget_answers(session: AsyncSession, callers: Collection[UUID]) -> None:
    """Forget what these people were answered, as far as they were: answers may tell what is erased now."""
    names = [str(caller) for caller in callers]
    await session.execute(delete(RequestRow).where(RequestRow.caller.in_(names), RequestRow.status.is_not(None)))


async def prune(db: Database, *, keep: timedelta) -> None:
    """Forget requests older than `keep`."""
    async with db.transaction() as session:
        await session.execute(delete(RequestRow).where(RequestRow.created_at < clock.now() - keep))
