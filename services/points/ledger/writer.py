"""Gathers what arrives together and carries it out in one transaction: whoever comes while one batch is written and
committed is in the next.

One writer a process; several processes take turns by the ledgers' locks. Whoever waits here holds no connection.
"""

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import idempotency
from chassis.core.crypto import Vault
from chassis.core.db import Database, OutcomeUnknown, is_contention, is_lost, is_retryable, unavailable
from chassis.core.errors import DomainError, Unavailable
from chassis.core.idempotency import AnsweredMeanwhile, Reply, RequestKey
from chassis.core.telemetry import Metrics, request_id, traceparent
from services.points.ledger.actions import Deed, carry_out, carry_out_all
from services.points.ledger.errors import NotCarriedOut
from services.points.ledger.queries import lock_ledgers

log = structlog.get_logger(__name__)

Request = TypeVar("Request")
Answer = TypeVar("Answer")
DeedOf = Callable[[], Deed[Request, Answer]]
"""Makes the deed of a batch. What comes with equal ones in one batch is carried out by one deed."""

_CLOSING_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Item:
    """What one caller has asked for. It is carried out in one transaction, never in two."""

    deed: DeedOf[Any, Any]
    requests: Sequence[Any]
    size: int
    single: bool
    key: RequestKey | None
    render: Callable[[Any], Reply] | None
    outcome: "asyncio.Future[_Outcome]"
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    arrived: float = field(default_factory=time.perf_counter)
    begun: bool = False

    @property
    def name(self) -> object:
        """What two in one batch must not have in common."""
        return (self.key.caller, self.key.operation, self.key.key) if self.key else self


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an item: an answer or a refusal for each request (none where it was answered before)."""

    answers: Sequence[Any]
    reply: Reply | None = None
    repeated: bool = False


class Writer:
    """Carries out deeds in batches of `most_a_batch` requests at most, one batch at a time.

    `most_waiting` requests may wait for `wait_seconds`; who comes when they are more, or waits for longer, is told to
    come again. A batch that was begun is given `work_seconds`; after that nobody is told that nothing was changed.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        metrics: Metrics,
        *,
        most_a_batch: int = 500,
        most_waiting: int = 10_000,
        wait_seconds: float = 20.0,
        work_seconds: float = 40.0,
    ) -> None:
        self._db = db
        self._vault = vault
        self._batch_requests = metrics.batch_requests.labels(metrics.service)
        self._batch_wait_seconds = metrics.batch_wait_seconds.labels(metrics.service)
        self._most_a_batch = most_a_batch
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._work_seconds = work_seconds
        self._queue: deque[_Item] = deque()
        self._waiting = 0
        self._worker: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests wait for their batch to begin."""
        return self._waiting

    async def submit(self, deed: DeedOf[Request, Answer], request: Request, *, size: int = 1) -> Answer:
        """Carry out one request; its answer once it is committed. `size` says how many commands it is worth.

        Raises the refusal; Unavailable where the queue is too long or too slow, or the database busy or away (nothing
        was changed then); OutcomeUnknown.
        """
        [answer] = (await self._wait(self._item(deed, [request], single=True, size=size))).answers
        if isinstance(answer, DomainError):
            raise answer
        result: Answer = answer
        return result

    async def submit_all(
        self, deed: DeedOf[Request, Answer], requests: Sequence[Request]
    ) -> list[Answer | DomainError]:
        """Carry out many in one transaction: for each its answer or its refusal. Raises as `submit` does."""
        return list((await self._wait(self._item(deed, requests))).answers)

    async def reply(
        self,
        deed: DeedOf[Request, Answer],
        request: Request,
        render: Callable[[Answer | DomainError], Reply],
        *,
        key: RequestKey | None,
        size: int = 1,
    ) -> tuple[Reply, bool]:
        """As `submit`, for a request by HTTP: what is answered is kept under its key in the same transaction.

        `render` makes the answer to send, and that of a refusal to be remembered, without I/O. Returns it, and whether
        it was given before. Raises a refusal that is given for the first time; IdempotencyKeyReused.
        """
        item = self._item(deed, [request], single=True, size=size, key=key, render=render)
        outcome = await self._wait(item)
        if not outcome.repeated and isinstance(outcome.answers[0], DomainError):
            raise outcome.answers[0]
        assert outcome.reply is not None
        return outcome.reply, outcome.repeated

    async def reply_all(
        self,
        deed: DeedOf[Request, Answer],
        requests: Sequence[Request],
        render: Callable[[list[Answer | DomainError]], Reply],
        *,
        key: RequestKey | None,
    ) -> tuple[Reply, bool]:
        """As `submit_all`, in the same way: one answer for all of them under one key."""
        outcome = await self._wait(self._item(deed, requests, key=key, render=render))
        assert outcome.reply is not None
        return outcome.reply, outcome.repeated

    async def close(self) -> None:
        """Take nothing more, and carry out what was taken."""
        self._closed = True
        if self._patience is not None:
            self._patience.cancel()
        if self._worker is not None:
            _, late = await asyncio.wait([self._worker], timeout=_CLOSING_SECONDS)
            for worker in late:
                worker.cancel()
        for item in self._queue:
            _refuse(item, Unavailable())

    # The queue --------------------------------------------------------------------------------------------------------

    def _item(
        self,
        deed: DeedOf[Any, Any],
        requests: Sequence[Any],
        *,
        single: bool = False,
        size: int | None = None,
        key: RequestKey | None = None,
        render: Callable[[Any], Reply] | None = None,
    ) -> _Item:
        outcome = asyncio.get_running_loop().create_future()
        return _Item(deed, requests, len(requests) if size is None else size, single, key, render, outcome)

    async def _wait(self, item: _Item) -> _Outcome:
        """Queue up and wait. Who goes away before the batch has begun takes the request along, later not any more."""
        if self._closed or (self._queue and self._waiting + item.size > self._most_waiting):
            raise Unavailable("Too many want this at once; nothing was changed. Please try again.")
        self._queue.append(item)
        self._waiting += item.size
        loop = asyncio.get_running_loop()
        if self._patience is None:
            self._patience = loop.call_later(self._wait_seconds, self._lose_patience)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        try:
            return await item.outcome
        finally:
            if not item.begun:
                self._leave(item)

    def _lose_patience(self) -> None:
        """Send away who has waited for too long. Those behind came later, so one timer serves all."""
        self._patience = None
        now = time.perf_counter()
        for item in self._queue:
            left = item.arrived + self._wait_seconds - now
            if left > 0:
                self._patience = asyncio.get_running_loop().call_later(left, self._lose_patience)
                return
            self._leave(item)
            _refuse(item, Unavailable("Many want this at once; nothing was changed. Please try again."))

    def _leave(self, item: _Item) -> None:
        self._waiting -= item.size
        item.size = 0

    def _next_batch(self) -> list[_Item]:
        """The first in the queue, as many as make a batch. Of several with one key, the first: the others see its
        answer in the next one.
        """
        batch: dict[object, _Item] = {}
        later: list[_Item] = []
        size = 0
        while self._queue and (not batch or size + self._queue[0].size <= self._most_a_batch):
            item = self._queue.popleft()
            if item.outcome.done():  # whoever waited has gone
                continue
            if item.name in batch:
                later.append(item)
                continue
            batch[item.name] = item
            size += item.size
        self._queue.extendleft(reversed(later))
        self._waiting -= size
        for item in batch.values():
            item.begun = True
            self._batch_wait_seconds.observe(time.perf_counter() - item.arrived)
        self._batch_requests.observe(size)
        return list(batch.values())

    # Carrying out -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Carry out batches until nobody waits."""
        request_id.set(None)  # what is done here belongs to no single request
        traceparent.set(None)
        try:
            while self._queue:
                await asyncio.sleep(0)  # whoever is about to queue up in this very moment may come along
                if batch := self._next_batch():
                    late = asyncio.get_running_loop().call_later(self._work_seconds, _leave_unknown, batch)
                    await self._settle(batch)
                    late.cancel()
        finally:
            self._worker = None

    async def _settle(self, batch: list[_Item]) -> None:
        """Carry out a batch and answer everybody in it. Where it fails for the fault of one, that one is found by
        halves, and only it fails.
        """
        error = await self._try(batch)
        if error is None:
            return
        if _is_nobodys_fault(error):
            log.warning("database_busy", size=len(batch), reason=type(getattr(error, "orig", error)).__name__)
        elif len(batch) > 1:
            log.warning("batch_taken_apart", size=len(batch), reason=type(error).__name__)
            middle = len(batch) // 2
            await self._settle(batch[:middle])
            await self._settle(batch[middle:])
            return
        elif len(batch[0].requests) > 1:
            error = await self._try(batch, apart=True)
        if error is not None:
            for item in batch:
                _refuse(item, _told(error))

    async def _try(self, batch: list[_Item], *, apart: bool = False) -> Exception | None:
        """Carry out a batch in a transaction, again where that may help. Returns why it failed.

        With `apart`, the one item's requests are kept from one another by savepoints.
        """
        for last in (False, False, True):
            try:
                outcomes = await self._carry_out(batch, apart=apart)
            except Exception as error:
                if last or not _may_be_tried_again(error):
                    return error
                continue
            for item, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, DomainError):
                    _refuse(item, outcome)
                elif not item.outcome.done():
                    item.outcome.set_result(outcome)
            return None
        raise AssertionError("unreachable")

    async def _carry_out(self, batch: list[_Item], *, apart: bool) -> list[_Outcome | DomainError]:
        """One transaction: what was answered before is looked up under the ledgers' locks, the rest is carried out."""
        deeds = {item.deed: item.deed() for item in batch}
        keys = [item.key for item in batch if item.key]
        outcomes: dict[_Item, _Outcome | DomainError] = {}
        async with self._db.sessions() as session:
            if keys:  # in a statement after the lock, so that it sees what the last batch has answered
                await lock_ledgers(session, {name for deed in deeds.values() for name in deed.ledgers})
                outcomes = self._repeated(batch, await idempotency.answered(session, keys))
            fresh = [item for item in batch if item not in outcomes]
            if apart:
                answers = [await _carry_out_apart(session, item.deed, item.requests) for item in fresh]
            else:
                answers = await _carry_out_together(session, deeds, fresh)
            outcomes |= {item: _rendered(item, own) for item, own in zip(fresh, answers, strict=True)}
            await idempotency.keep(session, self._kept(outcomes))
            await self._db.commit(session)
        return [outcomes[item] for item in batch]

    def _repeated(self, batch: list[_Item], answered: dict[RequestKey, Any]) -> dict[_Item, _Outcome | DomainError]:
        outcomes: dict[_Item, _Outcome | DomainError] = {}
        for item in batch:
            answer = answered.get(item.key) if item.key else None
            if isinstance(answer, DomainError):
                outcomes[item] = answer
            elif answer is not None and item.key:
                outcomes[item] = _Outcome([], Reply.opened(self._vault, item.key, answer), repeated=True)
        return outcomes

    def _kept(self, outcomes: dict[_Item, _Outcome | DomainError]) -> list[tuple[RequestKey, idempotency.Answer]]:
        return [
            (item.key, outcome.reply.sealed(self._vault, item.key))
            for item, outcome in outcomes.items()
            if item.key and isinstance(outcome, _Outcome) and outcome.reply and not outcome.repeated
            if not (item.single and isinstance(refusal := outcome.answers[0], DomainError) and not refusal.repeats)
        ]


def _rendered(item: _Item, answers: list[Any]) -> _Outcome:
    """With the reply to send, made in the caller's context: a problem names their request."""
    if item.render is None:
        return _Outcome(answers)
    return _Outcome(answers, item.context.run(item.render, answers[0] if item.single else answers))


async def _carry_out_together(
    session: AsyncSession, deeds: dict[DeedOf[Any, Any], Deed[Any, Any]], items: list[_Item]
) -> list[list[Any]]:
    """The answers to each item's requests, in the order of the items."""
    of_deed: dict[DeedOf[Any, Any], list[_Item]] = {}
    for item in items:
        of_deed.setdefault(item.deed, []).append(item)
    parts = [(deeds[deed], [request for item in same for request in item.requests]) for deed, same in of_deed.items()]
    if not parts:
        return []
    answers: dict[_Item, list[Any]] = {}
    for same, found in zip(of_deed.values(), await carry_out_all(session, parts), strict=True):
        rest = iter(found)
        for item in same:
            answers[item] = [next(rest) for _ in item.requests]
    return [answers[item] for item in items]


async def _carry_out_apart(session: AsyncSession, deed: DeedOf[Any, Any], requests: Sequence[Any]) -> list[Any]:
    """The same for one item of which some request makes the database fail: that one is found by halves and refused."""
    try:
        async with session.begin_nested():
            return await carry_out(session, deed(), requests)
    except Exception as error:
        if _is_nobodys_fault(error) or _may_be_tried_again(error):
            raise
        if len(requests) == 1:
            log.error("not_carried_out", exc_info=error)
            return [NotCarriedOut()]
    middle = len(requests) // 2
    first = await _carry_out_apart(session, deed, requests[:middle])
    return first + await _carry_out_apart(session, deed, requests[middle:])


def _may_be_tried_again(error: Exception) -> bool:
    """Whether the transaction did nothing, and another one may well go through."""
    return is_retryable(error) or is_lost(error) or isinstance(error, AnsweredMeanwhile)


def _is_nobodys_fault(error: Exception) -> bool:
    """Whether each of the batch would fail in the same way by itself."""
    return is_contention(error) or isinstance(error, Unavailable | AnsweredMeanwhile)


def _told(error: Exception) -> Exception:
    """What a caller is told of a failure that is shared by all: an exception for each, since each is raised."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown()
    return unavailable() if _is_nobodys_fault(error) else error


def _leave_unknown(batch: list[_Item]) -> None:
    """Tell those who wait for a batch that takes too long what is known of it: nothing."""
    for item in batch:
        _refuse(item, OutcomeUnknown())


def _refuse(item: _Item, error: Exception) -> None:
    if not item.outcome.done():
        item.outcome.set_exception(error)
