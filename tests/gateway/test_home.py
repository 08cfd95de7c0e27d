"""The app's first screen: one call, made of parts, and none of them takes the others down."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import httpx2
import jsonschema
import pytest
from starlette.types import Receive, Scope, Send

from chassis.core.ids import new_id
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.contracts.test_permissions import somebody
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate, Handler, answer, send_raw
from tests.town import Town, actor

RESIDENT = actor("resident")
WHERE = {
    "me": ("identity", "/api/identity/me"),
    "balances": ("points", "/api/points/accounts"),
    "orders": ("orders", "/api/orders"),
    "activities": ("events", "/api/events/signups"),
    "coupons": ("points", "/api/points/coupons"),
    "expiring": ("points", "/api/points/outlook/expiring"),
}
SINGLE = {"me", "expiring"}
"""The parts that are an answer as it is; the others are the items of a list."""

GIVEN: dict[str, Any] = {
    "me": {"name": "张三丰", "roles": ["resident"], "household": {"members": []}},
    "balances": [{"ledger": "civic", "balance": 36}],
    "orders": [{"number": "BY261123-000001", "closed_at": None}, {"number": "BY261123-000002"}],
    "activities": [{"id": "1", "activity": {"title": "清扫楼道", "category": "environment"}}],
    "coupons": [{"id": "10000000000001", "state": "effective"}],
    "expiring": {"points": [], "coupons": [{"id": "10000000000001"}]},
}


def saying(body: object, status: int = 200) -> Handler:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, body, status=status)

    return handler


def page(items: Sequence[object]) -> dict[str, object]:
    return {"items": items, "next_cursor": None}


def put(gate: Gate, part: str, handler: Handler) -> None:
    """Let the part's service answer it like this."""
    service, path = WHERE[part]
    gate.services[service].pages[path] = handler


def furnish(gate: Gate) -> Gate:
    """Every part is there."""
    for part, given in GIVEN.items():
        put(gate, part, saying(given if part in SINGLE else page(given)))
    return gate


def without(*parts: str) -> dict[str, Any]:
    """The screen that comes when these parts are missing."""
    return {part: None if part in parts else given for part, given in GIVEN.items()} | {"missing": list(parts)}


def mine(gate: Gate) -> dict[str, str]:
    return {"Authorization": f"Bearer {gate.token(RESIDENT)}"}


def asked(gate: Gate, part: str) -> dict[str, Any]:
    """The one request for the part: its query, and its headers."""
    service, path = WHERE[part]
    (scope,) = [scope for scope in gate.services[service].seen if scope["path"] == path]
    assert scope["method"] == "GET"
    return {"query": parse_qs(scope["query_string"].decode(), strict_parsing=bool(scope["query_string"]))} | {
        name.decode(): value.decode() for name, value in scope["headers"]
    }


async def test_every_part_comes_as_its_service_gave_it(gate: Gate) -> None:
    got = await furnish(gate).client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()) == (200, without())
    assert got.headers["cache-control"] == "private, no-store"
    assert got.headers["content-type"] == "application/json"


async def test_the_parts_are_asked_for_in_the_callers_name_and_under_their_request(gate: Gate) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    offered = {"X-Request-Id": "first-screen.0042", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    signed_in = mine(gate)
    got = await furnish(gate).client.get("/api/home", headers=signed_in | offered)
    assert got.headers["x-request-id"] == "first-screen.0042"
    for part, (service, _) in WHERE.items():
        headers = asked(gate, part)
        assert headers["authorization"] == signed_in["Authorization"]
        assert (headers["x-request-id"], headers["traceparent"].split("-")[1]) == ("first-screen.0042", trace)
        assert headers["x-beiyuan-client"] == "127.0.0.1"
        assert gate.service_tokens(service).issuer(headers["x-beiyuan-gateway"]) == "gateway"


async def test_no_part_holds_more_than_the_persons_own_that_matters_now(gate: Gate) -> None:
    await furnish(gate).client.get("/api/home", headers=mine(gate))
    assert {part: asked(gate, part)["query"] for part in WHERE} == {
        "me": {},
        "balances": {"owner": ["me"]},
        "orders": {"owner": ["me"], "open": ["true"], "limit": ["20"]},
        "activities": {"owner": ["me"], "upcoming": ["true"], "limit": ["20"]},
        "coupons": {"owner": ["me"], "state": ["effective"], "limit": ["20"]},
        "expiring": {},
    }


async def test_the_parts_are_asked_for_at_once(gate: Gate) -> None:
    everybody = asyncio.Barrier(len(WHERE))

    def together(body: object) -> Handler:
        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            await everybody.wait()  # one after the other, nobody would ever come through
            await answer(send, body)

        return handler

    for part, given in GIVEN.items():
        put(gate, part, together(given if part in SINGLE else page(given)))
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert got.json() == without()


@pytest.mark.parametrize(
    "authorization", [None, "Basic eA==", 'HHBY1-ED25519 mchid="1"', "Bearer", "Bearer nonsense"], ids=repr
)
async def test_nobody_is_shown_a_first_screen_without_signing_in(gate: Gate, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    got = await furnish(gate).client.get("/api/home", headers=headers)
    assert (got.status_code, got.headers["content-type"]) == (401, "application/problem+json")
    assert got.headers["www-authenticate"].startswith("Bearer")
    assert not any(service.seen for service in gate.services.values())


@pytest.mark.parametrize(
    ("service", "missing"),
    [("points", ("balances", "coupons", "expiring")), ("orders", ("orders",)), ("events", ("activities",))],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_service_that_is_down_takes_its_own_parts_away_and_no_others(
    open_gate: OpenGate, service: str, missing: tuple[str, ...]
) -> None:
    async with open_gate(absent=(service,)) as gate:
        got = await furnish(gate).client.get("/api/home", headers=mine(gate))
        assert (got.status_code, got.json()) == (200, without(*missing))


async def test_identity_going_down_leaves_the_other_parts_to_those_who_are_signed_in(gate: Gate) -> None:
    put(furnish(gate), "me", saying({}, 503))
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()) == (200, without("me"))


@pytest.mark.parametrize("part", ["me", "activities"])
async def test_a_slow_part_is_not_waited_for_and_its_service_stops_working_on_it(
    open_gate: OpenGate, part: str
) -> None:
    async with open_gate(home_part_seconds=2) as gate:
        service = gate.services[WHERE[part][0]]
        stopped = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await service.on_wait(scope, receive, send)
            finally:
                stopped.set()

        put(furnish(gate), part, slow)
        got = await gate.client.get("/api/home", headers=mine(gate))
        assert (got.status_code, got.json()) == (200, without(part))
        await asyncio.wait_for(stopped.wait(), 60)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("secret detail of the failure")


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
    await send({"type": "http.response.body", "body": b'{"items"', "more_body": True})
    raise RuntimeError("secret detail of the failure")


async def no_json(scope: Scope, receive: Receive, send: Send) -> None:
    await send_raw(send, 200, [(b"content-type", b"text/html")], b"<html>")


WRONG: dict[str, Handler] = {
    **{str(status): saying({"code": "refused", "items": []}, status) for status in (302, 422, 429, 500, 503)},
    "raises": broken,
    "half": half,
    "no JSON": no_json,
    "a list": saying([1]),
    "no items": saying({}),
    "items that are none": saying({"items": 7}),
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("part", ["orders", "activities"])
async def test_a_part_that_goes_wrong_is_missing_and_the_rest_still_comes(gate: Gate, part: str, how: str) -> None:
    put(furnish(gate), part, WRONG[how])
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()) == (200, without(part))


@pytest.mark.parametrize("part", WHERE)
async def test_who_is_not_signed_in_to_one_service_is_not_signed_in(gate: Gate, part: str) -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/problem+json"), (b"www-authenticate", b"Bearer")]
        await send_raw(send, 401, headers, json.dumps({"code": "person_gone"}).encode())

    put(furnish(gate), part, gone)
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()) == (401, {"code": "person_gone"})
    assert (got.headers["content-type"], got.headers["www-authenticate"]) == ("application/problem+json", "Bearer")
    assert got.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("status", [403, 404])
async def test_what_is_not_for_somebody_like_them_is_empty_and_not_missing(gate: Gate, status: int) -> None:
    for part in WHERE:
        put(furnish(gate), part, saying({"code": "forbidden"}, status))
        got = await gate.client.get("/api/home", headers=mine(gate))
        empty: dict[str, Any] = {part: None if part in SINGLE else []}
        assert (got.status_code, got.json()) == (200, without() | empty)


async def test_a_part_without_end_is_given_up_and_fills_nothing(gate: Gate) -> None:
    sent, stopped = 0, asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        gone = asyncio.create_task(until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not gone.done():
                await send({"type": "http.response.body", "body": b" " * 65536, "more_body": True})
                sent += 65536
                await asyncio.sleep(0)
        finally:
            gone.cancel()
            stopped.set()

    put(furnish(gate), "orders", endless)
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()) == (200, without("orders"))
    await asyncio.wait_for(stopped.wait(), 60)
    assert sent < 16 << 20  # what is on its way over a socket counts too


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def test_a_part_is_taken_up_to_its_bound(gate: Gate) -> None:
    for size, missing in ((900_000, ()), (1 << 20, ("orders",))):
        put(furnish(gate), "orders", saying(page([{"words": "x" * size}])))
        got = await gate.client.get("/api/home", headers=mine(gate))
        assert tuple(got.json()["missing"]) == missing


async def test_with_no_part_at_all_it_says_that_it_is_down(gate: Gate) -> None:
    for part in WHERE:
        put(gate, part, saying({}, 500))
    got = await gate.client.get("/api/home", headers=mine(gate))
    assert (got.status_code, got.json()["code"]) == (503, "service_down")
    assert int(got.headers["retry-after"]) > 0


async def test_when_the_app_hangs_up_no_service_goes_on_working_for_it(gate: Gate) -> None:
    begun, ended = asyncio.Semaphore(0), asyncio.Semaphore(0)

    def slow(part: str) -> Handler:
        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            begun.release()
            try:
                await gate.services[WHERE[part][0]].on_wait(scope, receive, send)
            finally:
                ended.release()

        return handler

    for part in WHERE:
        put(gate, part, slow(part))
    _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(f"GET /api/home HTTP/1.1\r\nHost: x\r\nAuthorization: {mine(gate)['Authorization']}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        for _ in WHERE:
            await begun.acquire()
        writer.close()
        for _ in WHERE:
            await ended.acquire()


async def test_many_first_screens_at_once_are_not_mixed_up(gate: Gate) -> None:
    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"])[b"authorization"].decode()
        await asyncio.sleep(0)
        await answer(send, page([{"token": token}]) | {"token": token})

    for part in WHERE:
        put(gate, part, own)
    tokens = [f"Bearer {gate.token(actor('resident'))}" for _ in range(20)]
    screens = await asyncio.gather(*(gate.client.get("/api/home", headers={"Authorization": one}) for one in tokens))
    for token, screen in zip(tokens, screens, strict=True):
        got = screen.json()
        assert all(got[part]["token"] == token for part in SINGLE)
        assert all(got[part] == [{"token": token}] for part in WHERE if part not in SINGLE)


@pytest.mark.usefixtures("mid_window")
async def test_a_first_screen_counts_as_one_request(open_gate: OpenGate) -> None:
    async with open_gate(limit_on_loopback=2) as gate:
        furnish(gate)
        statuses = [(await gate.client.get("/api/home", headers=mine(gate))).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


async def test_the_document_says_of_each_part_what_its_service_says(open_gate: OpenGate) -> None:
    async with open_gate(absent=("events",)) as gate:
        furnish(gate)
        gate.services["identity"].openapi = document("/api/identity/me", {"$ref": "#/components/schemas/Thing"}, "name")
        gate.orders.openapi = document("/api/orders", {"$ref": "#/components/schemas/Page"}, "number")
        gate.services["points"].openapi = document(
            "/api/points/accounts", {"$ref": "#/components/schemas/Page"}, "ledger"
        )
        described = (await gate.client.get("/openapi.json")).json()
        got = (await gate.client.get("/api/home", headers=mine(gate))).json()
    operation = described["paths"]["/api/home"]["get"]
    assert operation["security"] == [{"access_token": []}]
    assert {"200", "401", "429", "503"} == operation["responses"].keys()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"] | {
        "components": described["components"]
    }
    jsonschema.validate(got, schema)
    assert got["missing"] == ["activities"]
    jsonschema.validate(without(*WHERE), schema)
    wrongs: list[dict[str, Any]] = [
        {"me": {}},
        {"orders": [{}]},
        {"balances": [{"ledger": 1}]},
        {"missing": ["weather"]},
    ]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(got | wrong, schema)


async def test_the_real_services_give_every_part_as_the_document_says(town: Town) -> None:
    app = create_app(GatewaySettings(keys_dir=town.keys_dir, home_part_seconds=60), town.directory)
    person = await somebody(town, "resident")
    headers = {"Authorization": f"Bearer {town.token(replace(person, household_id=new_id()))}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://town.test") as client:
        got = await client.get("/api/home", headers=headers)
        described = (await client.get("/openapi.json")).json()
    assert (got.status_code, got.json()["missing"], got.json()["me"]["id"]) == (200, [], str(person.id))
    assert [account["ledger"] for account in got.json()["balances"]] == ["civic"]
    schema = described["paths"]["/api/home"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for part in ("balances", "orders", "activities", "coupons"):
        assert "$ref" in schema["properties"][part]["anyOf"][0]["items"], f"of {part} the document says nothing"
    jsonschema.validate(got.json(), schema | {"components": described["components"]})


def document(path: str, schema: dict[str, Any], field: str) -> dict[str, Any]:
    """What a service says of itself: things with one field, alone or in pages."""
    thing = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    items = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}, "title": "Items"}
    return {
        "paths": {
            path: {
                "get": {
                    "operationId": "listed",
                    "security": [{"access_token": []}],
                    "responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}}},
                }
            }
        },
        "components": {
            "schemas": {"Thing": thing, "Page": {"type": "object", "properties": {"items": items}}},
            "securitySchemes": {"access_token": {"type": "http", "scheme": "bearer"}},
        },
    }
