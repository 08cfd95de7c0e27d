"""Where merchants call: what they signed arrives as they signed it, and refusals speak their protocol."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
import time_machine
from starlette.types import Receive, Scope, Send

from chassis.core.client import Directory
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.conftest import OpenGate
from tests.gateway.standin import Gate, StandIn, send_raw, serving
from tests.gateway.test_bounds import pieces
from tests.town import actor

SIGNED = (
    'HHBY1-SHA256-RSA2048 mchid="1900000001",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",'
    'signature="MvA0/Dt+8h==",timestamp="1763856000",serial_no="1DDE55AD98ED71D6"'
)
PACKED = bytes.fromhex("1f8b08000000000000034b040043beb7e801000000")


def points(gate: Gate) -> StandIn:
    return gate.services["points"]


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    """It must be a refusal in the partner protocol's envelope, unsigned, under the request's id."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    body = answer.json()
    assert body.keys() == {"code", "message", "detail"}
    assert (body["code"], body["detail"].keys()) == (code, {"reason", "fields"})
    assert body["message"]
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert not [name for name in answer.headers if name.startswith("hhby-")]


@pytest.mark.parametrize(
    "target",
    [
        "/merchant/v1/echo",
        "/merchant/v1/echo?a=1&a=2&=&b",
        "/merchant/v1/echo?q=%e5%8c%97%E4%BA%AC+%2b%2F%2f&x=/?:@!$'()*,;~",
        "/merchant/v1/echo?q=%zz%&%00%ff",
        "/merchant/v1/coupons/%e5%8C%97%E4%ba%AC",
        "/merchant/v1/coupons/a+b%2B~!$&'()*,:@c;v=1",
        "/merchant/v1/coupons/10000000000001/",
        "/%6derchant/v1/echo",
        "/merchant/v1",
    ],
)
async def test_the_path_and_query_that_were_signed_are_those_that_arrive(gate: Gate, target: str) -> None:
    status, answered = await gate.get_raw(target, f"Authorization: {SIGNED}")
    assert status == 200
    seen = json.loads(answered.split(b"\r\n\r\n", 1)[1])
    path, _, query = target.partition("?")
    assert (seen["service"], seen["raw_path"], bytes.fromhex(seen["query"])) == ("points", path, query.encode())


async def test_a_question_mark_with_nothing_after_it_is_no_query(gate: Gate) -> None:
    """No server tells its applications of it: whoever signs it with the path is refused by the signature's check."""
    status, _ = await gate.get_raw("/merchant/v1/echo?", f"Authorization: {SIGNED}")
    assert status == 200
    assert (points(gate).seen[-1]["raw_path"], points(gate).seen[-1]["query_string"]) == (b"/merchant/v1/echo", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"a": 1}\r\n',
        b"\r\n\r\n",
        b"\xff\xfe\x00 not UTF-8 \x80",
        b"%E5%8C%97 {}",
        b"\xef\xbb\xbf{}",
        b"x" * 90_000,
    ],
    ids=["empty", "newline", "newlines", "bytes", "escapes", "mark", "long"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
async def test_the_body_that_was_signed_is_the_one_that_arrives(gate: Gate, body: bytes, chunked: bool) -> None:
    arrived = b""

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal arrived
        more = True
        while more:
            message = await receive()
            arrived, more = arrived + message.get("body", b""), message.get("more_body", False)
        await send_raw(send, 200, [], b"")

    points(gate).pages["/merchant/v1/coupons/use"] = take
    if chunked:
        framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]) if piece)
        head, sent = "Transfer-Encoding: chunked", framed + b"0\r\n\r\n"
    else:
        head, sent = f"Content-Length: {len(body)}", body
    lines = ["POST /merchant/v1/coupons/use HTTP/1.1", "Host: x", "Connection: close", head, "", ""]
    answered = await gate.raw("\r\n".join(lines).encode() + sent)
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert arrived == body


async def test_a_packed_body_is_neither_unpacked_nor_packed_on_the_way(gate: Gate) -> None:
    answer = await gate.client.post("/merchant/v1/echo", content=PACKED, headers={"Content-Encoding": "gzip"})
    assert bytes.fromhex(answer.json()["body"]) == PACKED
    assert points(gate).header("content-encoding") == "gzip"
    assert points(gate).header("content-length") == str(len(PACKED))
    async with gate.client.stream("GET", "/merchant/v1/packed") as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert b"".join([piece async for piece in packed.aiter_raw()]) == b"\x1f\x8b not really"


@pytest.mark.parametrize(
    "scheme", [SIGNED, SIGNED.replace("SHA256-RSA2048", "ED25519"), "Bearer x.y.z", "junk"], ids=len
)
async def test_a_signature_is_the_services_to_judge_and_arrives_whole(gate: Gate, scheme: str) -> None:
    headers = {"Authorization": scheme, "Connection": "keep-alive, Authorization"}
    answer = await gate.client.post("/merchant/v1/coupons/use", headers=headers, json={})
    assert (answer.status_code, points(gate).header("authorization")) == (200, scheme)


async def test_what_the_service_answers_passes_with_its_signature(gate: Gate) -> None:
    signature = [
        (b"HHBY-Timestamp", b"1763856000"),
        (b"HHBY-Nonce", b"593BEC0C930BF1AFEB40B4A08C8FB242"),
        (b"HHBY-Serial", b"5157F09EFDC096DE"),
        (b"HHBY-Signature", b"CtcbzwtQjN8rnOXItEBJ5aQFSnIXESeV28Pr2YEmf9+/DQ8Nx25ytW6FXBCAFdrr0mgqngX3AD9g=="),
        (b"Request-ID", b"of-the-service-itself"),
        (b"Retry-After", b"1"),
    ]
    body = b'{"code": "COUPON_USED",  "message":"\xe5\xb7\xb2\xe7\x94\xa8", "detail":{}}\n'

    async def say(scope: Scope, receive: Receive, send: Send) -> None:
        await send_raw(send, 409, [(b"Content-Type", b"application/json; charset=utf-8"), *signature], body)

    points(gate).pages["/merchant/v1/coupons/use"] = say
    answer = await gate.client.post("/merchant/v1/coupons/use", headers={"Authorization": SIGNED}, json={})
    assert (answer.status_code, answer.content) == (409, body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    for name, value in signature:
        assert answer.headers.get_list(name.decode()) == [value.decode()]


async def test_the_limit_by_address_is_the_first_thing_that_counts(open_gate: OpenGate) -> None:
    with time_machine.travel(1_800_000_030, tick=False):
        async with open_gate(limit_on_loopback=1, body_bytes=10_000) as gate:
            assert (await gate.client.get("/merchant/v1/a%2fb")).status_code == 404
            for path in ("/merchant/v1/a%2fb", "/merchant/v1/coupons/use"):
                answer = await gate.client.post(path, content=b"x" * 10_001, headers={"Authorization": SIGNED})
                refused(answer, 429, "RATE_LIMITED")
                assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert points(gate).seen == []


async def test_a_token_that_a_merchant_sends_along_is_no_persons_and_counts_for_nobody(open_gate: OpenGate) -> None:
    async with open_gate(limit_per_person=1, trusted_proxies="127.0.0.1") as gate:
        headers = {"Authorization": f"Bearer {gate.token(actor('merchant'))}", "X-Forwarded-For": "192.0.2.1"}
        for _ in range(3):
            answer = await gate.client.post("/merchant/v1/echo", headers=headers)
            assert (answer.status_code, '"person"' in answer.headers["ratelimit-policy"]) == (200, False)


@pytest.mark.parametrize(
    "target",
    [
        "/merchant/v1//coupons/use",
        "/merchant/v1/./coupons/use",
        "/merchant/v1/coupons%2f10000000000001",
        "/merchant/v1/coupons/%252e%252e/use",
        "/merchant/v1/coupons/a\\b",
        "/merchant%2fv1/coupons/use",
    ],
)
async def test_a_path_that_can_be_read_in_two_ways_is_nobodys(gate: Gate, target: str) -> None:
    lines = [f"GET {target} HTTP/1.1", "Host: town.test", "Connection: close", "Accept: text/html", "", ""]
    head, _, body = (await gate.raw("\r\n".join(lines).encode("latin-1"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["code"] == "NOT_FOUND"
    assert b"request-id: " in head.lower()
    assert points(gate).seen == []


@pytest.mark.parametrize(
    "path", ["/merchant", "/merchant/", "/merchant/v2/echo", "/merchant/v10/echo", "/Merchant/v1/echo"]
)
async def test_what_only_resembles_the_merchants_door_is_an_unknown_page(gate: Gate, path: str) -> None:
    answer = await gate.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_body_that_is_too_large_is_refused_in_their_words(open_gate: OpenGate) -> None:
    async with open_gate(body_bytes=10_000) as gate:
        for content in (b"x" * 10_001, pieces(50_000)):
            answer = await gate.client.post("/merchant/v1/echo", content=content, headers={"Accept": "text/html"})
            refused(answer, 413, "PARAM_ERROR")


async def test_a_body_that_trickles_in_is_given_up_in_their_words(open_gate: OpenGate) -> None:
    async with open_gate(body_seconds=0.3) as gate:
        answered = await gate.raw(b"POST /merchant/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        assert answered.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answered.partition(b"\r\n\r\n")[2])["code"] == "PARAM_ERROR"


async def test_a_service_that_is_away_or_slow_is_told_in_their_words(open_gate: OpenGate) -> None:
    async with open_gate(absent=("points",)) as gate:
        answer = await gate.client.post("/merchant/v1/coupons/use", json={})
        refused(answer, 503, "SYSTEM_ERROR")
        assert int(answer.headers["retry-after"]) > 0
    async with open_gate(answer_seconds=0.5) as gate:
        refused(await gate.client.post("/merchant/v1/wait", json={}), 504, "SYSTEM_ERROR")


async def test_a_service_that_breaks_off_or_fails_is_told_in_their_words(keys_dir: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret detail of the failure")

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as service:
        broken_off = Directory({"points": f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"})
        failing = Directory()
        failing.host("points", fail)
        for directory, status in ((broken_off, 502), (failing, 500)):
            app = create_app(GatewaySettings(keys_dir=keys_dir), directory)
            async with (
                serving(app) as port,
                httpx2.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False, verify=False
                ) as client,
            ):
                answer = await client.post("/merchant/v1/coupons/use", json={})
            refused(answer, status, "SYSTEM_ERROR")
            assert "secret" not in answer.text


@pytest.mark.usefixtures("mid_window")
async def test_no_web_page_may_call_where_merchants_do(open_gate: OpenGate) -> None:
    async with open_gate(cors_origins="https://app.example.org", limit_on_loopback=2) as gate:
        origin = {"Origin": "https://app.example.org"}
        preflight = await gate.client.options(
            "/merchant/v1/echo", headers=origin | {"Access-Control-Request-Method": "POST"}
        )
        assert preflight.json()["method"] == "OPTIONS", "it is the service's, like any other request"
        for answer in (preflight, *[await gate.client.get("/merchant/v1/echo", headers=origin) for _ in range(2)]):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.status_code == 429


async def test_the_document_says_how_the_edge_refuses_merchants(open_gate: OpenGate) -> None:
    async with open_gate() as gate:
        operation = {
            "operationId": "use_coupon",
            "requestBody": {"content": {}},
            "responses": {"200": {"description": ""}, "409": {"description": "of the service"}},
        }
        points(gate).openapi = {"paths": {"/merchant/v1/coupons/use": {"post": operation}, "/merchant/v2/x": {}}}
        described = (await gate.client.get("/openapi.json")).json()
    assert "/merchant/v2/x" not in described["paths"]
    responses = described["paths"]["/merchant/v1/coupons/use"]["post"]["responses"]
    assert responses.keys() == {"200", "408", "409", "413", "429", "502", "503", "504"}
    assert responses["409"] == {"description": "of the service"}
    schema = responses["429"]["content"]["application/json"]["schema"]["$ref"]
    envelope = described["components"]["schemas"][schema.rpartition("/")[2]]
    assert envelope["required"] == ["code", "message", "detail"]
