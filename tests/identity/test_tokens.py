"""Tokens: what a signed-in phone can do with them, and what a thief cannot."""

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import text

from chassis.core import clock
from chassis.core.keys import generate_signing_key
from chassis.core.tokens import InvalidToken
from services.identity.signin.actions import sweep
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION
from services.identity.terms import Level, OrganisationKind, Role
from tests.identity.service import PHONE, Identity, start
from tests.town import Town

AT = datetime(2025, 3, 7, 8, 30, tzinfo=UTC)


async def refresh(identity: Identity, token: str) -> tuple[int, str]:
    """The status, and the next refresh token or the problem's code."""
    answer = await identity.post("/tokens/refresh", {"refresh_token": token})
    found = answer.json()
    return answer.status_code, found["refresh_token"] if answer.status_code == 200 else found["code"]


async def test_a_signed_in_phone_gets_tokens_as_promised(identity: Identity) -> None:
    tokens = await identity.sign_in()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    claims = jwt.decode(
        tokens["access_token"],
        OKPKey.import_key((await identity.get("/.well-known/jwks.json")).json()["keys"][0]),
        algorithms=["Ed25519"],
    ).claims
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "roles", "org", "level", "household"}
    assert claims["exp"] - claims["iat"] == 600
    assert claims["roles"] == ["resident"]


async def test_tokens_are_not_kept_by_anything_on_the_way(identity: Identity) -> None:
    answer = await identity.post("/tokens", {
        "phone": PHONE, "code": await identity.code_for(PHONE), "privacy_notice": PRIVACY_NOTICE_VERSION,
    })  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_access_token_ends_after_ten_minutes(identity: Identity) -> None:
    with clock.frozen(AT):
        token = (await identity.sign_in())["access_token"]
    with clock.frozen(AT + timedelta(minutes=9, seconds=59)):
        assert (await identity.get("/me", token=token)).status_code == 200
    with clock.frozen(AT + timedelta(minutes=10, seconds=6)):  # five are for clocks that differ
        assert (await identity.get("/me", token=token)).status_code == 401


async def test_a_handlers_token_says_where_they_work(identity: Identity) -> None:
    organisation = await identity.record_organisation("北苑物业", OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY)
    person = await identity.record_person("李四", PHONE)
    for role in (Role.HANDLER, Role.PATROL):
        await identity.give_post(person, organisation, role)
    actor = await identity.actor_of((await identity.sign_in())["access_token"])
    assert (actor.id, actor.roles) == (person, frozenset({"handler", "patrol"}))
    assert (actor.organisation_id, actor.level, actor.household_id) == (organisation, "property", None)


async def test_a_post_given_since_counts_from_the_next_refresh_on(identity: Identity) -> None:
    tokens = await identity.sign_in()
    me = (await identity.actor_of(tokens["access_token"])).id
    organisation = await identity.record_organisation("北苑物业", OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY)
    await identity.give_post(me, organisation, Role.HANDLER)
    answer = await identity.post("/tokens/refresh", {"refresh_token": tokens["refresh_token"]})
    assert (await identity.actor_of(answer.json()["access_token"])).roles == {"handler", "resident"}


async def test_refreshing_goes_on_and_on(identity: Identity) -> None:
    token = (await identity.sign_in())["refresh_token"]
    seen = {token}
    for _ in range(3):
        status, token = await refresh(identity, token)
        assert status == 200
        seen.add(token)
    assert len(seen) == 4


async def test_a_stolen_refresh_token_ends_the_family_for_thief_and_owner(identity: Identity) -> None:
    with clock.frozen(AT):
        stolen = (await identity.sign_in())["refresh_token"]
        _, good = await refresh(identity, stolen)
    with clock.frozen(AT + timedelta(seconds=31)):
        assert await refresh(identity, stolen) == (401, "refresh_reused")
        assert await refresh(identity, good) == (401, "refresh_invalid")


async def test_a_token_two_steps_old_ends_the_family_even_within_thirty_seconds(identity: Identity) -> None:
    with clock.frozen(AT):
        first = (await identity.sign_in())["refresh_token"]
        _, second = await refresh(identity, first)
        _, third = await refresh(identity, second)
        assert await refresh(identity, first) == (401, "refresh_reused")
        assert await refresh(identity, third) == (401, "refresh_invalid")


async def test_a_phone_that_lost_the_answer_is_not_signed_out(identity: Identity) -> None:
    with clock.frozen(AT):
        token = (await identity.sign_in())["refresh_token"]
        status, successor = await refresh(identity, token)
    with clock.frozen(AT + timedelta(seconds=30)):
        assert await refresh(identity, token) == (status, successor) == (200, successor)
        assert (await refresh(identity, successor))[0] == 200


async def test_refreshing_twenty_times_at_once_gives_one_successor(identity: Identity) -> None:
    token = (await identity.sign_in())["refresh_token"]
    answers = await asyncio.gather(*(refresh(identity, token) for _ in range(20)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert (await refresh(identity, answers[0][1]))[0] == 200


async def test_a_stolen_token_used_twice_at_once_still_ends_the_family(identity: Identity) -> None:
    with clock.frozen(AT):
        stolen = (await identity.sign_in())["refresh_token"]
        _, good = await refresh(identity, stolen)
    with clock.frozen(AT + timedelta(minutes=1)):
        answers = await asyncio.gather(*(refresh(identity, stolen) for _ in range(5)))
        assert sorted(answers) == [(401, "refresh_invalid")] * 4 + [(401, "refresh_reused")]
        assert await refresh(identity, good) == (401, "refresh_invalid")


async def test_signing_out_ends_this_sign_in_and_no_other(identity: Identity) -> None:
    here, there = (await identity.sign_in())["refresh_token"], (await identity.sign_in())["refresh_token"]
    assert (await identity.post("/tokens/revoke", {"refresh_token": here})).status_code == 204
    assert await refresh(identity, here) == (401, "refresh_invalid")
    assert (await refresh(identity, there))[0] == 200


async def test_signing_out_with_a_spent_token_ends_the_sign_in(identity: Identity) -> None:
    spent = (await identity.sign_in())["refresh_token"]
    _, good = await refresh(identity, spent)
    await identity.post("/tokens/revoke", {"refresh_token": spent})
    assert await refresh(identity, good) == (401, "refresh_invalid")


@pytest.mark.parametrize("token", ["nonsense", "A" * 70, "A" * 200, "北苑", "😀"])
async def test_a_made_up_token_is_refused_and_signs_nobody_out(identity: Identity, token: str) -> None:
    assert await refresh(identity, token) == (401, "refresh_invalid")
    assert (await identity.post("/tokens/revoke", {"refresh_token": token})).status_code == 204


async def test_a_refresh_token_unused_for_thirty_days_ends_and_a_used_one_goes_on(identity: Identity) -> None:
    with clock.frozen(AT):
        unused, used = (await identity.sign_in())["refresh_token"], (await identity.sign_in())["refresh_token"]
    with clock.frozen(AT + timedelta(days=20)):
        _, used = await refresh(identity, used)
    with clock.frozen(AT + timedelta(days=30)):
        assert await refresh(identity, unused) == (401, "refresh_invalid")
        assert (await refresh(identity, used))[0] == 200


async def test_a_deleted_person_is_signed_out(identity: Identity) -> None:
    tokens = await identity.sign_in()
    async with identity.db.transaction() as session:
        await session.execute(
            text(
                "UPDATE person SET state = 'deleted', name_sealed = NULL, phone_sealed = NULL, phone_fingerprint = NULL"
            )
        )
    assert await refresh(identity, tokens["refresh_token"]) == (401, "refresh_invalid")
    gone = await identity.get("/me", token=tokens["access_token"])
    assert (gone.status_code, gone.json()["code"]) == (401, "person_gone")


async def test_no_refresh_token_lies_in_the_database(identity: Identity) -> None:
    body = {"phone": PHONE, "code": await identity.code_for(PHONE), "privacy_notice": PRIVACY_NOTICE_VERSION}
    token = (await identity.post("/tokens", body, Idempotency_Key="a-key-of-the-phone")).json()["refresh_token"]
    async with identity.db.transaction() as session:
        for table in ("refresh_family", "request"):
            for row in await session.execute(text(f"SELECT * FROM {table}")):
                assert token not in repr(row)
        assert await session.scalar(text("SELECT count(*) FROM request")) == 1


async def test_a_sign_in_whose_answer_was_lost_can_be_asked_for_again(identity: Identity) -> None:
    body = {"phone": PHONE, "code": await identity.code_for(PHONE), "privacy_notice": PRIVACY_NOTICE_VERSION}
    first = await identity.post("/tokens", body, Idempotency_Key="a-key-of-the-phone")
    again = await identity.post("/tokens", body, Idempotency_Key="a-key-of-the-phone")
    assert first.json() == again.json()
    assert again.headers["Idempotency-Hit"] == "true"


async def test_keys_rotate_without_signing_anyone_out(empty_town: Town, tmp_path: Path) -> None:
    old = await start(empty_town)
    token = (await old.sign_in())["access_token"]
    folder = tmp_path / "rotated"
    shutil.copytree(empty_town.keys_dir, folder)
    path = folder / "access-tokens.json"
    fresh = generate_signing_key("t2").as_dict(private=True)
    path.write_text(json.dumps({"keys": [fresh, *json.loads(path.read_text())["keys"]]}))
    new = await start(empty_town, keys_dir=folder)
    published = (await new.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["kid"] for key in published] == ["t2", "t1"]
    assert all("d" not in key for key in published)
    assert (await new.get("/me", token=token)).status_code == 200
    later = (await new.sign_in())["access_token"]
    assert jwt.decode(later, OKPKey.import_key(published[0]), algorithms=["Ed25519"]).header["kid"] == "t2"


async def test_a_token_signed_by_somebody_else_is_refused(identity: Identity) -> None:
    forged = jwt.encode(
        {"alg": "Ed25519", "kid": "t1"}, {"sub": "x"}, generate_signing_key("t1"), algorithms=["Ed25519"]
    )
    with pytest.raises(InvalidToken):
        await identity.actor_of(forged)


async def test_the_hourly_sweep_forgets_what_is_over_and_nothing_else(identity: Identity) -> None:
    with clock.frozen(AT):
        live, over = (await identity.sign_in())["refresh_token"], (await identity.sign_in())["refresh_token"]
        await identity.post("/tokens/revoke", {"refresh_token": over})
    counts = text(
        "SELECT (SELECT count(*) FROM sign_in_code), (SELECT count(*) FROM address_count), "
        "(SELECT count(*) FROM refresh_family)"
    )
    for after, left in (
        (timedelta(minutes=29), (1, 2, 2)),
        (timedelta(hours=2), (0, 0, 2)),
        (timedelta(days=8), (0, 0, 1)),
        (timedelta(days=31), (0, 0, 0)),
    ):
        async with identity.db.transaction() as session:
            await sweep(session, AT + after)
            assert (await session.execute(counts)).one() == left
        if after == timedelta(days=8):
            with clock.frozen(AT + after):
                assert (await refresh(identity, live))[0] == 200
                await identity.post("/tokens/revoke", {"refresh_token": live})


async def test_the_sweep_gives_no_phone_more_codes_than_its_share(identity: Identity) -> None:
    with clock.frozen(AT):
        for _ in range(5):
            await identity.code_for(PHONE)
    with clock.frozen(AT + timedelta(minutes=59)):
        async with identity.db.transaction() as session:
            await sweep(session, clock.now())
        assert (await identity.post("/otp", {"phone": PHONE})).status_code == 429
