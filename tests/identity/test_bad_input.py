"""Bad input gets a refusal that names the field, and changes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.identity.service import PHONE, Identity

CODE = {"phone": PHONE}
SIGN_IN = {"phone": PHONE, "code": "000000"}
REFRESH = {"refresh_token": "x"}

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("/otp", {}, "body.phone"),
    ("/otp", CODE | {"extra": 1}, "body.extra"),
    ("/otp", {"phone": 10000000001}, "body.phone"),
    ("/otp", {"phone": None}, "body.phone"),
    ("/otp", {"phone": ["10000000001"]}, "body.phone"),
    ("/otp", {"phone": ""}, "body.phone"),
    ("/otp", {"phone": "1000000000"}, "body.phone"),
    ("/otp", {"phone": "20000000001"}, "body.phone"),
    ("/otp", {"phone": "1000000000１"}, "body.phone"),
    ("/otp", {"phone": "10000000001\x00"}, "body.phone"),
    ("/otp", {"phone": "1000000\ud8000001"}, "body.phone"),
    ("/otp", {"phone": "😀"}, "body.phone"),
    ("/otp", {"phone": "1" * 100_000}, "body.phone"),
    ("/otp", {"phone": "10000000001' OR '1'='1"}, "body.phone"),
    ("/tokens", SIGN_IN | {"extra": 1}, "body.extra"),
    ("/tokens", SIGN_IN | {"\ud800": 1}, "body"),
    ("/tokens", {"phone": PHONE}, "body.code"),
    ("/tokens", SIGN_IN | {"code": 0}, "body.code"),
    ("/tokens", SIGN_IN | {"code": "00000"}, "body.code"),
    ("/tokens", SIGN_IN | {"code": "000000\n"}, "body.code"),
    ("/tokens", SIGN_IN | {"code": "0000\ud800"}, "body.code"),
    ("/tokens", SIGN_IN | {"code": "００００００"}, "body.code"),
    ("/tokens", SIGN_IN | {"name": "王\x00"}, "body.name"),
    ("/tokens", SIGN_IN | {"name": "王\ud800"}, "body.name"),
    ("/tokens", SIGN_IN | {"name": "王" * 51}, "body.name"),
    ("/tokens", SIGN_IN | {"name": "   "}, "body.name"),
    ("/tokens", SIGN_IN | {"name": True}, "body.name"),
    ("/tokens", SIGN_IN | {"privacy_notice": "\udfff"}, "body.privacy_notice"),
    ("/tokens", SIGN_IN | {"privacy_notice": "v" * 41}, "body.privacy_notice"),
    ("/tokens/refresh", {}, "body.refresh_token"),
    ("/tokens/refresh", {"refresh_token": 1}, "body.refresh_token"),
    ("/tokens/refresh", {"refresh_token": "x" * 201}, "body.refresh_token"),
    ("/tokens/refresh", {"refresh_token": "x\x00"}, "body.refresh_token"),
    ("/tokens/refresh", {"refresh_token": "\ud800"}, "body.refresh_token"),
    ("/tokens/refresh", REFRESH | {"extra": 1}, "body.extra"),
    ("/tokens/revoke", {"refresh_token": "\ud800"}, "body.refresh_token"),
    ("/tokens/revoke", REFRESH | {"extra": 1}, "body.extra"),
]


async def written(identity: Identity) -> list[int]:
    """How many rows each table holds."""
    tables = ("person", "household", "sign_in_code", "address_count", "refresh_family", "message", "request")
    async with identity.db.transaction() as session:
        return [int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0) for table in tables]


UNREADABLE: list[tuple[bytes, str, int]] = [
    (b"{", "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"", "application/json", 422),
    (b"[]", "application/json", 422),
    (b"null", "application/json", 422),
    (b"[" * 100_000, "application/json", 400),
    (b'{"phone": 1' + b"0" * 5000 + b"}", "application/json", 400),
    (b'{"phone": NaN}', "application/json", 422),
    (b'{"phone":"10000000001"}', "text/plain", 422),
    (b" " * (1 << 20) + b"{}", "application/json", 413),
]


async def test_bad_input_names_the_field_and_changes_nothing(identity: Identity, subtests: pytest.Subtests) -> None:
    for path, body, field in BAD:
        with subtests.test(path=path, body=repr(body)[:80]):
            answer = await identity.post(path, body, Idempotency_Key="a-key-of-the-phone")
            assert answer.status_code == 422, answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert [error["name"] for error in answer.json()["errors"]] == [field]
    assert await written(identity) == [0] * 7
    assert identity.outbox.sent == []


async def test_a_body_that_is_no_json_object_is_refused(identity: Identity, subtests: pytest.Subtests) -> None:
    for path in ("/otp", "/tokens", "/tokens/refresh", "/tokens/revoke"):
        for content, content_type, status in UNREADABLE:
            with subtests.test(path=path, content=content[:20]):
                async with identity.client() as client:
                    headers = {"Content-Type": content_type}
                    answer = await client.post(f"/api/identity{path}", content=content, headers=headers)
                assert answer.status_code == status, answer.text
                assert answer.headers["Content-Type"] == "application/problem+json"
    assert await written(identity) == [0] * 7


async def test_a_body_too_large_is_refused_even_if_its_length_is_not_announced(identity: Identity) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 16)

    async with identity.client() as client:
        answer = await client.post("/api/identity/otp", content=endless())
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")


async def test_a_token_that_is_none_is_refused(identity: Identity, subtests: pytest.Subtests) -> None:
    for header in ("Basic abc", "Bearer", "Bearer x", "Bearer a.b.c", "Bearer " + "x" * 5000, "Bearer \xff", ""):
        with subtests.test(header=header[:20]):
            async with identity.client() as client:
                answer = await client.get("/api/identity/me", headers={b"Authorization": header.encode("latin-1")})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_html_in_a_name_comes_back_as_it_was_and_as_json(identity: Identity) -> None:
    name = "<script>alert(1)</script>'; DROP TABLE person; --"
    await identity.record_person(name, PHONE)
    me = await identity.get("/me", token=(await identity.sign_in())["access_token"])
    assert me.json()["name"] == name
    assert me.headers["Content-Type"] == "application/json"
