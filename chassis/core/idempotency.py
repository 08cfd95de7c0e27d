"""Requests that carry an `Idempotency-Key`: the first answer is kept with the change itself, repeats get it again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, String, delete, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core import clock
from chassis.core.db import ChassisBase, Database, Instant, sqlstate
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
