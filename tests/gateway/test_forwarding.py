"""What passes through the gateway, and how: the same whether the service is in this process or behind a URL."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from beiyuan.names import SERVICES
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate


@pytest.mark.parametrize("service", SERVICES)
async def test_each_path_reaches_its_service(gate: Gate, service: str) -> None:
    answer = await gate.client.get(f"/api/{service}/echo")
    assert answer.json()["service"] == service


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_and_body_arrive_as_sent(gate: Gate, method: str) -> None:
    answer = await gate.client.request(method, "/api/orders/echo", content=b"\x00\xffwords")
    assert (answer.json()["method"], answer.json()["body"]) == (method, b"\x00\xffwords".hex())


async def test_head_is_answered_without_a_body(gate: Gate) -> None:
    answer = await gate.client.head("/api/orders/echo")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "target",
    [
        "/api/orders/echo%E5%8C%97?a=%zz&b=+%20&a=2&=&c",
        "/api/orders/echo;v=1?q=%2e%2e/..//%5c",
        "/api/orders/echo/?q=%E5%8C%97%E8%8B%91",
        "/api/orders/a+b%2Bc~!$&'()*,:@echo",
    ],
)
async def test_path_and_query_reach_the_service_byte_for_byte(gate: Gate, target: str) -> None:
    status, answered = await gate.get_raw(target)
    assert status == 200
    seen = json.loads(answered.split(b"\r\n\r\n", 1)[1])
    path, _, query = target.partition("?")
    assert seen["raw_path"] == path
    assert bytes.fromhex(seen["query"]) == query.encode()


async def test_a_large_body_without_a_length_arrives_whole(gate: Gate) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 10_000

    answer = await gate.client.post("/api/orders/echo", content=pieces())
    assert answer.json()["body"] == 500_000


async def test_an_answer_is_passed_on_piece_by_piece(gate: Gate) -> None:
    async with gate.client.stream("GET", "/api/orders/stream") as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"first,"
        gate.orders.release.set()
        assert await anext(pieces) == b"second"


async def test_a_request_is_passed_on_piece_by_piece(gate: Gate) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(gate.orders.got_some.wait(), 60)
        yield b"second"

    answer = await gate.client.post("/api/orders/echo", content=pieces())
    assert answer.json()["body"] == b"firstsecond".hex()


async def test_a_packed_answer_is_not_unpacked_on_the_way(gate: Gate) -> None:
    async with gate.client.stream("GET", "/api/orders/packed") as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b"".join([piece async for piece in answer.aiter_raw()]) == b"\x1f\x8b not really"


async def test_a_redirect_is_left_to_the_client(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "/api/orders/echo")


async def test_the_cookies_of_one_client_are_never_sent_for_another(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/headers")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    gate.client.cookies.clear()
    await gate.client.get("/api/orders/echo")
    assert gate.orders.header("cookie") is None


async def test_the_same_headers_arrive_both_ways(gate: Gate) -> None:
    await gate.client.post("/api/orders/echo", content=b"12", headers={"X-Own": "1", "Host": "beiyuan.example"})
    names = sorted(name.decode() for name, _ in gate.orders.seen[-1]["headers"])
    assert names == [
        *["accept", "accept-encoding", "content-length", "host", "traceparent", "user-agent"],
        *["x-beiyuan-client", "x-beiyuan-gateway", "x-own", "x-request-id"],
    ]
    assert gate.orders.header("host") == "beiyuan.example"


async def test_a_refusal_before_the_body_is_read_reaches_the_client(gate: Gate) -> None:
    answer = await gate.client.post("/api/orders/unread", content=b"x" * 300_000)
    assert (answer.status_code, answer.content) == (403, b"no")


async def test_fifty_requests_at_once_are_not_mixed_up(open_gate: OpenGate) -> None:
    async with open_gate(connections=5, connect_seconds=30) as gate:
        answers = await asyncio.gather(*(gate.client.post("/api/orders/echo", content=f"{n:04}") for n in range(50)))
        assert [bytes.fromhex(answer.json()["body"]) for answer in answers] == [b"%04d" % n for n in range(50)]
