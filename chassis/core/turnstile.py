"""A queue in front of one thing that many want at once.

Whoever locks a row in the database holds a connection while waiting for it. Where hundreds want the same row, they
would take every connection of the process and run into the database's time limits. So they queue up here, holding
nothing, in the order in which they came. It only spares the database: what must be right is still right without it,
since other processes do not stand in this queue.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from chassis.core.errors import Unavailable


class Turnstile:
    """Lets one through at a time for each key; whoever waits longer than `wait_seconds` is told to come again."""

    def __init__(self, *, wait_seconds: float = 20.0, queue: int = 2000) -> None:
        self._wait_seconds = wait_seconds
        self._queue = queue
        self._locks: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[Hashable, int] = defaultdict(int)

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """One's turn at `key`, for as long as the block. Raises Unavailable where the queue is too long or too slow."""
        if self._waiting[key] >= self._queue:
            raise Unavailable("Too many want this at once; nothing was changed. Please try again.")
        self._waiting[key] += 1
        try:
            lock = self._locks[key]
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await lock.acquire()
            except TimeoutError:
                raise Unavailable("Many want this at once; nothing was changed. Please try again.") from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]
