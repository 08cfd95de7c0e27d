"""Receipts: whoever may read a transfer can prove it, with the signed head, to anybody, without any service."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.seals import actions, demand, published
from services.points.seals.keys import SealKey, create_seal_key, read_seal_key
from services.points.terms import LedgerName
from tests import openssl
from tests.points.facts import NOON
from tests.points.seals.conftest import Sealed
from tests.points.seals.history import History, alter, owner_of
from tests.town import actor

AUDITOR = actor("auditor")


async def ask(sealed: Sealed, path: str, who: Actor | None = None, status: int = 200, *, params: Any = None) -> Any:
    async with sealed.points.client(who) as client:
        answer = await client.get(f"/api/points/{path}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


async def receipt(sealed: Sealed, number: int, who: Actor = AUDITOR, status: int = 200) -> Any:
    return await ask(sealed, f"transfers/{sealed.history.ids[number - 1]}/receipt", who, status)


def problems(sealed: Sealed, document: Any) -> list[str]:
    path = sealed.folder / "document.json"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2))
    return sealed.check(path).problems


async def test_a_receipt_proves_any_transfer_to_whoever_has_the_public_key(sealed: Sealed) -> None:
    sealed.history.of_every_kind()
    sealed.history.grow(5)
    sealed.history.write()
    for number in range(1, 14):
        shown = await receipt(sealed, number)
        assert shown["index"] == number - 1
        assert shown["leaf"]["id"] == str(sealed.history.ids[number - 1])
        assert problems(sealed, shown) == []


async def test_a_receipt_with_anything_changed_proves_nothing(sealed: Sealed) -> None:
    sealed.history.of_every_kind()
    sealed.history.write()
    shown = await receipt(sealed, 3)
    for name, value in shown["leaf"].items():
        for other in (1 if value != 1 else 2, "other", None):
            if other != value:
                changed = shown | {"leaf": shown["leaf"] | {name: other}}
                assert problems(sealed, changed), (name, other)
    assert problems(sealed, shown | {"index": 3})
    assert problems(sealed, shown | {"proof": shown["proof"][:-1]})
    assert problems(sealed, shown | {"proof": [*shown["proof"][1:], shown["proof"][0]]})
    assert problems(sealed, shown | {"ledger": "staff"})
    assert problems(sealed, {name: value for name, value in shown.items() if name != "proof"}) == [
        "the file is not complete"
    ]


async def test_a_head_that_somebody_else_signed_proves_nothing(sealed: Sealed) -> None:
    sealed.history.grow(3)
    sealed.history.write()
    shown = await receipt(sealed, 2)
    forger = SealKey(sealed.sealing.key.name, Ed25519PrivateKey.generate())
    root = base64.b64decode(shown["checkpoint"].split("\n")[2])
    forged = forger.checkpoint(LedgerName.CIVIC, 3, root)
    assert problems(sealed, shown | {"checkpoint": forged}) == [
        f"the head is not signed by the key of {sealed.sealing.key.origin(LedgerName.CIVIC)}"
    ]
    size = shown["checkpoint"].replace("\n3\n", "\n4\n")
    assert "signature" in problems(sealed, shown | {"checkpoint": size})[0]


async def test_a_household_gets_the_receipts_of_its_own_transfers_and_no_others(sealed: Sealed) -> None:
    sealed.history.grow(2)
    sealed.history.write()
    own = actor("resident", household_id=sealed.history.households[0])
    assert (await receipt(sealed, 1, own))["leaf"]["amount"] == 1
    assert (await receipt(sealed, 2, own, 404))["code"] == "transfer_not_found"
    assert (await receipt(sealed, 1, actor("handler"), 404))["code"] == "transfer_not_found"
    await receipt(sealed, 1, actor("administrator"))
    unknown = await ask(sealed, f"transfers/{sealed.history.households[0]}/receipt", AUDITOR, 404)
    assert unknown["code"] == "transfer_not_found"


async def test_staff_get_the_receipts_of_their_own_points(sealed: Sealed) -> None:
    sealed.history = History(sealed.database, LedgerName.STAFF)
    sealed.history.grow(1)
    sealed.history.write()
    shown = await receipt(sealed, 1, actor("handler", id=sealed.history.households[0]))
    assert (shown["ledger"], problems(sealed, shown)) == ("staff", [])


async def test_a_receipt_can_be_had_the_moment_after_posting_however_young_the_last_head_is(sealed: Sealed) -> None:
    with clock.frozen(NOON):
        for number in (1, 2, 3):
            sealed.history.grow(1)
            sealed.history.write()
            assert problems(sealed, await receipt(sealed, number)) == []
    assert sealed.sizes() == [1, 2, 3]


async def test_those_who_ask_at_once_get_their_receipts_under_the_same_head(sealed: Sealed) -> None:
    sealed.history.grow(12)
    sealed.history.write()
    shown = await asyncio.gather(*(receipt(sealed, number) for number in range(1, 13)), sealed.seal())
    assert [document["index"] for document in shown[:-1]] == list(range(12))
    assert len({document["checkpoint"] for document in shown[:-1]}) == 1
    assert sealed.sizes() == [12]


async def test_a_receipt_that_cannot_be_made_now_says_when_to_ask_again(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    sealed.history.grow(1)
    sealed.history.write()
    with monkeypatch.context() as broken:
        broken.setattr(published, "publish", full)
        async with sealed.points.client(AUDITOR) as client:
            answer = await client.get(f"/api/points/transfers/{sealed.history.ids[0]}/receipt")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_sealed_yet")
    assert answer.headers["Retry-After"] == str(sealed.sealing.seconds)
    assert problems(sealed, await receipt(sealed, 1)) == []


async def test_a_receipt_does_not_wait_for_a_long_past_to_be_sealed(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PART", 5)
    monkeypatch.setattr(demand, "_AT_MOST", 10)
    sealed.history.grow(20)
    sealed.history.write()
    assert (await receipt(sealed, 20, status=503))["code"] == "not_sealed_yet"
    await receipt(sealed, 10)


async def test_no_receipt_is_given_for_a_transfer_that_was_altered_in_the_database(sealed: Sealed) -> None:
    sealed.history.grow(4)
    sealed.history.write()
    await sealed.seal()
    with owner_of(sealed.database) as owner:
        alter(owner, "transfer", "ledger = 'civic' AND sequence = 2", amount=3)
    refused = await receipt(sealed, 2, status=500)
    assert (refused["code"], refused["detail"]) == (
        "seal_broken",
        "Transfer 2 of the civic ledger is not what was sealed.",
    )
    await receipt(sealed, 3)


async def test_two_heads_with_their_proof_show_that_nothing_was_changed_between(sealed: Sealed) -> None:
    sizes = []
    for step in (1, 1, 3, 8):
        sealed.history.grow(step)
        sealed.history.write()
        sizes.append((await sealed.seal()).size)
    for first in sizes:
        for second in (size for size in sizes if size >= first):
            shown = await ask(sealed, "seals/consistency", params={"from": first, "to": second})
            assert problems(sealed, shown) == []
            if first < second:
                assert problems(sealed, shown | {"proof": shown["proof"][1:]})
                assert problems(sealed, shown | {"first": shown["second"], "second": shown["first"]})
    assert (await ask(sealed, "seals/consistency", status=404, params={"from": 3, "to": 13}))[
        "code"
    ] == "head_not_found"
    assert (await ask(sealed, "seals/consistency", status=409, params={"from": 5, "to": 2}))[
        "code"
    ] == "heads_not_in_order"
    assert (await ask(sealed, "seals/consistency", status=422, params={"from": -1, "to": 2}))["code"] == "invalid"


async def test_anybody_sees_the_heads_and_the_key(sealed: Sealed) -> None:
    assert (await ask(sealed, "seals/latest", status=404))["code"] == "head_not_found"
    heads = []
    for _ in range(3):
        sealed.history.grow(1)
        sealed.history.write()
        heads.append((await sealed.seal()).checkpoint)
    latest = await ask(sealed, "seals/latest")
    assert (latest["size"], latest["checkpoint"], latest["ledger"]) == (3, heads[-1], "civic")
    first = await ask(sealed, "seals/checkpoints", params={"limit": 2})
    second = await ask(sealed, "seals/checkpoints", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [item["checkpoint"] for item in first["items"] + second["items"]] == heads[::-1]
    assert second["next_cursor"] is None
    assert (
        await ask(sealed, "seals/checkpoints", status=422, params={"ledger": "staff", "cursor": first["next_cursor"]})
    )["errors"]
    keys = await ask(sealed, "seals/key")
    assert [item["verifier"] for item in keys["items"]] == sealed.keys().split()
    async with sealed.points.client() as client:
        plain = {"Accept": "text/plain"}
        as_text = await client.get("/api/points/seals/latest", headers=plain)
        assert (as_text.text, as_text.headers["Content-Type"]) == (heads[-1], "text/plain; charset=utf-8")
        assert (await client.get("/api/points/seals/key", headers=plain)).text == sealed.keys()


async def test_heads_are_signed_as_another_implementation_of_ed25519_reads_them(sealed: Sealed) -> None:
    sealed.history.grow(1)
    sealed.history.write()
    checkpoint = (await sealed.seal()).checkpoint
    body, signature_line = checkpoint.rstrip("\n").split("\n\n")
    dash, name, signature = signature_line.split(" ")
    keys = await ask(sealed, "seals/key")
    key_name, key_id, public = keys["items"][0]["verifier"].split("+", 2)
    assert (dash, name) == ("—", key_name)
    raw = base64.b64decode(signature)
    assert raw[:4].hex() == key_id
    spki = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(public)[1:]  # RFC 8410, section 4
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(spki).decode()}\n-----END PUBLIC KEY-----\n"
    assert openssl.verifies_ed25519(pem, f"{body}\n".encode(), base64.b64encode(raw[4:]).decode())
    assert not openssl.verifies_ed25519(pem, f"{body}\n\n".encode(), base64.b64encode(raw[4:]).decode())


def test_each_installation_signs_under_a_name_and_with_a_key_of_its_own(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seals.points.json").write_text(create_seal_key())
        keys.append(read_seal_key(tmp_path / name))
    assert len({key.verifier(ledger) for key in keys for ledger in LedgerName}) == 4
    assert len({key.origin(LedgerName.CIVIC) for key in keys}) == 2
