"""What nobody outside may reach, or say."""

import pytest
from starlette.types import Message

from chassis.core.client import Directory
from chassis.core.tokens import InvalidToken
from gateway.app import create_app
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate


@pytest.mark.parametrize(
    "target",
    [
        "/internal",
        "/internal/messages",
        "//internal/messages",
        "/./internal/messages",
        "/%69nternal/messages",
        "/api/../internal/messages",
        "/api/orders/../../internal/messages",
        "/api/orders/..;/..;/internal/messages",
        "/api/orders/%2e%2e/%2e%2e/internal/messages",
        "/api/orders/%2E./.%2e/internal/messages",
        "/api/orders/..%2f..%2finternal/messages",
        "/api/orders/..%5c..%5cinternal/messages",
        "/api/orders/..\\..\\internal/messages",
        "/api/orders\\..\\..\\internal",
        "/api/orders/%252e%252e/%252e%252e/internal/messages",
        "/api/orders//internal/messages",
        "/api/orders/%2finternal/messages",
        "/api/orders%2f..%2f..%2finternal/messages",
        "/api/orders/%00/../internal",
        "/api/orders/%0d%0aX-Beiyuan-Client:%20192.0.2.1/internal",
        "/api/internal",
        "/orders/internal",
        "/readyz/../internal",
        "/openapi.json/../internal",
    ],
)
async def test_the_services_inner_routes_cannot_be_reached(gate: Gate, target: str) -> None:
    status, answered = await gate.get_raw(target)
    assert status == 404
    assert b"application/problem+json" in answered
    assert not any(service.seen for service in gate.services.values())


async def test_an_absolute_target_goes_where_its_path_says(gate: Gate) -> None:
    assert (await gate.get_raw("http://orders.internal/internal/messages"))[0] == 404
    assert (await gate.get_raw("http://elsewhere.example/api/orders/echo"))[0] == 200


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/order", "/api/orderss", "/API/orders", "/apiorders", "/x"])
async def test_an_unknown_path_is_answered_with_a_problem(gate: Gate, path: str) -> None:
    answer = await gate.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert not any(service.seen for service in gate.services.values())


async def test_a_wrong_method_on_our_own_page_is_answered_with_a_problem(gate: Gate) -> None:
    answer = await gate.client.post("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Beiyuan-Actor",
        "X-Beiyuan-Gateway",
        "x_beiyuan_client",
        "X-User-Id",
        "X-User",
        "X-Actor",
        "X-Actor-Roles",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Proxy-Authorization",
        "TE",
        "Upgrade",
        "Keep-Alive",
        "Trailer",
    ],
)
async def test_nobody_outside_says_who_they_are_or_steers_the_connection(gate: Gate, name: str) -> None:
    await gate.client.get("/api/orders/echo", headers={name: "forged"})
    assert "forged" not in [value.decode() for _, value in gate.orders.seen[-1]["headers"]]


async def test_headers_named_by_connection_stay_on_this_hop(gate: Gate) -> None:
    headers = {"Connection": "keep-alive, X-Hop, X-Beiyuan-Client, Authorization", "X-Hop": "1", "X-Kept": "2"}
    await gate.client.get("/api/orders/echo", headers=headers)
    assert gate.orders.header("x-hop") is None
    assert gate.orders.header("x-kept") == "2"
    assert gate.orders.header("x-beiyuan-client") == "127.0.0.1"


async def test_connection_cannot_be_used_to_take_the_sign_in_off_a_request(gate: Gate) -> None:
    await gate.client.get("/api/orders/echo", headers={"Connection": "Authorization", "Authorization": "Basic eA=="})
    assert gate.orders.header("authorization") == "Basic eA=="


async def test_headers_of_the_inside_do_not_come_out(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/headers")
    inside = {"x-only-this-hop", "keep-alive", "proxy-authenticate", "server", "x-powered-by", "x-beiyuan-secret"}
    assert inside.isdisjoint(answer.headers)
    assert answer.headers["x-kept"] == "yes"
    assert len(answer.headers.get_list("date")) == 1
    assert answer.headers.get_list("x-request-id") != ["another-id-of-the-service"]


async def test_a_service_can_tell_that_the_client_address_comes_from_the_gateway(gate: Gate) -> None:
    await gate.client.get("/api/orders/echo")
    token = gate.orders.header("x-beiyuan-gateway")
    assert token is not None
    assert gate.service_tokens("orders").issuer(token) == "gateway"
    with pytest.raises(InvalidToken):
        gate.service_tokens("points").issuer(token)


async def test_the_client_address_is_the_peers_unless_a_proxy_is_configured(gate: Gate) -> None:
    await gate.client.get("/api/orders/echo", headers={"X-Forwarded-For": "198.51.100.9"})
    assert gate.orders.header("x-beiyuan-client") == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("198.51.100.9:4711", "198.51.100.9"),
        ("203.0.113.1, 198.51.100.9, 10.1.2.3", "198.51.100.9"),
        ("10.1.2.3", "10.1.2.3"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("203.0.113.1, nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_behind_configured_proxies_the_address_is_the_last_one_they_saw(
    open_gate: OpenGate, forwarded: str, expected: str
) -> None:
    async with open_gate(trusted_proxies="127.0.0.0/8, 10.0.0.0/8") as gate:
        await gate.client.get("/api/orders/echo", headers={"X-Forwarded-For": forwarded})
        assert gate.orders.header("x-beiyuan-client") == expected


async def test_an_offer_to_upgrade_is_not_taken_up(gate: Gate) -> None:
    status, _ = await gate.get_raw("/api/orders/echo", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    assert (status, gate.orders.header("upgrade")) == (200, None)


async def test_a_websocket_is_refused(gate: Gate) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = create_app(gate.settings, Directory())
    await app({"type": "websocket", "path": "/api/orders/echo", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
