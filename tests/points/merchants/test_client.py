"""The client that a shop installs, against the service over a socket: what it does when answers are lost or forged."""

import ast
import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from beiyuan_merchant import (
    BadBill,
    BadWebhook,
    Client,
    Key,
    NotUsable,
    OutcomeUnknown,
    Patience,
    Refused,
    cli,
    read_webhook,
)
from beiyuan_merchant import client as client_module
from beiyuan_merchant import platform as platform_module
from beiyuan_merchant.platform import PlatformKeys
from beiyuan_merchant.signing import reply_message, request_message, verifies
from hypothesis import example, given, settings
from hypothesis import strategies as some

from chassis.core import clock
from services.points.merchants.terms import Algorithm
from tests import independent, openssl
from tests.points.merchants.conftest import Key as OpensslKey
from tests.points.merchants.conftest import Market, Till
from tests.points.merchants.listening import listening

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "merchant.md"
PACKAGE = ROOT / "clients" / "merchant"

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
        assert client.daily_bill(date(2026, 3, 1)).csv.endswith(b"total,0,,,,,,,0,0,0\r\n")

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


async def test_a_developer_tries_everything_on_a_coupon_of_the_sandbox(market: Market, till: Till, base: str) -> None:
    trial = Till(market, till.id, till.mchid, till.key.renamed())
    await market.record(trial, trial.key, sandbox=True)

    def shop(client: Client) -> None:
        coupon = client.issue_sandbox_coupon(reward_title="试一试", face_fen=700)
        assert coupon.coupon_code is not None
        assert (coupon.reward_title, coupon.face_fen) == ("试一试", 700)
        locked = client.lock(coupon.coupon_code, store_id="store-1", out_request_no="L-000001")
        assert client.unlock(coupon.coupon_id, store_id="store-1", out_request_no="U-000001").state == "EFFECTIVE"
        again = client.lock(prepare_token=locked.prepare_token, store_id="store-1", out_request_no="L-000002")
        used = client.use(prepare_token=again.prepare_token, store_id="store-1", out_request_no="R-000001")
        assert client.sandbox_coupon(coupon.coupon_id).coupon_code is None
        undone = client.return_use(coupon.coupon_id, used.use_no, store_id="store-1", out_request_no="B-000001")
        assert (undone.state, undone.face_fen) == ("EFFECTIVE", 700)

    await asked(client_of(trial, base), shop)


async def test_what_makes_no_sense_is_not_sent(till: Till, base: str) -> None:
    way = Way()
    with pytest.raises(NotUsable):
        await asked(client_of(till, base, way), lambda client: client.use(store_id="s", out_request_no="R-000001"))
    with pytest.raises(NotUsable):
        await asked(client_of(till, base, way), lambda client: client.coupon("../platform-keys"))
    assert way.seen == []
    for address in (
        "",
        "shop.example.org",
        "https://",
        "https://…",
        "https://shop.example.org/api",
        "ftp://example.org",
    ):
        with pytest.raises(NotUsable):
            client_of(till, address)


@dataclass
class Clock:
    """A time of its own, which passes only while somebody sleeps."""

    now: float = 1_795_419_000.0
    pauses: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Reply:
    """What one attempt meets. `code`: of a refusal. `retry_after`: the seconds that it asks for."""

    status: int | None
    code: str = ""
    signed: bool = True
    retry_after: int = 0

    @property
    def decides_nothing_done(self) -> bool:
        """Whether what was sent is certainly not carried out."""
        return self.signed and self.status == 429

    def ends(self, before: list["Reply"]) -> type | None:
        """What a till is told at once after what it met `before`; None: it tries again."""
        if not self.signed and self.status in {301, 401, 403}:
            return OutcomeUnknown
        if self.signed and self.status == 200:
            return dict
        if self.code in {"PARAM_ERROR", "TIMESTAMP_EXPIRED"}:  # of this attempt alone
            return Refused if all(reply.decides_nothing_done for reply in before) else OutcomeUnknown
        return Refused if self.code in {"COUPON_USED", "NO_AUTH"} else None


USUAL_REPLIES = [
    Reply(200),
    Reply(400, "PARAM_ERROR"),
    Reply(401, "NONCE_REUSED"),
    Reply(401, "TIMESTAMP_EXPIRED"),
    Reply(403, "NO_AUTH"),
    Reply(409, "COUPON_USED"),
    Reply(409, "REQUEST_IN_PROGRESS", retry_after=2),
    Reply(429, "RATE_LIMITED", retry_after=7),
    Reply(429, "RATE_LIMITED", retry_after=3600),
    Reply(500, "SYSTEM_ERROR"),
    Reply(503, "SYSTEM_ERROR", retry_after=1),
    Reply(200, signed=False),
    Reply(301, signed=False),
    Reply(401, signed=False),
    Reply(403, signed=False),
    Reply(429, signed=False, retry_after=4),
    Reply(502, signed=False),
    Reply(None, signed=False),
]


@pytest.fixture(scope="module")
def pair() -> tuple[str, str]:
    """An Ed25519 key by openssl, which stands for the till's and for the platform's."""
    return openssl.new_ed25519_key()


@example([Reply(None, signed=False), Reply(401, "TIMESTAMP_EXPIRED")])
@example([Reply(429, "RATE_LIMITED", retry_after=7), Reply(400, "PARAM_ERROR")])
@settings(max_examples=60)
@given(replies=some.lists(some.sampled_from(USUAL_REPLIES), max_size=12))
def test_whatever_happens_on_the_way_a_till_believes_signed_answers_alone_and_repeats_what_is_undecided(
    pair: tuple[str, str], replies: list[Reply]
) -> None:
    private, public = pair
    watch = Clock()
    seen: list[tuple[httpx2.Request, Reply]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        reply = replies[len(seen)] if len(seen) < len(replies) else Reply(None, signed=False)
        seen.append((request, reply))
        if reply.status is None:
            raise httpx2.ReadTimeout("lost", request=request)
        body = json.dumps({"code": reply.code, "message": "…", "detail": {}}).encode()
        headers = {"Retry-After": str(reply.retry_after)} if reply.retry_after else {}
        if reply.signed:
            nonce = _nonce(request)
            message = f"1795419000\n{nonce}\n".encode() + body + b"\n"
            headers |= {"HHBY-Timestamp": "1795419000", "HHBY-Nonce": nonce, "HHBY-Serial": "P"}
            headers["HHBY-Signature"] = independent.sign(private, message)
        return httpx2.Response(reply.status, headers=headers, content=body)

    client = Client(
        "http://platform.test",
        mchid="1" * 10,
        key=Key.of_pem(private.encode(), serial_no="S"),
        platform_keys={"P": public},
        transport=httpx2.MockTransport(answer),
    )
    told: object
    with pytest.MonkeyPatch.context() as patch, client:
        patch.setattr(client_module, "time", watch)
        try:
            told = client.echo()
        except (Refused, OutcomeUnknown) as error:
            told = error
    *before, last = [reply for _, reply in seen]
    end = last.ends(before)
    assert all(reply.ends(before[:number]) is None for number, reply in enumerate(before))
    assert type(told) is (end or OutcomeUnknown)
    if isinstance(told, Refused | OutcomeUnknown):
        assert (told.status, told.code) == (last.status, last.code if last.signed else None)
    assert len({request.content for request, _ in seen}) == 1
    assert len({_nonce(request) for request, _ in seen}) == len(seen)
    assert all(pause >= reply.retry_after for pause, reply in zip(watch.pauses, before, strict=True))
    assert sum(watch.pauses) <= Patience().seconds
    if end is None:
        assert isinstance(told, OutcomeUnknown)
        assert told.retry_after == (last.retry_after or None)
        assert sum(watch.pauses) + max(last.retry_after, 6) > Patience().seconds  # there was no time for more


def _platform(pair: tuple[str, str], content: bytes, status: int = 200, sha256: str = "") -> httpx2.MockTransport:
    """A platform that answers everything so, and signs it."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonce = _nonce(request)
        signature = independent.sign(pair[0], f"1795419000\n{nonce}\n".encode() + content + b"\n")
        signed = {"HHBY-Timestamp": "1795419000", "HHBY-Nonce": nonce, "HHBY-Serial": "P", "HHBY-Signature": signature}
        return httpx2.Response(status, headers=signed | {"HHBY-Bill-SHA256": sha256}, content=content)

    return httpx2.MockTransport(answer)


def _client(pair: tuple[str, str], transport: httpx2.MockTransport) -> Client:
    key = Key.of_pem(pair[0].encode(), serial_no="S")
    return Client("http://platform.test", mchid="1" * 10, key=key, platform_keys={"P": pair[1]}, transport=transport)


@pytest.mark.parametrize("status", [200, 409])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"code": "X", "message": "", "detail": 1}'])
def test_a_signed_answer_of_a_shape_that_nobody_knows_leaves_the_outcome_open(
    pair: tuple[str, str], status: int, content: bytes
) -> None:
    with _client(pair, _platform(pair, content, status)) as client, pytest.raises(OutcomeUnknown, match="cannot read"):
        client.coupon("1" * 14)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"total")[:-9], gzip.compress(b"other")])
def test_a_bill_that_is_not_what_was_said_is_no_bill(pair: tuple[str, str], content: bytes) -> None:
    said = hashlib.sha256(b"total").hexdigest()
    with (
        _client(pair, _platform(pair, content, sha256=said)) as client,
        pytest.raises(BadBill),
    ):
        client.daily_bill(date(2026, 3, 1))


def test_a_key_that_the_platform_took_back_is_believed_for_a_day_at_most(
    pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Clock()
    monkeypatch.setattr(platform_module, "time", watch)
    shown: list[dict[str, str] | None] = [{"P": pair[1]}]

    def fetch() -> dict[str, str]:
        if shown[-1] is None:
            raise httpx2.ConnectError("away")
        return shown[-1]

    keys = PlatformKeys(fetch)
    reply = _platform(pair, b"{}").handle_request(
        httpx2.Request("GET", "http://platform.test", headers={"Authorization": 'nonce_str="N"'})
    )
    assert keys.signed(reply, "N")
    shown.append(None)
    watch.sleep(86_401)
    assert keys.signed(reply, "N")  # what could not be fetched takes nothing away
    shown.append({"Q": pair[1]})
    assert not keys.signed(reply, "N")


def _nonce(request: httpx2.Request) -> str:
    return str(re.findall(r'nonce_str="(.*?)"', request.headers["Authorization"])[0])


async def test_the_platforms_keys_that_could_not_be_had_at_first_are_asked_for_again(till: Till, base: str) -> None:
    unlucky = iter(
        [httpx2.Response(503), httpx2.Response(200, content=b"<h1>Sign in</h1>"), httpx2.Response(200, json=[])]
    )

    class Unlucky(Way):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            passed = super().handle_request(request)
            missing = next(unlucky, None) if request.url.path.endswith("/platform-keys") else None
            if missing is None:
                return passed
            passed.close()
            missing.request = request
            return missing

    way = Unlucky()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "time", Clock(datetime.now(UTC).timestamp()))
        await asked(client_of(till, base, way), lambda client: client.echo())
    assert len(way.tries) == 4


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


@given(
    headers=some.dictionaries(
        some.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        some.text(max_size=30) | some.sampled_from(["v1,", "v1,AA== v1", "nan", "inf", "1e400"]),
    ),
    body=some.binary(max_size=30),
    secret=some.text(max_size=10).map(lambda text: f"whsec_{text}"),
)
def test_whoever_posts_rubbish_to_a_shops_address_is_turned_away(
    headers: dict[str, str], body: bytes, secret: str
) -> None:
    with pytest.raises(BadWebhook):
        read_webhook(secret, headers, body)


def test_a_notice_that_is_signed_but_says_nothing_is_no_event() -> None:
    body = b'{"id": "msg_1"}'
    with pytest.raises(BadWebhook, match="no event"):
        read_webhook("whsec_" + base64.b64encode(b"1" * 24).decode(), _signed(b"1" * 24, body), body)


def _variables(till: Till, base: str, key: Path) -> dict[str, str]:
    return {
        "BEIYUAN_MERCHANT_URL": base,
        "BEIYUAN_MERCHANT_MCHID": till.mchid,
        "BEIYUAN_MERCHANT_SERIAL": till.key.serial_no,
        "BEIYUAN_MERCHANT_KEY": str(key),
        "BEIYUAN_MERCHANT_STORE": till.store_id,
        "no_proxy": "127.0.0.1",
    }


async def test_a_shop_without_programmers_redeems_from_the_command_line(
    market: Market, till: Till, base: str, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(till.key.private)
    _, coupon = await market.coupon(till)
    command = ["beiyuan_merchant.cli", "use", coupon["code"], "--number", "R-000001"]
    variables = os.environ | _variables(till, base, key)
    with clock.frozen(clock.now()):  # the code does not grow old while a slow machine starts a program
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, env=variables, stdout=-1, stderr=-1
        )
        output, errors = await process.communicate()
    assert (process.returncode, json.loads(output)["state"]) == (0, "USED"), errors.decode()
    assert b"R-000001" in errors  # told before anything was sent


async def test_the_command_says_what_came_of_it_by_its_answer_and_by_the_way_it_ends(
    market: Market,
    till: Till,
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(till.key.private)
    for name, value in _variables(till, base, key).items():
        monkeypatch.setenv(name, value)
    _, coupon = await market.coupon(till)

    async def run(*words: str) -> tuple[int, Any, str]:
        code = await asyncio.to_thread(cli.main, words)
        output, errors = capsys.readouterr()
        return code, json.loads(output) if output else None, errors

    code, used, _ = await run("use", coupon["code"], "--number", "R-000001")
    assert (code, used["state"]) == (0, "USED")
    code, refused, _ = await run("use", coupon["code"], "--number", "R-000002")
    assert (code, refused["code"]) == (1, "COUPON_USED")
    code, answered, _ = await run("request", "use", "R-000001")
    assert (code, answered["answer"]["use_no"]) == (0, used["use_no"])
    code, undone, _ = await run("return", coupon["id"], used["use_no"])
    assert (code, undone["state"]) == (0, "EFFECTIVE")
    code, bill, _ = await run("bill", "2026-03-01", str(tmp_path / "bill.csv"))
    assert (code, bill["sha256"]) == (0, hashlib.sha256((tmp_path / "bill.csv").read_bytes()).hexdigest())
    code, refused, _ = await run("sandbox")
    assert (code, refused["code"]) == (1, "NO_AUTH")
    monkeypatch.setenv("BEIYUAN_MERCHANT_SERIAL", "NOBODYS")
    code, nothing, errors = await run("use", coupon["code"], "--number", "R-000003")
    assert (code, nothing) == (3, None)
    assert "request use R-000003" in errors
    monkeypatch.setenv("BEIYUAN_MERCHANT_KEY", str(tmp_path / "none.pem"))
    code, _, errors = await run("echo")
    assert (code, "none.pem" in errors) == (2, True)


def test_what_a_shop_installs_is_complete(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    build = ["uv", "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([sys.executable, "-m", *build, "--out-dir", str(tmp_path), str(source)], check=True, timeout=300)
    [built] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("/METADATA")]
        [entry_points] = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    sources = list((PACKAGE / "beiyuan_merchant").glob("*.py"))
    modules = {f"beiyuan_merchant/{path.name}" for path in sources}
    assert modules | {"beiyuan_merchant/py.typed"} <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert "beiyuan-merchant = beiyuan_merchant.cli:main" in entry_points
    required = set(re.findall(r"^Requires-Dist: ([\w-]+)", metadata, re.MULTILINE))
    imported = {name for path in sources for name in _imports(path)}
    assert required == imported - set(sys.stdlib_module_names) - {"beiyuan_merchant"}


def _imports(source: Path) -> Iterator[str]:
    """The packages that a module imports."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


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
