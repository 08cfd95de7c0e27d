"""Keys: of both algorithms, two at a time, good for a while; and the platform's own."""

import base64
import json
import re
import secrets
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from beiyuan.cli import app
from beiyuan.installation import KEY_FILES
from chassis.core import clock
from chassis.core.errors import DomainError
from chassis.core.keys import KeysMissing, create_key_files, write_key_file
from services.points.merchants import actions, queries, signing
from services.points.merchants.errors import KeyNotAcceptable, MerchantNotFound, TooManyKeys
from services.points.merchants.platform import (
    FILE,
    KeyStatus,
    ShownTooBriefly,
    read_platform_keys,
    rotate_platform_keys,
)
from services.points.merchants.terms import Algorithm
from tests import independent, openssl
from tests import signing as tests_signing
from tests.points.merchants.conftest import ECHO, SCHEME, Key, Market, Till, refusal

DOCS = Path(__file__).parents[3] / "docs" / "merchant.md"
SIGN_ERROR = (401, "SIGN_ERROR")


@pytest.fixture(scope="session")
def ed25519_key() -> Key:
    return Key(*openssl.new_ed25519_key(), Algorithm.ED25519)


BY_OPENSSL = {Algorithm.RSA: openssl.sign, Algorithm.ED25519: openssl.sign_ed25519}


@pytest.mark.parametrize("algorithm", Algorithm, ids=lambda each: each.name)
async def test_openssl_and_pycryptodome_agree_with_us_on_every_signature(
    market: Market, rsa_keys: list[Key], ed25519_key: Key, algorithm: Algorithm
) -> None:
    """In both directions, of errors and of files too, and neither takes what was changed by a byte."""
    key = (rsa_keys[0] if algorithm is Algorithm.RSA else ed25519_key).renamed()
    till = await market.till(key)
    calls = [
        ("POST", f"/merchant/v1/echo?till=7&at={quote('北苑')}", '{"券": 1}'.encode(), 200),
        ("GET", "/merchant/v1/coupons/12345678901234", b"", 404),
        ("GET", "/merchant/v1/bills/daily?bill_date=2026-03-01", b"", 200),
    ]
    for sign in (BY_OPENSSL[algorithm], independent.sign):
        for method, target, content, status in calls:
            header = tests_signing.authorization(
                partial(sign, key.private),
                method,
                target,
                content,
                mchid=till.mchid,
                serial_no=key.serial_no,
                timestamp=int(clock.now().timestamp()),
                scheme=SCHEME[algorithm],
            )
            answer = await market.send(method, target, content, header)
            assert answer.status_code == status, answer.text
            headers = answer.headers
            message = f"{headers['HHBY-Timestamp']}\n{headers['HHBY-Nonce']}\n".encode() + answer.content + b"\n"
            public = market.platform_keys[headers["HHBY-Serial"]]
            for verifies in (openssl.verifies, independent.verifies):
                assert verifies(public, message, headers["HHBY-Signature"])
                assert not verifies(public, message[:-1], headers["HHBY-Signature"])


async def test_a_merchant_with_an_ed25519_key_is_let_in(market: Market, ed25519_key: Key) -> None:
    till = await market.till(ed25519_key.renamed())
    answer = await till.call("POST", "/echo", {"券": 1})
    assert answer.json()["algorithm"] == "ED25519"
    assert refusal(await till.send("POST", ECHO, b"{}", sent=b"[]")) == SIGN_ERROR


async def test_the_algorithm_is_the_keys_and_not_the_headers(market: Market, till: Till, ed25519_key: Key) -> None:
    """A good signature under the name of the other algorithm is refused."""
    other = await market.till(ed25519_key.renamed())
    assert refusal(await till.send("POST", ECHO, scheme="HHBY1-ED25519")) == SIGN_ERROR
    assert refusal(await other.send("POST", ECHO, scheme="HHBY1-SHA256-RSA2048")) == SIGN_ERROR


async def test_two_keys_are_good_at_once_so_that_a_merchant_can_change_over(
    market: Market, till: Till, rsa_keys: list[Key], ed25519_key: Key
) -> None:
    second = rsa_keys[1].renamed()
    await market.record(till, second)
    tills = [till, Till(market, till.id, till.mchid, second)]
    assert [(await each.call("POST", "/echo")).status_code for each in tills] == [200, 200]
    third = ed25519_key.renamed()
    with pytest.raises(TooManyKeys):
        await market.record(till, third)
    await market.record(till, third, sandbox=True)  # another kind
    async with market.db.transaction() as session:
        await actions.revoke_key(session, till.mchid, till.key.serial_no)
    await market.record(till, ed25519_key.renamed())
    assert refusal(await tills[0].send("POST", ECHO)) == SIGN_ERROR
    assert (await tills[1].call("POST", "/echo")).status_code == 200


async def test_a_key_is_good_from_its_first_moment_until_before_its_last(market: Market) -> None:
    at = clock.now().replace(microsecond=0)
    first, last = at + timedelta(hours=1), at + timedelta(hours=2)
    till = await market.till(not_before=first, not_after=last)
    outcome = {}
    for moment in (first - timedelta(seconds=1), first, last - timedelta(seconds=1), last):
        with clock.frozen(moment):
            outcome[moment] = (await till.send("POST", ECHO)).status_code
    assert list(outcome.values()) == [401, 200, 200, 401]


async def test_a_merchant_whose_key_is_over_can_still_believe_what_it_is_told(market: Market) -> None:
    at = clock.now()
    till = await market.till(not_before=at - timedelta(days=2), not_after=at - timedelta(days=1))
    assert refusal(await till.call("POST", "/echo")) == SIGN_ERROR


async def test_revoking_a_key_again_or_one_that_is_not_there_changes_nothing(market: Market, till: Till) -> None:
    async with market.db.transaction() as session:
        await actions.revoke_key(session, till.mchid, "FFFF")
    assert (await till.call("POST", "/echo")).status_code == 200
    for _ in range(2):
        async with market.db.transaction() as session:
            await actions.revoke_key(session, till.mchid, till.key.serial_no)
    assert refusal(await till.send("POST", ECHO)) == SIGN_ERROR


async def test_recording_a_merchant_and_a_key_again_brings_them_up_to_date(market: Market, till: Till) -> None:
    async with market.db.transaction() as session:
        await actions.record_merchant(session, till.id, mchid=till.mchid, name="新名", stores={"store-2": "二店"})
    await market.record(till, till.key, not_after=clock.now() + timedelta(days=1))
    with clock.frozen(clock.now() + timedelta(days=2)):
        assert refusal(await till.send("POST", ECHO)) == SIGN_ERROR
    async with market.db.transaction() as session:
        assert await queries.merchant_names(session, [till.id]) == {till.id: "新名"}
        stores = {(till.id, "store-1"), (till.id, "store-2")}
        assert await queries.stores_among(session, stores | {(till.id, "store-3")}) == stores


async def test_a_key_that_is_none_or_too_weak_is_not_taken(market: Market, till: Till, ed25519_key: Key) -> None:
    weak = openssl.public_half(openssl.new_private_key("RSA", "rsa_keygen_bits:1024"))
    curve = openssl.public_half(openssl.new_private_key("EC", "ec_paramgen_curve:P-256"))
    unfit: list[dict[str, Any]] = [
        {"public_key_pem": "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"},
        {"public_key_pem": till.key.private},
        {"public_key_pem": weak},
        {"public_key_pem": curve},
        {"public_key_pem": ed25519_key.public},
        {"algorithm": Algorithm.ED25519},
        {"serial_no": "a b"},
    ]
    for fields in unfit:
        with pytest.raises(KeyNotAcceptable):
            await market.record(till, till.key.renamed(), **fields)
    with pytest.raises(MerchantNotFound):
        await market.record(Till(market, till.id, "0000000000", till.key), till.key)


async def test_a_serial_number_is_one_keys_for_ever(market: Market, till: Till, rsa_keys: list[Key]) -> None:
    """Else nobody could prove afterwards what was signed under it; nor does a sandbox key become a live one."""
    for other in ({"public_key_pem": rsa_keys[1].public}, {"sandbox": True}):
        with pytest.raises(KeyNotAcceptable):
            await market.record(till, till.key, **other)
    assert (await till.call("POST", "/echo")).json()["sandbox"] is False


async def test_a_sandbox_key_proves_signatures_and_reaches_no_coupon(market: Market, till: Till) -> None:
    sandbox = Till(market, till.id, till.mchid, till.key.renamed())
    await market.record(sandbox, sandbox.key, sandbox=True)
    _, coupon = await market.coupon(till)
    assert (await sandbox.call("POST", "/echo")).json()["sandbox"] is True
    assert (await sandbox.call("GET", "/platform-keys")).status_code == 200
    number = f"R{secrets.token_hex(8)}"
    not_found = (404, "COUPON_NOT_FOUND")
    assert refusal(await sandbox.prepare(coupon["code"])) == not_found
    assert refusal(await sandbox.use(coupon["code"], out_request_no=number)) == not_found
    assert refusal(await sandbox.call("GET", f"/coupons/{coupon['id']}")) == not_found
    # Its numbers are apart from the live ones.
    assert (await sandbox.call("GET", f"/requests/use/{number}")).json()["status"] == 404
    assert refusal(await till.call("GET", f"/requests/use/{number}")) == (404, "REQUEST_NOT_FOUND")
    assert (await till.use(coupon["code"], out_request_no=number)).status_code == 200


# The test vector


def blocks(kind: str) -> list[str]:
    """The code blocks of the page that are marked so."""
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_vector_in_the_docs_is_what_openssl_and_we_make_of_it() -> None:
    private = next(block for block in blocks("text") if "PRIVATE KEY" in block)
    vector = json.loads(next(block for block in blocks("json") if '"signature"' in block))
    content = vector["body"].encode()
    message = "\n".join([vector["method"], vector["target"], vector["timestamp"], vector["nonce_str"], ""]).encode()
    message += content + b"\n"
    assert openssl.sign(private, message) == vector["signature"]
    path, _, query = vector["target"].partition("?")
    timestamp = int(vector["timestamp"])
    ours = signing.request_message(
        vector["method"], path.encode(), query.encode(), timestamp, vector["nonce_str"], content
    )
    assert ours == message
    public = openssl.public_half(private)
    signing.verify(public, Algorithm.RSA, message, base64.b64decode(vector["signature"]))
    with pytest.raises(DomainError):
        signing.verify(public, Algorithm.RSA, message + b"\n", base64.b64decode(vector["signature"]))


# The platform's keys


async def test_everybody_can_get_the_platforms_keys_the_current_one_and_the_next(market: Market, till: Till) -> None:
    answer = await market.send("GET", "/merchant/v1/platform-keys")
    keys = answer.json()["keys"]
    assert [key["status"] for key in keys] == ["current", "next"]
    assert {key["algorithm"] for key in keys} == {"RSA2048-SHA256"}
    assert all("PRIVATE" not in key["public_key"] for key in keys)
    signed = await till.call("GET", "/platform-keys")
    assert signed.headers["HHBY-Serial"] == keys[0]["serial_no"]
    assert refusal(await till.send("GET", "/merchant/v1/platform-keys", b"", sent=b"x")) == SIGN_ERROR


def test_the_platforms_keys_are_made_once_and_come_to_an_installation_that_has_none(tmp_path: Path) -> None:
    create_key_files(tmp_path, processes=["points"], data_services=["points"])
    with pytest.raises(KeysMissing, match=FILE):
        read_platform_keys(tmp_path)
    made = create_key_files(tmp_path, processes=["points"], data_services=[], further=KEY_FILES)
    assert FILE in [path.name for path in made]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    first = read_platform_keys(tmp_path)
    assert create_key_files(tmp_path, processes=["points"], data_services=["points"], further=KEY_FILES) == []
    assert [key.serial_no for key in read_platform_keys(tmp_path)] == [key.serial_no for key in first]
    assert [key.status for key in first] == [KeyStatus.CURRENT, KeyStatus.NEXT]
    assert len({key.serial_no for key in first}) == 2


@pytest.mark.parametrize("content", ["{}", '{"private_keys": ["x", "y"]}', '{"private_keys": []}'])
def test_a_broken_file_of_platform_keys_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(KeysMissing, match=FILE):
        read_platform_keys(tmp_path)


async def test_changing_the_platforms_key_needs_no_restart_and_leaves_nobody_behind(own_market: Market) -> None:
    """Whoever fetched the keys before can check what is signed after, and what was signed before stays provable."""
    folder = own_market.points.town.keys_dir
    kept = (folder / FILE).read_text()
    till = await own_market.till()
    shown = (await own_market.send("GET", "/merchant/v1/platform-keys")).json()["keys"]
    first, second = [key["serial_no"] for key in shown]
    assert (await till.call("POST", "/echo")).headers["HHBY-Serial"] == first
    try:
        rotate_platform_keys(folder, at_once=True)
        answer = await till.call("POST", "/echo")  # checked by the keys that were fetched before
        assert answer.headers["HHBY-Serial"] == second
        shown = (await own_market.send("GET", "/merchant/v1/platform-keys")).json()["keys"]
        assert [key["status"] for key in shown] == ["current", "next"]
        assert shown[0]["serial_no"] == second
        assert shown[1]["serial_no"] not in {first, second}
        content = json.loads((folder / FILE).read_text())
        [gone] = content["retired"]
        assert (gone["serial_no"], gone["public_key"]) == (first, own_market.platform_keys[first])
        (folder / FILE).write_text("{}")  # broken: the keys stay what they were
        assert (await till.call("POST", "/echo")).headers["HHBY-Serial"] == second
    finally:
        write_key_file(folder / FILE, kept)


def test_a_key_is_taken_into_use_only_after_merchants_could_learn_it(tmp_path: Path) -> None:
    at = clock.now()
    with clock.frozen(at):
        create_key_files(tmp_path, processes=["points"], data_services=[], further=KEY_FILES)
    first = read_platform_keys(tmp_path)
    with clock.frozen(at + timedelta(days=2) - timedelta(seconds=1)), pytest.raises(ShownTooBriefly):
        rotate_platform_keys(tmp_path)
    with clock.frozen(at + timedelta(days=2)):
        assert rotate_platform_keys(tmp_path)[0].serial_no == first[1].serial_no
        with pytest.raises(ShownTooBriefly):
            rotate_platform_keys(tmp_path)
        rotate_platform_keys(tmp_path, at_once=True)
    retired = [item["serial_no"] for item in json.loads((tmp_path / FILE).read_text())["retired"]]
    assert retired == [key.serial_no for key in first]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in json.dumps(json.loads((tmp_path / FILE).read_text())["retired"])


def test_the_operator_sees_and_changes_the_platforms_keys_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIYUAN_KEYS_DIR", str(tmp_path))
    create_key_files(tmp_path, processes=["points"], data_services=[], further=KEY_FILES)
    following = read_platform_keys(tmp_path)[1].serial_no
    run = CliRunner().invoke
    assert f"next: {following}" in run(app, ["keys", "platform"]).output
    refused = run(app, ["keys", "platform", "--rotate"])
    assert refused.exit_code == 1
    assert f"next: {following}" in run(app, ["keys", "platform"]).output
    assert f"current: {following}" in run(app, ["keys", "platform", "--rotate", "--at-once"]).output
