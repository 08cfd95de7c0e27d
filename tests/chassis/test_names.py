"""Names that are slow to look up: whoever has named them waits, and nobody else does."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from chassis.core.names import EACH_AT_ONCE, Names
from chassis.core.outbound import CallFailed, Outbound, Unreached
from tests.receiver import Receiver


class Phonebook:
    """The system's look-up of names. Those of `slow.example.org` are found as soon as `answer` is set."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()

    def __call__(self, host: str, port: object, **options: Any) -> list[tuple[Any, ...]]:
        self._loop.call_soon_threadsafe(self._hear, host)
        if host.endswith("slow.example.org"):
            self.answer.wait(60)
        if host.startswith("none"):
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    def _hear(self, host: str) -> None:
        self.asked[host] += 1
        self._heard.set()

    async def asked_for(self, many: int) -> None:
        """Wait until so many names were asked for."""
        async with asyncio.timeout(60):
            while self.asked.total() < many:
                self._heard.clear()
                await self._heard.wait()


@pytest.fixture
async def phonebook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Phonebook]:
    phonebook = Phonebook()
    monkeypatch.setattr("chassis.core.names.socket.getaddrinfo", phonebook)
    try:
        yield phonebook
    finally:
        phonebook.answer.set()
        for thread in threading.enumerate():
            if thread.name.startswith("name-"):
                await asyncio.to_thread(thread.join, 60)


async def given_up(asking: Awaitable[object]) -> None:
    """Somebody waits for no longer than it takes to ask."""
    task = asyncio.ensure_future(asking)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_merchants_slow_names_take_no_more_than_their_share(phonebook: Phonebook) -> None:
    names = Names()
    tasks = [asyncio.create_task(names.addresses_of(f"{number}.slow.example.org", "merchant")) for number in range(100)]
    async with asyncio.timeout(60):
        await asyncio.wait(tasks[EACH_AT_ONCE:])
    assert [type(task.exception()) for task in tasks[EACH_AT_ONCE:]] == (100 - EACH_AT_ONCE) * [TimeoutError]
    await phonebook.asked_for(EACH_AT_ONCE)
    assert await names.addresses_of("shop.example.org", "another") == ["127.0.0.1"]
    assert phonebook.asked.total() == EACH_AT_ONCE + 1
    phonebook.answer.set()
    async with asyncio.timeout(60):
        assert await asyncio.gather(*tasks[:EACH_AT_ONCE]) == EACH_AT_ONCE * [["127.0.0.1"]]
    assert await names.addresses_of("100.slow.example.org", "merchant") == ["127.0.0.1"]


async def test_slow_names_of_however_many_merchants_keep_nobody_else_waiting(phonebook: Phonebook) -> None:
    names = Names()
    slow = [asyncio.create_task(names.addresses_of(f"{number}.slow.example.org", number)) for number in range(100)]
    await phonebook.asked_for(100)
    async with asyncio.timeout(60):
        assert await names.addresses_of("shop.example.org", "another") == ["127.0.0.1"]
    assert not any(task.done() for task in slow)
    phonebook.answer.set()
    await asyncio.gather(*slow)


async def test_slow_names_of_however_many_merchants_do_not_take_every_thread_of_the_machine(
    phonebook: Phonebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.core.names.ALL_AT_ONCE", 20)
    names = Names()
    slow = [asyncio.create_task(names.addresses_of(f"{number}.slow.example.org", number)) for number in range(20)]
    await phonebook.asked_for(20)
    with pytest.raises(TimeoutError):
        await names.addresses_of("shop.example.org", "another")
    phonebook.answer.set()
    await asyncio.gather(*slow)
    assert await names.addresses_of("shop.example.org", "another") == ["127.0.0.1"]


async def test_a_name_that_is_being_looked_up_is_not_looked_up_beside_that(phonebook: Phonebook) -> None:
    names = Names()
    for _ in range(3):
        await given_up(names.addresses_of("slow.example.org", "merchant"))
    asking = [asyncio.create_task(names.addresses_of("slow.example.org", number)) for number in range(30)]
    await phonebook.asked_for(1)
    phonebook.answer.set()
    async with asyncio.timeout(60):
        assert await asyncio.gather(*asking) == 30 * [["127.0.0.1"]]
    assert phonebook.asked == {"slow.example.org": 1}
    await names.addresses_of("slow.example.org", "merchant")
    assert phonebook.asked == {"slow.example.org": 2}, "what was found is not remembered"


async def test_who_has_given_up_still_holds_its_share_until_the_look_up_ends(phonebook: Phonebook) -> None:
    names = Names()
    for number in range(EACH_AT_ONCE):
        await given_up(names.addresses_of(f"none-{number}.slow.example.org", "merchant"))
    with pytest.raises(TimeoutError):
        await names.addresses_of("shop.example.org", "merchant")
    phonebook.answer.set()
    async with asyncio.timeout(60):
        while True:  # a failure that nobody waits for is nobody's concern
            try:
                assert await names.addresses_of("shop.example.org", "merchant") == ["127.0.0.1"]
                break
            except TimeoutError:
                await asyncio.sleep(0.01)


async def test_a_name_that_there_is_none_of_has_no_address(phonebook: Phonebook) -> None:
    with pytest.raises(socket.gaierror):
        await Names().addresses_of("none.example.org", "merchant")


async def test_a_call_is_made_on_behalf_of_whoever_it_is_for(phonebook: Phonebook) -> None:
    outbound = Outbound(local_addresses=True, timeout_seconds=60)
    async with Receiver() as receiver:
        slow = [
            asyncio.create_task(outbound.post(f"http://{number}.slow.example.org/", b"", {}, behalf="merchant"))
            for number in range(EACH_AT_ONCE)
        ]
        await phonebook.asked_for(EACH_AT_ONCE)
        url = receiver.url(host="shop.example.org")
        with pytest.raises(CallFailed) as failed:
            await outbound.post(url, b"", {}, behalf="merchant")
        assert failed.value.reason is Unreached.TIMEOUT
        assert await outbound.post(url, b"", {}, behalf="another") == 204
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    await outbound.aclose()
