"""Heads for those who do not wait for the next regular one: whoever asks for a receipt of what was posted just now.

A head is made at once, one at a time, and all who ask while it is made share the next: however many ask, there are no
more heads than one can be made after the other, and no more than one in `_PACE_SECONDS`. Other processes do the same,
and the follower goes on: the tree's lock puts them in order (`actions.seal`).
"""

import asyncio

import structlog

from services.points.seals import actions
from services.points.seals.actions import Sealing
from services.points.seals.errors import NotSealedYet
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName

log = structlog.get_logger(__name__)

_PACE_SECONDS = 0.2
_WAIT_SECONDS = 10.0
_AT_MOST = 20_000
"""Transfers that are sealed for a reader: about a second's work. The follower does the rest."""


class OnDemand:
    """Makes heads for readers, in the process that answers them."""

    def __init__(self, sealing: Sealing) -> None:
        self.sealing = sealing
        self._locks = {ledger: asyncio.Lock() for ledger in LedgerName}
        self._next: dict[LedgerName, asyncio.Task[SealHead]] = {}
        self._tasks: set[asyncio.Task[SealHead]] = set()
        self._last: dict[LedgerName, float] = {}

    async def head(self, ledger: LedgerName) -> SealHead:
        """A head that was begun after this was called, so over all that had been committed by then, if not too much.

        Raises SealBroken; NotSealedYet where it cannot be made now.
        """
        making = self._next.get(ledger)
        if making is None:
            making = self._next[ledger] = asyncio.create_task(self._make(ledger))
            self._tasks.add(making)
            making.add_done_callback(self._forget)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await asyncio.shield(making)  # others wait for it too
        except TimeoutError:
            raise NotSealedYet(self.sealing.seconds) from None
        except OSError as error:  # the folder of published heads
            raise NotSealedYet(self.sealing.seconds) from error

    async def close(self) -> None:
        """Give up what is being made."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make(self, ledger: LedgerName) -> SealHead:
        async with self._locks[ledger]:
            try:
                await self._wait_for_turn(ledger)
            finally:
                del self._next[ledger]  # who asks from now on may mean a transfer that this head misses
            return await actions.seal(self.sealing, ledger, at_most=_AT_MOST)

    async def _wait_for_turn(self, ledger: LedgerName) -> None:
        now = asyncio.get_running_loop().time()
        if (wait := self._last.get(ledger, -_PACE_SECONDS) + _PACE_SECONDS - now) > 0:
            await asyncio.sleep(wait)
        self._last[ledger] = max(now, now + wait)

    def _forget(self, task: asyncio.Task[SealHead]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):  # those who wait are told it, if any still do
            log.warning("seal_for_receipt_failed", reason=repr(error))
