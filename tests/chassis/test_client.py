"""Calls between services: bounded in time, repeated only where that is safe, and carrying who asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.core import client as clients
from chassis.core import telemetry
from chassis.core.client import CallRefused, Directory, ServiceClient
from chassis.core.errors import FieldError, Unavailable
from chassis.core.keys import generate_signing_key
from chassis.core.tokens import ServiceTokens
from tests.chassis.toy.processes import listening
from tests.ports import held_port, url_of

KEYS = {name: generate_signing_key(name) for name in ("orders", "points")}
Handler = Callable[[Request], Awaitable[Response]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_PAUSE_SECONDS", 0.001)


def calling(handler: Handler, **options: Any) -> ServiceClient:
    """The orders service's client, for which `handler` is the points service."""
    directory = Directory()
    directory.host("points", Starlette(routes=[Route("/x", handler, methods=["GET", "POST"])]))
    return ServiceClient(directory, ServiceTokens("orders", KEYS["orders"], KEYS), **options)


async def test_a_call_says_who_calls_and_for_which_request() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return JSONResponse({"echo": await request.json()})

    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    tokens = [(telemetry.request_id, telemetry.request_id.set("abcdefgh"))]
    tokens += [(telemetry.traceparent, telemetry.traceparent.set(trace))]
    try:
        assert await calling(handler).post("points", "/x", {"名": "值"}) == {"echo": {"名": "值"}}
    finally:
        for variable, token in tokens:
            variable.reset(token)
    [request] = seen
    assert request.headers["X-Request-Id"] == "abcdefgh"
    assert request.headers["traceparent"] == trace
    bearer = request.headers["Authorization"].removeprefix("Bearer ")
    assert ServiceTokens("points", KEYS["points"], KEYS).issuer(bearer) == "orders"


@pytest.mark.parametrize("trouble", [500, 503, 302, "rubbish", "raise"])
async def test_a_read_that_fails_is_tried_again_and_then_given_up(trouble: int | str) -> None:
    tries = 0

    async def handler(request: Request) -> Response:
        nonlocal tries
        tries += 1
        if trouble == "raise":
            raise RuntimeError
        if trouble == "rubbish":
            return Response("<html>")
        return Response(status_code=int(trouble))

    with pytest.raises(Unavailable):
        await calling(handler).get("points", "/x")
    assert tries == 3


async def test_a_read_that_fails_once_succeeds() -> None:
    tries = 0

    async def handler(request: Request) -> Response:
        nonlocal tries
        tries += 1
        return JSONResponse({"try": tries}, 503 if tries == 1 else 200)

    assert await calling(handler).get("points", "/x") == {"try": 2}


@pytest.mark.parametrize(("safe", "expected"), [(True, 3), (False, 1)])
async def test_a_change_is_repeated_only_where_that_is_said_to_be_safe(safe: bool, expected: int) -> None:
    tries = 0

    async def handler(request: Request) -> Response:
        nonlocal tries
        tries += 1
        return Response(status_code=503)

    with pytest.raises(Unavailable):
        await calling(handler).post("points", "/x", {}, safe=safe)
    assert tries == expected


async def test_a_service_that_never_answers_is_not_waited_for_even_in_process() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await calling(handler, timeout_seconds=0.02).get("points", "/x")
        with pytest.raises(Unavailable):
            await calling(handler).post("points", "/x", {}, timeout_seconds=0.02)


async def test_a_refusal_is_handed_on_with_its_code_and_fields_and_is_not_repeated() -> None:
    tries = 0

    async def handler(request: Request) -> Response:
        nonlocal tries
        tries += 1
        errors = [{"name": "body.a", "reason": "is wrong"}]
        return JSONResponse({"code": "too_late", "detail": "sorry", "errors": errors}, 409)

    with pytest.raises(CallRefused) as refusal:
        await calling(handler).get("points", "/x")
    assert tries == 1
    assert (refusal.value.service, refusal.value.status, refusal.value.code) == ("points", 409, "too_late")
    assert refusal.value.fields == (FieldError("body.a", "is wrong"),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": 7, "code": "x"}'])
async def test_a_refusal_without_a_problem_is_one_all_the_same(body: bytes) -> None:
    async def handler(request: Request) -> Response:
        return Response(body, 404)

    with pytest.raises(CallRefused) as refusal:
        await calling(handler).get("points", "/x")
    assert (refusal.value.status, refusal.value.code) == (404, "refused")


async def test_an_empty_answer_is_none() -> None:
    async def handler(request: Request) -> Response:
        return Response(status_code=204)

    assert await calling(handler).post("points", "/x", {}) is None


async def test_a_service_whose_address_nobody_knows_is_named_with_the_setting() -> None:
    calls = ServiceClient(Directory(), ServiceTokens("orders", KEYS["orders"], KEYS))
    with pytest.raises(Unavailable, match="BEIYUAN_POINTS_URL"):
        await calls.get("points", "/x")


async def test_over_the_network_it_is_the_same() -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse({"echo": await request.json()})

    with held_port() as held:
        url = url_of(held)
        calls = ServiceClient(Directory({"points": url}), ServiceTokens("orders", KEYS["orders"], KEYS))
        try:
            with pytest.raises(Unavailable):
                await calls.post("points", "/x", {"a": 1}, safe=True)
            async with listening(Starlette(routes=[Route("/x", handler, methods=["POST"])]), url):
                assert await calls.post("points", "/x", {"a": 1}) == {"echo": {"a": 1}}
        finally:
            await calls.aclose()
