"""Counting in one process's memory, for limits that keep one client from taking everybody's share.

What must hold exactly, over processes and restarts (tries of a code), is counted in tables.
"""

import time

from limits.storage import MemoryStorage


class LoopStorage(MemoryStorage):
    """The library's memory, used by one event loop alone.

    As it comes, it starts a thread every few milliseconds to drop what has expired (and its asyncio sibling walks over
    all keys at every hit), which costs several times what counting does. Here that is done in passing, now and then.
    """

    _TIDY_SECONDS = 30.0

    def __init__(self) -> None:
        self._tidy_at = 0.0
        super().__init__()

    def get(self, key: str) -> int:
        """What a counter stands at. A key is of one window, and is asked for only as long as it lives."""
        return self.storage[key]

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter that lives for `expiry` seconds from its first addition."""
        moment = time.time()
        if moment >= self._tidy_at:
            self._tidy_at = moment + self._TIDY_SECONDS
            for stale in [name for name, at in self.expirations.items() if at <= moment]:
                self.clear(stale)
        self.expirations.setdefault(key, moment + expiry)
        self.storage[key] += amount
        return self.storage[key]
