"""How many requests an address and a person may send.

Counted in this process's memory over a sliding window: it keeps one client from taking everybody's share. What must
hold exactly, over processes and restarts (tries of a code), the services count in tables of their own.
"""

import math
import time
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.strategies import SlidingWindowCounterRateLimiter

from chassis.core.addresses import Address, network_of
from chassis.core.errors import TooManyRequests
from chassis.core.limits import LoopStorage
from gateway.headers import Headers
from gateway.settings import GatewaySettings


class Limits:
    """Counts requests, refuses those over the limit, and tells clients where they stand.

    The fields are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` names each policy with its quota
    `q` and window `w` in seconds; `RateLimit` gives what remains, `r`, and in how many seconds more comes free, `t`.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        window = settings.limit_window_seconds
        self._loopback = RateLimitItemPerSecond(settings.limit_on_loopback, window)
        self._address = RateLimitItemPerSecond(settings.limit_per_address, window)
        self._person = RateLimitItemPerSecond(settings.limit_per_person, window)
        self._counter = SlidingWindowCounterRateLimiter(LoopStorage())

    def count_address(self, address: Address, standing: Headers) -> None:
        """Count a request from `address` and add its fields to `standing`. Raises TooManyRequests."""
        self._count("address", self._loopback if address.is_loopback else self._address, network_of(address), standing)

    def count_person(self, person: UUID, address: Address, standing: Headers) -> None:
        """The same for a signed-in person."""
        self._count("person", self._loopback if address.is_loopback else self._person, str(person), standing)

    def _count(self, name: str, item: RateLimitItem, key: str, standing: Headers) -> None:
        allowed = self._counter.hit(item, name, key)
        stats = self._counter.get_window_stats(item, name, key)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        standing.append((b"ratelimit-policy", f'"{name}";q={item.amount};w={item.get_expiry()}'.encode()))
        standing.append((b"ratelimit", f'"{name}";r={stats.remaining};t={seconds}'.encode()))
        if not allowed:
            raise TooManyRequests(retry_after_seconds=seconds)
