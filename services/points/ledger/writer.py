"""The ledgers' queue: what arrives together is carried out together (`batches`), and whoever comes while one batch is
written and committed is in the next.

One writer a process; several processes take turns by the ledgers' locks. Whoever waits here holds no connection.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from chassis.core.crypto import Vault
from chassis.core.db import Database, OutcomeUnknown
from chassis.core.errors import DomainError, Unavailable
from chassis.core.idempotency import Reply, RequestKey
from chassis.core.metrics import Metrics
from chassis.core.telemetry import request_id, traceparent
from services.points.ledger.batches import Answer, Batches, DeedOf, Item, Outcome, Request

_CLOSING_SECONDS = 10.0


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
        self._batches = Batches(db, vault)
        self._batch_requests = metrics.batch_requests.labels(metrics.service)
        self._batch_wait_seconds = metrics.batch_wait_seconds.labels(metrics.service)
        self._most_a_batch = most_a_batch
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._work_seconds = work_seconds
        self._queue: deque[Item] = deque()
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
        [answer] = (await self._wait(Item(deed, [request], size, _outcome()))).answers
        if isinstance(answer, DomainError):
            raise answer
        result: Answer = answer
        return result

    async def submit_all(
        self, deed: DeedOf[Request, Answer], requests: Sequence[Request]
    ) -> list[Answer | DomainError]:
        """Carry out many in one transaction: for each its answer or its refusal. Raises as `submit` does."""
        return list((await self._wait(Item(deed, requests, len(requests), _outcome()))).answers)

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
        outcome = await self._wait(Item(deed, [request], size, _outcome(), key, render))
        if not outcome.repeated and isinstance(outcome.answers[0], DomainError):
            raise outcome.answers[0]
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
            item.refuse(Unavailable())

    async def _wait(self, item: Item) -> Outcome:
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
            item.refuse(Unavailable("Many want this at once; nothing was changed. Please try again."))

    def _leave(self, item: Item) -> None:
        self._waiting -= item.size
        item.size = 0

    async def _work(self) -> None:
        """Carry out batches until nobody waits."""
        request_id.set(None)  # what is done here belongs to no single request
        traceparent.set(None)
        try:
            while self._queue:
                await asyncio.sleep(0)  # whoever is about to queue up in this very moment may come along
                if batch := self._next_batch():
                    late = asyncio.get_running_loop().call_later(self._work_seconds, _leave_unknown, batch)
                    await self._batches.settle(batch)
                    late.cancel()
        finally:
            self._worker = None

    def _next_batch(self) -> list[Item]:
        """The first in the queue, as many as make a batch. Of several with one key, the first: the others see its
        answer in the next one.
        """
        batch: dict[object, Item] = {}
        later: list[Item] = []
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


def _outcome() -> asyncio.Future[Outcome]:
    return asyncio.get_running_loop().create_future()


def _leave_unknown(batch: list[Item]) -> None:
    """Tell those who wait for a batch that takes too long what is known of it: nothing."""
    for item in batch:
        item.refuse(OutcomeUnknown())
