"""How much and how long: nobody can fill the gateway up, or keep it waiting."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate


async def pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 1000):
        yield b"x" * 1000
        await asyncio.sleep(0)


async def test_a_body_that_says_it_is_too_large_is_refused_unread(open_gate: OpenGate) -> None:
    async with open_gate(body_bytes=10_000) as gate:
        answer = await gate.client.post("/api/orders/echo", content=b"x" * 10_001)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert gate.orders.seen == []
        assert (await gate.client.post("/api/orders/echo", content=b"x" * 10_000)).status_code == 200


@pytest.mark.parametrize("page", ["echo", "bad-request"])
async def test_a_body_that_turns_out_too_large_is_refused(open_gate: OpenGate, page: str) -> None:
    async with open_gate(body_bytes=10_000) as gate:
        answer = await gate.client.post(f"/api/orders/{page}", content=pieces(50_000))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        await asyncio.wait_for(gate.orders.ended.wait(), 60)
        assert gate.orders.got_bytes <= 10_000


async def test_photos_may_be_larger(open_gate: OpenGate) -> None:
    async with open_gate(body_bytes=10_000, upload_bytes=100_000) as gate:
        for content in (b"x" * 90_000, pieces(90_000)):
            answer = await gate.client.post("/api/orders/photos", content=content)
            assert (answer.status_code, answer.json()["body"]) == (200, 90_000)
        for content in (b"x" * 110_000, pieces(110_000)):
            assert (await gate.client.post("/api/orders/photos", content=content)).status_code == 413
        assert (await gate.client.put("/api/orders/photos", content=b"x" * 90_000)).status_code == 413


async def test_a_body_that_trickles_in_is_given_up(open_gate: OpenGate) -> None:
    async with open_gate(body_seconds=0.3) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(b"POST /api/orders/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        answered = asyncio.create_task(reader.readuntil(b"body_too_slow"))
        while not answered.done():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert (await answered).startswith(b"HTTP/1.1 408 ")
        writer.close()
        await asyncio.wait_for(gate.orders.ended.wait(), 60)


async def test_a_service_that_does_not_answer_in_time_is_given_up(open_gate: OpenGate) -> None:
    async with open_gate(answer_seconds=2) as gate:
        for method, content in (("GET", None), ("POST", b"body")):
            gate.orders.forget()
            answer = await gate.client.request(method, "/api/orders/wait", content=content)
            assert (answer.status_code, answer.json()["code"]) == (504, "answer_too_slow")
            await asyncio.wait_for(gate.orders.ended.wait(), 60)
        assert (await gate.client.get("/api/points/echo")).status_code == 200


async def test_a_slow_upload_does_not_count_against_the_service(open_gate: OpenGate) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"
            await asyncio.sleep(1)

    async with open_gate(answer_seconds=3) as gate:
        assert (await gate.client.post("/api/orders/echo", content=slowly())).json()["body"] == b"xxxx".hex()


async def test_an_answer_that_never_ends_is_cut_off(open_gate: OpenGate) -> None:
    async with open_gate(transfer_seconds=0.3) as gate:
        with pytest.raises(httpx2.RemoteProtocolError):
            await gate.client.get("/api/orders/stream")
        await asyncio.wait_for(gate.orders.ended.wait(), 60)


@pytest.mark.parametrize("page", ["wait", "stream"])
async def test_when_the_client_hangs_up_the_service_stops_working_for_it(gate: Gate, page: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(f"GET /api/orders/{page} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await asyncio.wait_for(gate.orders.entered.wait(), 60)
    if page == "stream":
        await reader.readuntil(b"first,")
    assert not gate.orders.ended.is_set()
    writer.close()
    await asyncio.wait_for(gate.orders.ended.wait(), 60)


async def test_when_the_client_hangs_up_amid_its_body_the_service_is_told(gate: Gate) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"POST /api/orders/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.wait_for(gate.orders.got_some.wait(), 60)
    assert not gate.orders.ended.is_set()
    writer.close()
    await asyncio.wait_for(gate.orders.ended.wait(), 60)
