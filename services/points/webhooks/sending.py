"""Sending webhooks: what is due is taken up in one transaction, sent in none, and noted in another.

A process that dies in between has sent what it did not note: it is sent again, under the same `webhook-id`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from chassis.core import clock
from chassis.core.crypto import Vault
from chassis.core.db import Database
from chassis.core.metrics import Metrics
from chassis.core.outbound import CallFailed, Outbound
from services.points.webhooks import actions, queries, rules
from services.points.webhooks.terms import DeliveryState, Due, Failure, Tried

log = structlog.get_logger(__name__)

ENDPOINTS_AT_ONCE = 64
EACH_AT_ONCE = 8
FAILING_AT_ONCE = 4
_KEPT_FOR = timedelta(seconds=60)
"""Much longer than a try can take: then whoever took it up is gone."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What it takes to send."""

    db: Database
    vault: Vault
    outbound: Outbound
    metrics: Metrics


class Courier:
    """Sends what is due, to many endpoints at once: one that is slow to answer keeps none but itself waiting."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._under_way: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, pause_seconds: float) -> None:
        """Send for ever; look every so often, or as soon as an endpoint is done with. Ends what is under way when it is
        ended itself.
        """
        try:
            while True:
                await self.set_out()
                await self.wait(pause_seconds)
        finally:
            await self.stop()

    async def set_out(self) -> int:
        """Take up what is due, of endpoints that nothing is under way to, and begin to send it. How many endpoints."""
        self._under_way = {id_: task for id_, task in self._under_way.items() if not task.done()}
        async with self._sending.db.transaction() as session:
            taken = await queries.claim(
                session,
                self._sending.vault,
                clock.now(),
                busy=self._under_way,
                endpoints=ENDPOINTS_AT_ONCE - len(self._under_way),
                each=EACH_AT_ONCE,
                failing=FAILING_AT_ONCE,
                keep_for=_KEPT_FOR,
            )
        for endpoint_id, due in taken.items():
            self._under_way[endpoint_id] = asyncio.create_task(self._deliver(endpoint_id, due))
        return len(taken)

    async def wait(self, seconds: float) -> None:
        """Wait until an endpoint is done with, or so long."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(seconds)

    async def send_all(self) -> None:
        """Send until nothing is due any more."""
        while await self.set_out():
            await asyncio.gather(*self._under_way.values())

    async def stop(self) -> None:
        """Give up what is under way: it will be sent again."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way.clear()

    async def _deliver(self, endpoint_id: UUID, due: Sequence[Due]) -> None:
        try:
            tries = await asyncio.gather(*[try_once(self._sending.outbound, each) for each in due])
            for tried in tries:
                outcome = tried.failure or DeliveryState.DELIVERED
                self._sending.metrics.webhooks_sent.labels(self._sending.metrics.service, outcome.value).inc()
            async with self._sending.db.transaction() as session:
                await actions.note(session, endpoint_id, tries)
        except Exception as error:  # it is taken up again later; the other endpoints go on
            log.warning("webhooks_not_noted", endpoint=str(endpoint_id), reason=type(error).__name__, exc_info=error)


async def try_once(outbound: Outbound, due: Due) -> Tried:
    """Send one event to one endpoint, once, and say how it went."""
    content = rules.body(due)
    status: int | None = None
    began = time.monotonic()
    try:
        headers = rules.headers(due, content, clock.now())
        status = await outbound.post(due.url, content, headers, behalf=due.merchant_id)
        failure = None if 200 <= status < 300 else Failure.STATUS
    except CallFailed as error:
        failure = Failure(error.reason)
    milliseconds = round((time.monotonic() - began) * 1000)
    if failure is not None:
        log.info("webhook_failed", event_id=str(due.event_id), endpoint=str(due.endpoint_id), reason=failure.value)
    return Tried(due, clock.now(), milliseconds, status, failure)
