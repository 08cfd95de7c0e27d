"""Addresses of hosts by the system's way, which takes as long as it likes and cannot be called off."""

import asyncio
import socket
import threading
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass

EACH_AT_ONCE = 8
"""So many names may be looked up at once on behalf of one and the same."""
ALL_AT_ONCE = 256
"""So many on behalf of all: each has a thread."""

_Found = asyncio.Future[Sequence[str]]


@dataclass(frozen=True, slots=True)
class _LookUp:
    behalf: Hashable
    found: _Found


class Names:
    """Looks names up, each on a thread of its own for as long as that takes: slow names keep no other name waiting.

    A name has one look-up under way at a time, however many ask for it, and whether or not they are still waiting.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, _LookUp] = {}

    async def addresses_of(self, host: str, behalf: Hashable) -> Sequence[str]:
        """The addresses of a host, as texts, for `behalf`, whoever it is that had it looked up.

        Raises OSError where there are none, TimeoutError where as many of theirs, or of everybody's, as may be are
        under way already.
        """
        look_up = self._under_way.get(host)
        if look_up is None:
            theirs = sum(each.behalf == behalf for each in self._under_way.values())
            if theirs >= EACH_AT_ONCE or len(self._under_way) >= ALL_AT_ONCE:
                raise TimeoutError("too many names are slow")
            look_up = self._begin(host, behalf)
        return await asyncio.shield(look_up.found)

    def _begin(self, host: str, behalf: Hashable) -> _LookUp:
        look_up = _LookUp(behalf, asyncio.get_running_loop().create_future())
        # A daemon: nobody who wants to stop waits for names. Not a pool: its threads could all be taken.
        threading.Thread(target=_look_up, args=(host, look_up.found), name=f"name-{host}", daemon=True).start()
        self._under_way[host] = look_up
        look_up.found.add_done_callback(lambda found: self._end(host, found))
        return look_up

    def _end(self, host: str, found: _Found) -> None:
        del self._under_way[host]
        found.exception()  # perhaps nobody waits for it any more


def _look_up(host: str, found: _Found) -> None:
    addresses: Sequence[str] | Exception
    try:
        addresses = _addresses_of(host)
    except Exception as error:
        addresses = error
    with suppress(RuntimeError):  # the loop has ended meanwhile
        found.get_loop().call_soon_threadsafe(_settle, found, addresses)


def _settle(found: _Found, addresses: Sequence[str] | Exception) -> None:
    if isinstance(addresses, Exception):
        found.set_exception(addresses)
    else:
        found.set_result(addresses)


def _addresses_of(host: str) -> Sequence[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
