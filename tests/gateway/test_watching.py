"""What those who run the town see: ids, health, counters, and the document of the whole API."""

import re

import pytest

from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_request_keeps_the_id_that_it_came_with(gate: Gate) -> None:
    answer = await gate.client.get("/api/orders/echo", headers={"X-Request-Id": "till-7_receipt.0042"})
    assert answer.headers.get_list("x-request-id") == ["till-7_receipt.0042"]
    assert gate.orders.header("x-request-id") == "till-7_receipt.0042"


@pytest.mark.parametrize("offered", ["", "short", "x" * 65, "with space in it", "semi;colon;here"])
async def test_an_ill_formed_request_id_is_replaced(gate: Gate, offered: str) -> None:
    answer = await gate.client.get("/api/orders/echo", headers={"X-Request-Id": offered})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert gate.orders.header("x-request-id") == answer.headers["x-request-id"]


async def test_a_trace_is_continued_with_a_span_of_our_own(gate: Gate) -> None:
    offered = f"00-{TRACE}-b7ad6b7169203331-00"
    await gate.client.get("/api/orders/echo", headers={"traceparent": offered, "tracestate": "vendor=1"})
    version, trace, span, flags = (gate.orders.header("traceparent") or "").split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != "b7ad6b7169203331"
    assert gate.orders.header("tracestate") == "vendor=1"


@pytest.mark.parametrize(
    "offered", [None, "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-{'1' * 16}-01"]
)
async def test_without_a_valid_trace_a_new_one_begins(gate: Gate, offered: str | None) -> None:
    headers = {"tracestate": "vendor=1"} | ({"traceparent": offered} if offered else {})
    await gate.client.get("/api/orders/echo", headers=headers)
    begun = gate.orders.header("traceparent") or ""
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01", begun)
    assert TRACE not in begun
    assert gate.orders.header("tracestate") is None, "it belongs to the trace that was not valid"


async def test_healthz_says_that_the_process_lives(gate: Gate) -> None:
    answer = await gate.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readyz_names_the_service_that_is_not_ready(open_gate: OpenGate) -> None:
    async with open_gate(absent=("points",)) as gate:
        gate.orders.ready = False
        answer = await gate.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unavailable",
            "services": {
                "identity": {"status": "ok", "database": "ok"},
                "orders": {"status": "unavailable", "database": "unavailable"},
                "events": {"status": "ok", "database": "ok"},
                "points": {"status": "unavailable", "database": "unknown"},
            },
        }


async def test_readyz_is_well_when_everything_is(open_gate: OpenGate) -> None:
    async with open_gate() as gate:
        answer = await gate.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"], len(answer.json()["services"])) == (200, "ok", 4)


async def test_metrics_count_by_service_and_outcome_and_never_by_path(open_gate: OpenGate) -> None:
    async with open_gate() as gate:
        await gate.client.get("/api/orders/echo/secret-token")
        await gate.client.get("/nowhere/secret-token")
        await gate.client.request("BREW", "/api/points/echo")
        counted = (await gate.client.get("/metrics")).text
        assert 'beiyuan_gateway_requests_total{method="GET",service="orders",status="2xx"} 1.0' in counted
        assert 'beiyuan_gateway_requests_total{method="GET",service="gateway",status="4xx"} 1.0' in counted
        assert "secret-token" not in counted
        assert "BREW" not in counted


async def test_the_docs_page_loads_nothing_from_elsewhere(gate: Gate) -> None:
    page = await gate.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert "/docs/swagger-ui-bundle.js" in loaded
    for path in loaded:
        assert path.startswith("/")
        assert (await gate.client.get(path)).status_code == 200
    script = await gate.client.get("/docs/swagger-ui-bundle.js")
    assert (len(script.content) > 500_000, script.headers["content-type"]) == (True, "text/javascript; charset=utf-8")


def _operation(operation_id: str, schema: str) -> dict[str, object]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"get": {"operationId": operation_id, "responses": {"200": {"description": "", "content": content}}}}


async def test_the_documents_of_all_services_become_one(open_gate: OpenGate) -> None:
    async with open_gate() as gate:
        same = {"type": "object", "properties": {"a": {"type": "string"}}}
        looks_the_same = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
        gate.orders.openapi = {
            "paths": {
                "/api/orders/things": _operation("list_things", "Pile"),
                "/api/orders/same": _operation("same", "Same"),
                "/internal/messages": _operation("take", "Secret"),
                "/healthz": _operation("healthz", "Secret"),
            },
            "components": {
                "schemas": {
                    "Thing": {"type": "string"},
                    "Pile": looks_the_same,
                    "Same": same,
                    "Secret": {"type": "null"},
                }
            },
        }
        gate.services["points"].openapi = {
            "paths": {
                "/api/points/things": _operation("list_things", "Pile"),
                "/api/points/same": _operation("other", "Same"),
            },
            "components": {
                "schemas": {
                    "Pile": looks_the_same,
                    "Thing": {"type": "integer"},
                    "Same": same,
                }
            },
        }
        document = (await gate.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert {"/api/orders/things", "/api/points/things", "/healthz", "/docs"} <= document["paths"].keys()
    assert "/internal/messages" not in document["paths"]
    assert (schemas["orders_Thing"], schemas["points_Thing"]) == ({"type": "string"}, {"type": "integer"})
    for service in ("orders", "points"):
        assert schemas[f"{service}_Pile"]["items"] == {"$ref": f"#/components/schemas/{service}_Thing"}
    assert schemas["Same"] == same
    assert {"Thing", "Secret"}.isdisjoint(schemas)
    ids = [item["get"]["operationId"] for item in document["paths"].values()]
    assert {"orders_list_things", "points_list_things", "other"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert {"401", "429", "502", "503", "504"} <= document["paths"]["/api/points/things"]["get"]["responses"].keys()


async def test_without_one_service_the_document_still_holds_the_others(open_gate: OpenGate) -> None:
    async with open_gate(absent=("points",)) as gate:
        gate.orders.openapi = {"paths": {"/api/orders/things": _operation("things", "Thing")}}
        document = (await gate.client.get("/openapi.json")).json()
        assert "/api/orders/things" in document["paths"]
        gate.orders.openapi = {"paths": {"/api/orders/more": _operation("more", "Thing")}}
        document = (await gate.client.get("/openapi.json")).json()
        assert "/api/orders/more" in document["paths"], "an incomplete document is not kept"
