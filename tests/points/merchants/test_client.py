"""The client that a shop installs, against the service over a socket: what it does when answers are lost or forged."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from beiyuan_merchant import Client, Key, OutcomeUnknown, Patience, Refused, read_webhook
from beiyuan_merchant.errors import BadWebhook, NotUsable
from beiyuan_merchant.signing import reply_message, request_message, verifies

from services.points.merchants.terms import Algorithm
from tests import openssl
from tests.points.merchants.conftest import Key as OpensslKey
from tests.points.merchants.conftest import Market, Till
from tests.points.merchants.listening import listening

DOCS = Path(__file__).parents[3] / "docs" / "merchant.md"

T = TypeVar("T")
Meddling = Callable[[httpx2.Request, httpx2.Response], httpx2.Response | None]
AT_ONCE = Patience(seconds=0)
"""No pause fits into it: one attempt."""


class Way(httpx2.HTTPTransport):
    """The way to the service. What comes back passes through `meddle`, which may change it, or lose it (None)."""

    def __init__(self, meddle: Meddling | None = None) -> None:
        super().__init__()
        self._meddle = meddle
        self.seen: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        response = super().handle_request(request)
        if self._meddle is None or request.url.path.endswith("/platform-keys"):
            return response
        response.read()
        meddled = self._meddle(request, response)
        if meddled is None:
            raise httpx2.ReadError("lost", request=request)
        return meddled

    @property
    def tries(self) -> list[httpx2.Request]:
        """The signed requests that were sent."""
        return [request for request in self.seen if "Authorization" in request.headers]


@pytest.fixture
async def base(market: Market) -> AsyncIterator[str]:
    async with listening(market.points.town.apps["points"]) as address:
        yield address


def client_of(till: Till, base: str, way: Way | None = None, patience: Patience | None = None) -> Client:
    key = Key.of_pem(till.key.private.encode(), serial_no=till.key.serial_no)
    return Client(base, mchid=till.mchid, key=key, transport=way or Way(), patience=patience)


async def asked(client: Client, call: Callable[[Client], T]) -> T:
    """What a till's program, which waits for its answer, is told."""

    def ask() -> T:
        with closing(client):
            return call(client)

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize("algorithm", [Algorithm.RSA, Algorithm.ED25519])
async def test_a_shop_redeems_a_coupon_with_either_kind_of_key(market: Market, base: str, algorithm: Algorithm) -> None:
    made = openssl.new_rsa_key if algorithm is Algorithm.RSA else openssl.new_ed25519_key
    key = OpensslKey(*made(), algorithm)
    till = await market.till(key, algorithm=algorithm)
    _, coupon = await market.coupon(till)

    def shop(client: Client) -> None:
        client.echo("你好")
        prepared = client.prepare(coupon["code"], store_id="store-1")
        assert (prepared.usable, prepared.reward_title) == (True, coupon["reward"]["title"])
        at = datetime.now(UTC)
        used = client.use(
            prepare_token=prepared.prepare_token, store_id="store-1", out_request_no="R-000001", use_time=at
        )
        assert (used.state, used.coupon_id) == ("USED", coupon["id"])
        assert client.coupon(coupon["id"]).use_no == used.use_no
        assert client.request("use", "R-000001").answer["use_no"] == used.use_no

    await asked(client_of(till, base), shop)


async def test_an_answer_that_was_lost_on_the_way_is_asked_for_again_and_the_coupon_is_used_once(
    market: Market, till: Till, base: str
) -> None:
    _, coupon = await market.coupon(till)
    answers: list[bytes] = []

    def lose_the_first(_: httpx2.Request, response: httpx2.Response) -> httpx2.Response | None:
        answers.append(response.content)
        return response if len(answers) > 1 else None

    way = Way(lose_the_first)
    used = await asked(
        client_of(till, base, way),
        lambda client: client.use(coupon["code"], store_id="store-1", out_request_no="R-000001"),
    )
    assert used.state == "USED"
    assert answers[0] == answers[1]
    first, again = way.tries
    assert first.content == again.content
    assert first.headers["Authorization"] != again.headers["Authorization"]  # a nonce of its own


def _other_words(_: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    content = response.content.replace(b'"USED"', b'"ODD!"').replace(b"COUPON_NOT_FOUND", b"COUPON_NOT_FOUNT")
    return httpx2.Response(response.status_code, headers=response.headers, content=content)


def _of_another_request(_: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(
        response.status_code, headers=response.headers | {"HHBY-Nonce": "f" * 32}, content=response.content
    )


def _of_nobody(_: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(response.status_code, content=response.content)


@pytest.mark.parametrize("forge", [_other_words, _of_another_request, _of_nobody])
@pytest.mark.parametrize("known", [True, False], ids=["a coupon", "no coupon"])
async def test_a_till_hands_nothing_over_for_an_answer_that_is_not_the_platforms(
    market: Market, till: Till, base: str, forge: Meddling, known: bool
) -> None:
    _, coupon = await market.coupon(till)
    code = coupon["code"] if known else "1" * 20
    with pytest.raises(OutcomeUnknown, match="without a good signature"):
        await asked(
            client_of(till, base, Way(forge), AT_ONCE),
            lambda client: client.use(code, store_id="store-1", out_request_no="R-000001"),
        )


async def test_what_a_proxy_says_while_the_service_is_away_is_no_answer(market: Market, till: Till, base: str) -> None:
    _, coupon = await market.coupon(till)
    away: Iterator[bool] = iter([True, True, False])

    def proxy(_: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        return httpx2.Response(502, content=b"<h1>Bad Gateway</h1>") if next(away) else response

    used = await asked(
        client_of(till, base, Way(proxy)),
        lambda client: client.use(coupon["code"], store_id="store-1", out_request_no="R-000001"),
    )
    assert used.state == "USED"


async def test_a_certain_no_is_told_at_once_with_its_code(market: Market, till: Till, base: str) -> None:
    way = Way()
    with pytest.raises(Refused) as told:
        await asked(
            client_of(till, base, way),
            lambda client: client.use("1" * 20, store_id="store-1", out_request_no="R-000001"),
        )
    assert (told.value.code, told.value.status) == ("COUPON_NOT_FOUND", 404)
    assert told.value.request_id
    assert len(way.tries) == 1


async def test_a_service_that_is_not_there_leaves_the_outcome_open_after_the_time_that_was_given() -> None:
    private, _ = openssl.new_ed25519_key()
    key = Key.of_pem(private.encode(), serial_no="S")

    def nobody(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    client = Client(
        "http://till.invalid", mchid="1" * 10, key=key, patience=AT_ONCE, transport=httpx2.MockTransport(nobody)
    )
    with pytest.raises(OutcomeUnknown, match="ConnectError"):
        await asked(client, lambda client: client.coupon("1" * 14))


async def test_a_key_that_the_platform_does_not_know_is_hinted_at(market: Market, base: str) -> None:
    stranger = Till(market, await market.shop.reward(), "9" * 10, market._key)
    with pytest.raises(OutcomeUnknown, match="key is not on record"):
        await asked(client_of(stranger, base), lambda client: client.echo())


async def test_what_makes_no_sense_is_not_sent(till: Till, base: str) -> None:
    way = Way()
    with pytest.raises(NotUsable):
        await asked(client_of(till, base, way), lambda client: client.use(store_id="s", out_request_no="R-000001"))
    with pytest.raises(NotUsable):
        await asked(client_of(till, base, way), lambda client: client.coupon("../platform-keys"))
    assert way.seen == []


def _signed(secret: bytes, body: bytes, *, id_: str = "msg_1", at: int | None = None) -> dict[str, str]:
    """The headers of a notice, by the specification and the standard library alone."""
    timestamp = str(at or int(datetime.now(UTC).timestamp()))
    mac = hmac.digest(secret, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "Webhook-Id": id_,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def test_a_notice_is_believed_under_either_secret_while_they_are_rotated_and_under_no_other() -> None:
    old, new, strange = (bytes([n]) * 24 for n in (1, 2, 3))
    secrets = ["whsec_" + base64.b64encode(secret).decode() for secret in (old, new)]
    said: dict[str, Any] = {
        "id": "msg_1",
        "create_time": "2026-11-23T15:30:00+08:00",
        "event_type": "COUPON.USED",
        "resource": {"coupon_id": "1" * 14},
    }
    body = json.dumps(said).encode()
    for secret in (old, new):
        event = read_webhook(secrets, _signed(secret, body), body)
        assert (event.event_type, event.resource["coupon_id"]) == ("COUPON.USED", "1" * 14)
    for headers, content in [
        (_signed(strange, body), body),
        (_signed(old, body), body.replace(b"USED", b"VOID")),
        (_signed(old, body, at=1_700_000_000), body),
        ({}, body),
    ]:
        with pytest.raises(BadWebhook):
            read_webhook(secrets, headers, content)


async def _run(till: Till, base: str, key: Path, *words: str) -> tuple[int, str, str]:
    """The command as a shop's own program would run it: its exit code, output and errors."""
    variables = {
        "BEIYUAN_MERCHANT_URL": base,
        "BEIYUAN_MERCHANT_MCHID": till.mchid,
        "BEIYUAN_MERCHANT_SERIAL": till.key.serial_no,
        "BEIYUAN_MERCHANT_KEY": str(key),
        "BEIYUAN_MERCHANT_STORE": till.store_id,
        "no_proxy": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "beiyuan_merchant.cli", *words, env=os.environ | variables, stdout=-1, stderr=-1
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def test_a_shop_without_programmers_redeems_from_the_command_line(
    market: Market, till: Till, base: str, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(till.key.private)
    _, coupon = await market.coupon(till)
    code, output, errors = await _run(till, base, key, "use", coupon["code"], "--number", "R-000001")
    assert (code, json.loads(output)["state"]) == (0, "USED"), errors
    assert "R-000001" in errors  # told before anything was sent
    code, output, _ = await _run(till, base, key, "use", coupon["code"], "--number", "R-000002")
    assert (code, json.loads(output)["code"]) == (1, "COUPON_USED")
    code, output, _ = await _run(till, base, key, "request", "use", "R-000001")
    assert (code, json.loads(output)["answer"]["state"]) == (0, "USED")
    code, _, errors = await _run(till, base, tmp_path / "none.pem", "echo")
    assert (code, "none.pem" in errors) == (2, True)


def _vector(word: str) -> dict[str, str]:
    """The test vector on the page that has this field."""
    blocks = re.findall(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    vector: dict[str, str] = json.loads(next(block for block in blocks if f'"{word}"' in block))
    return vector


def _private_keys() -> list[str]:
    """The page's RSA key, and its Ed25519 key."""
    return re.findall(r"```text\n(-----BEGIN PRIVATE.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_vectors_on_the_page_are_what_openssl_and_the_client_make_of_them() -> None:
    rsa, ed25519 = _private_keys()
    vector = _vector("ed25519_signature")
    message = request_message(
        vector["method"], vector["target"], int(vector["timestamp"]), vector["nonce_str"], vector["body"].encode()
    )
    assert openssl.sign_ed25519(ed25519, message) == vector["ed25519_signature"]
    assert Key.of_pem(ed25519.encode(), serial_no="S").sign(message) == vector["ed25519_signature"]
    reply = _vector("HHBY-Signature")
    message = reply_message(reply["HHBY-Timestamp"], reply["HHBY-Nonce"], reply["body"].encode())
    assert openssl.verifies(openssl.public_half(rsa), message, reply["HHBY-Signature"])
    assert verifies(openssl.public_half(rsa), message, reply["HHBY-Signature"])
    assert not verifies(openssl.public_half(rsa), message + b"\n", reply["HHBY-Signature"])
