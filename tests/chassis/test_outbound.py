"""What a webhook's address may lead to: the public internet, or nowhere."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chassis.core.outbound import CallFailed, Outbound, Unreached, fault_of, is_public
from tests.openssl import self_signed
from tests.ports import held_port, url_of
from tests.receiver import Receiver, answer

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "loopback, another": "127.200.3.4",
    "private, class A": "10.0.0.7",
    "private, class B": "172.16.9.1",
    "private, class C": "192.168.1.1",
    "carrier's": "100.64.0.1",
    "metadata of clouds": "169.254.169.254",
    "metadata of a cloud that has another": "100.100.100.200",
    "a cloud's own agent": "168.63.129.16",
    "nobody's": "0.0.0.0",
    "documentation": "203.0.113.7",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.251",
    "multicast, global": "239.255.255.250",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "protocol assignments": "192.0.0.192",
    "relay of tunnels": "192.88.99.1",
    "loopback, v6": "::1",
    "nobody's, v6": "::",
    "unique local": "fd00:ec2::254",
    "link-local": "fe80::1",
    "link-local with its scope": "fe80::1%eth0",
    "site-local": "fec0::1",
    "multicast, v6": "ff0e::1",
    "loopback in v6's clothes": "::ffff:127.0.0.1",
    "private in v6's clothes": "::ffff:10.0.0.7",
    "loopback, compatible": "::7f00:1",
    "loopback through NAT64": "64:ff9b::7f00:1",
    "private through a tunnel": "2002:0a00:0007::1",
    "private through Teredo": "2001:0:a00:7::1",
    "documentation, v6": "2001:db8::1",
    "documentation, v6, the newer": "3fff::1",
    "no address": "example.org",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
def test_no_other_address_may(address: str) -> None:
    assert not is_public(address)


GOOD = [
    "https://example.org/hooks?key=a%2Fb",
    "https://example.org:8443/",
    "https://93.184.216.34/",
    "https://a.b.test",
]
BAD = {
    "empty": "",
    "a path": "/hooks",
    "no host": "https:///hooks",
    "not encrypted": "http://example.org/",
    "another scheme": "ftp://example.org/",
    "a name and password": "https://name:secret@example.org/",
    "a name": "https://name@example.org/",
    "a fragment": "https://example.org/#there",
    "a space": "https://example.org/a b",
    "a line's end": "https://example.org/\r\nHost: else",
    "Chinese letters": "https://例子.test/",
    "too long": "https://example.org/" + 500 * "a",
    "no port that there is": "https://example.org:70000/",
    "port zero": "https://example.org:0/",
    "loopback": "https://127.0.0.1/",
    "loopback, v6": "https://[::1]/",
    "private": "https://192.168.0.1/",
    "loopback as one number": "https://2130706433/",
    "loopback cut short": "https://127.1/",
    "loopback in hexadecimal": "https://0x7f.0.0.1/",
    "this machine by name": "https://localhost/",
    "this machine by a longer name": "https://shop.localhost/",
    "a neighbour by name": "https://printer.local/",
    "a cloud's inside": "https://metadata.google.internal/",
    "a name without a dot": "https://intranet/",
    "a name that is none": "https://-a.example.org/",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_public_address_is_taken_as_it_is(url: str) -> None:
    assert fault_of(url, local_addresses=False) is None


@pytest.mark.parametrize("url", BAD.values(), ids=BAD)
def test_an_address_that_cannot_be_meant_is_refused_with_a_reason(url: str) -> None:
    assert fault_of(url, local_addresses=False)


def test_this_machine_is_well_where_it_is_configured() -> None:
    assert fault_of("http://127.0.0.1:8080/hooks", local_addresses=True) is None
    assert fault_of("http://localhost/", local_addresses=True) is None
    assert fault_of("ftp://127.0.0.1/", local_addresses=True)
    assert fault_of("http://name:secret@127.0.0.1/", local_addresses=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[Outbound]:
    """Calls to this machine, unless `options` say otherwise."""
    outbound = Outbound(**({"local_addresses": True, "timeout_seconds": 60} | options))
    try:
        yield outbound
    finally:
        await outbound.aclose()


async def fails(outbound: Outbound, url: str) -> Unreached:
    with pytest.raises(CallFailed) as failed:
        await outbound.post(url, b"{}", {})
    return failed.value.reason


async def test_a_body_arrives_as_it_is_and_the_status_comes_back(receiver: Receiver) -> None:
    receiver.say(202)
    async with calling() as outbound:
        status = await outbound.post(receiver.url("/a%2Fb?c=%20"), "{“a”}".encode(), {"X-Mine": "yes"})
    assert status == 202
    [request] = receiver.received
    assert (request.target, request.body, request.headers["x-mine"]) == ("/a%2Fb?c=%20", "{“a”}".encode(), "yes")
    assert "cookie" not in request.headers


async def test_a_redirect_is_not_followed_nor_a_cookie_kept(receiver: Receiver) -> None:
    receiver.answers = lambda _: answer(307, f"Location: {receiver.url('/elsewhere')}", "Set-Cookie: a=b; Path=/")
    async with calling() as outbound:
        assert [await outbound.post(receiver.url(), b"", {}) for _ in range(2)] == [307, 307]
    assert [request.target for request in receiver.received] == ["/hooks", "/hooks"]
    assert all("cookie" not in request.headers for request in receiver.received)


async def test_a_private_address_is_not_connected_to_even_where_nobody_looked_before(receiver: Receiver) -> None:
    async with calling(local_addresses=False) as outbound:
        for url in (receiver.url(), receiver.url().replace("127.0.0.1", "[::ffff:127.0.0.1]")):
            assert await fails(outbound, url) is Unreached.ADDRESS
    assert receiver.connections == 0


def answering(*answers: Sequence[str]) -> tuple[Callable[[str], Awaitable[Sequence[str]]], list[str]]:
    """A server of names that gives one answer after the other, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    return resolve, asked


async def test_a_name_that_turns_private_after_it_was_looked_at_leads_nowhere(receiver: Receiver) -> None:
    """DNS rebinding: what counts is the address that is connected to, each time."""
    resolve, asked = answering(["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254", "10.0.0.7"], ["::1"])
    url = receiver.url(host="shop.example.org")
    async with calling(resolve=resolve) as lax:  # the name is good for somebody
        assert await lax.post(url, b"", {}) == 204
    assert receiver.connections == 1
    async with calling(local_addresses=False, resolve=resolve) as outbound:
        assert [await fails(outbound, url) for _ in range(3)] == 3 * [Unreached.ADDRESS]
    assert receiver.connections == 1
    assert asked == 4 * ["shop.example.org"]  # nothing was remembered from one call to the next


async def test_who_answers_nothing_is_waited_for_no_longer_than_the_time_limit(receiver: Receiver) -> None:
    receiver.answers = lambda _: None
    async with calling(timeout_seconds=0.3) as outbound:
        assert await fails(outbound, receiver.url()) is Unreached.TIMEOUT


async def test_the_time_limit_includes_the_look_up_of_the_name() -> None:
    async def never(host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with calling(timeout_seconds=0.1, resolve=never) as outbound:
        assert await fails(outbound, "http://shop.example.org/") is Unreached.TIMEOUT


async def test_an_answer_without_an_end_is_not_read(receiver: Receiver) -> None:
    receiver.answers = lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nabcde\r\n" * 100
    async with calling() as outbound:
        assert await outbound.post(receiver.url(), b"", {}) == 200


@pytest.mark.parametrize(
    "sent",
    [b"220 mail.example.org ESMTP\r\n", b"HTTP/1.1 200 OK\r\nX-Long: " + 100_000 * b"a" + b"\r\n\r\n"],
    ids=["another protocol", "headers without an end"],
)
async def test_what_is_no_answer_is_none(receiver: Receiver, sent: bytes) -> None:
    receiver.answers = lambda _: sent
    async with calling() as outbound:
        assert await fails(outbound, receiver.url()) is Unreached.ANSWER


async def test_a_port_that_nobody_listens_on_and_a_name_without_address_are_told_apart() -> None:
    async def nowhere(host: str) -> Sequence[str]:
        raise socket.gaierror("no such name")

    with held_port() as held:
        async with calling() as outbound:
            assert await fails(outbound, url_of(held)) is Unreached.CONNECTION
    async with calling(resolve=nowhere) as outbound:
        assert await fails(outbound, "https://shop.example.org/") is Unreached.HOST


async def test_a_server_that_breaks_off_has_not_answered(receiver: Receiver) -> None:
    receiver.answers = lambda _: b""
    async with calling() as outbound:
        assert await fails(outbound, receiver.url()) is Unreached.CONNECTION


async def test_a_certificate_that_nobody_vouches_for_is_not_good(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed("localhost", tmp_path))
    met: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    resolve, _ = answering(["127.0.0.1"])
    try:
        async with calling(resolve=resolve) as outbound:
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
            assert await fails(outbound, url) is Unreached.TLS
    finally:
        server.close()
        await server.wait_closed()
    assert met == []
