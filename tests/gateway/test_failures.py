"""When something behind the gateway fails, the rest goes on, and nothing of the inside shows."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from chassis.core.client import Directory
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate, serving
from tests.town import actor


async def test_a_service_that_is_away_gives_503_and_the_others_go_on(open_gate: OpenGate) -> None:
    async with open_gate(absent=("orders",)) as gate:
        answer = await gate.client.post("/api/orders/reports", json={})
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert (answer.json()["code"], int(answer.headers["retry-after"]) > 0) == ("service_down", True)
        assert (await gate.client.get("/api/points/echo")).status_code == 200


async def test_without_identity_a_token_cannot_be_checked_but_public_pages_go_on(open_gate: OpenGate) -> None:
    async with open_gate(absent=("identity",)) as gate:
        headers = {"Authorization": f"Bearer {gate.token(actor('resident'))}"}
        assert (await gate.client.get("/api/orders/echo", headers=headers)).status_code == 503
        assert (await gate.client.get("/api/orders/echo")).status_code == 200


async def test_a_failure_inside_shows_nothing_of_itself(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/raise")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_half_an_answer_is_not_passed_off_as_a_whole_one(gate: Gate) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await gate.client.get("/api/orders/cut")
    assert (await gate.client.get("/api/orders/echo")).status_code == 200


async def test_a_service_that_breaks_off_may_have_done_the_work_and_that_is_said(keys_dir: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as service:
        url = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"
        app = create_app(GatewaySettings(keys_dir=keys_dir), Directory({"orders": url}))
        async with (
            serving(app) as port,
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False, verify=False
            ) as client,
        ):
            answer = await client.post("/api/orders/reports", json={})
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_answer")
    assert "retry-after" not in answer.headers
