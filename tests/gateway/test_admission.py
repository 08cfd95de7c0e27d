"""Who is let in: tokens, limits, browsers of other origins, and what every answer carries."""

import re
import time

import pytest
import time_machine

from chassis.core import keys
from chassis.core.limits import LoopStorage
from chassis.core.tokens import encode_access_token
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate
from tests.town import actor

RESIDENT = actor("resident")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_token_the_service_decides(gate: Gate) -> None:
    assert (await gate.client.get("/api/orders/echo")).status_code == 200


async def test_a_valid_token_passes_on_to_the_service(gate: Gate) -> None:
    token = gate.token(RESIDENT)
    answer = await gate.client.get("/api/orders/echo", headers=bearer(token))
    assert answer.status_code == 200
    assert gate.orders.header("authorization") == f"Bearer {token}"


async def test_an_expired_token_is_refused_at_the_edge(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/echo", headers=bearer(gate.token(RESIDENT, seconds=-3600)))
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["code"] == "invalid_token"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert gate.orders.seen == []


@pytest.mark.parametrize("page", ["otp", "tokens", "tokens/refresh", "tokens/revoke", "privacy-notice"])
async def test_an_app_with_an_expired_token_can_still_get_another(gate: Gate, page: str) -> None:
    expired = bearer(gate.token(RESIDENT, seconds=-3600))
    answer = await gate.client.post(f"/api/identity/{page}", headers=expired, json={})
    assert answer.status_code != 401
    assert gate.services["identity"].header("authorization") is None


async def test_a_token_that_was_good_is_refused_once_it_has_expired(gate: Gate) -> None:
    token = gate.token(RESIDENT, seconds=60)
    assert (await gate.client.get("/api/orders/echo", headers=bearer(token))).status_code == 200
    with time_machine.travel(3600 + time.time(), tick=True):
        assert (await gate.client.get("/api/orders/echo", headers=bearer(token))).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "Bearer", "." * 40, "é" * 8])
async def test_nonsense_for_a_token_is_refused(gate: Gate, token: str) -> None:
    status, answered = await gate.get_raw("/api/orders/echo", f"Authorization: Bearer {token}")
    assert (status, gate.orders.seen) == (401, [])
    assert b"invalid_token" in answered


async def test_a_token_signed_by_somebody_else_is_refused(gate: Gate) -> None:
    forged = encode_access_token(keys.generate_signing_key(str(gate.orders.signing_key.kid)), RESIDENT, seconds=60)
    assert (await gate.client.get("/api/orders/echo", headers=bearer(forged))).status_code == 401


async def test_a_services_own_token_does_not_sign_anybody_in(gate: Gate) -> None:
    inner = gate.service_tokens("points").issue("orders")
    assert (await gate.client.get("/api/orders/echo", headers=bearer(inner))).status_code == 401


async def test_two_tokens_at_once_are_refused(gate: Gate) -> None:
    lines = [f"Authorization: Bearer {gate.token(RESIDENT)}", f"Authorization: Bearer {gate.token(actor('auditor'))}"]
    assert (await gate.get_raw("/api/orders/echo", *lines))[0] == 401


async def test_other_schemes_are_for_the_services_to_judge(gate: Gate) -> None:
    headers = {"Authorization": 'HHBY1-ED25519 mchid="1"'}
    assert (await gate.client.get("/api/orders/echo", headers=headers)).status_code == 200


async def test_an_address_over_its_limit_is_told_when_to_come_back(open_gate: OpenGate) -> None:
    with time_machine.travel(1_800_000_030, tick=False):
        async with open_gate(limit_on_loopback=3) as gate:
            for left in (2, 1, 0):
                answer = await gate.client.get("/api/orders/echo")
                assert answer.status_code == 200
                assert answer.headers["ratelimit-policy"] == '"address";q=3;w=60'
                assert re.fullmatch(rf'"address";r={left};t=\d+', answer.headers["ratelimit"])
            refused = await gate.client.get("/api/orders/echo")
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert refused.headers["ratelimit"].startswith('"address";r=0;')
            assert len(gate.orders.seen) == 3


async def test_the_limit_opens_again_when_the_window_has_passed(open_gate: OpenGate) -> None:
    with time_machine.travel(1_800_000_030, tick=False) as clock:
        async with open_gate(limit_on_loopback=1) as gate:
            assert (await gate.client.get("/api/orders/echo")).status_code == 200
            assert (await gate.client.get("/api/orders/echo")).status_code == 429
            clock.shift(121)
            assert (await gate.client.get("/api/orders/echo")).status_code == 200


def test_those_who_have_gone_leave_nothing_behind_in_the_counts() -> None:
    storage = LoopStorage()
    with time_machine.travel(1_800_000_030, tick=False) as clock:
        for n in range(1000):
            storage.incr(f"address {n}", 120)
        clock.shift(121)
        storage.incr("another", 120)
        assert (storage.get("another"), len(storage.storage), len(storage.expirations)) == (1, 1, 1)


@pytest.mark.usefixtures("mid_window")
async def test_one_address_over_its_limit_leaves_the_others_alone(open_gate: OpenGate) -> None:
    async with open_gate(limit_per_address=1, trusted_proxies="127.0.0.1") as gate:
        statuses = []
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"]:
            answer = await gate.client.get("/api/orders/echo", headers={"X-Forwarded-For": address})
            statuses.append(answer.status_code)
        assert statuses == [200, 429, 200, 200, 429, 200], "an IPv6 client is its /64"


@pytest.mark.usefixtures("mid_window")
async def test_a_person_over_their_limit_is_refused_wherever_they_are(open_gate: OpenGate) -> None:
    async with open_gate(limit_per_person=1, trusted_proxies="127.0.0.1") as gate:
        me, you = bearer(gate.token(RESIDENT)), bearer(gate.token(actor("resident")))
        first = await gate.client.get("/api/orders/echo", headers=me | {"X-Forwarded-For": "192.0.2.1"})
        assert (first.status_code, '"person";q=1;w=60' in first.headers["ratelimit-policy"]) == (200, True)
        second = await gate.client.get("/api/orders/echo", headers=me | {"X-Forwarded-For": "192.0.2.2"})
        other = await gate.client.get("/api/orders/echo", headers=you | {"X-Forwarded-For": "192.0.2.2"})
        assert (second.status_code, other.status_code) == (429, 200)


async def test_probes_are_never_refused_for_asking_often(open_gate: OpenGate) -> None:
    async with open_gate(limit_on_loopback=1) as gate:
        for path in ["/healthz", "/readyz"] * 3:
            assert (await gate.client.get(path)).status_code == 200


async def test_no_origin_may_call_by_default(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/echo", headers={"Origin": "https://app.example.org"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.usefixtures("mid_window")
async def test_a_configured_origin_may_call_and_read_refusals(open_gate: OpenGate) -> None:
    async with open_gate(cors_origins="https://app.example.org,https://b.example.org", limit_on_loopback=2) as gate:
        origin = {"Origin": "https://app.example.org"}
        asked = origin | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key",
        }
        preflight = await gate.client.options("/api/orders/echo", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.org"
        assert preflight.headers["x-content-type-options"] == "nosniff"
        for status in (200, 200, 429):
            answer = await gate.client.get("/api/orders/echo", headers=origin)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
        stranger = await gate.client.get("/api/orders/echo", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_every_answer_carries_the_protective_headers(gate: Gate) -> None:
    for path in ["/api/orders/echo", "/nowhere", "/healthz", "/docs"]:
        answer = await gate.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "referrer-policy" in answer.headers
        assert {"strict-transport-security", "server", "x-powered-by"}.isdisjoint(answer.headers)


async def test_a_services_own_policy_is_kept(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/headers")
    assert answer.headers.get_list("referrer-policy") == ["same-origin"]


async def test_browsers_are_held_to_https_where_it_is_served(open_gate: OpenGate) -> None:
    async with open_gate(trusted_proxies="127.0.0.1") as gate:
        answer = await gate.client.get("/api/orders/echo", headers={"X-Forwarded-Proto": "https"})
        assert "max-age" in answer.headers["strict-transport-security"]
