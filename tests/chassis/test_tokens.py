"""Tokens: nobody gets in with one that is not theirs, and nobody is thrown out because identity is away."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from chassis.core import clock, tokens
from chassis.core.actor import Actor
from chassis.core.errors import Unavailable
from chassis.core.ids import new_id
from chassis.core.keys import generate_signing_key
from chassis.core.tokens import AccessTokens, InvalidToken, ServiceTokens, encode_access_token

KEY = generate_signing_key("t1")
WHO = Actor(new_id(), frozenset({"handler", "resident"}), new_id(), "property", new_id())
CLAIMS = {
    "iss": "beiyuan/identity",
    "aud": "beiyuan",
    "sub": str(WHO.id),
    "iat": 0,
    "exp": 4_000_000_000,
    "roles": ["handler"],
    "org": None,
    "level": None,
    "household": None,
}


class Identity:
    """Publishes keys, or is away; and how much time has passed."""

    def __init__(self, *keys: OKPKey) -> None:
        self.keys = list(keys)
        self.seconds = 1000.0
        self.asked = 0
        self.away = False
        self.answer = asyncio.Event()
        self.answer.set()

    async def fetch(self) -> Mapping[str, Any]:
        self.asked += 1
        await self.answer.wait()
        if self.away:
            raise Unavailable
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def checking(self) -> AccessTokens:
        """What a service checks tokens with."""
        return AccessTokens(self.fetch, elapsed=lambda: self.seconds)


def signed(claims: Mapping[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode(
        {"alg": "Ed25519", "kid": "t1"} | header, dict(claims), key, algorithms=["Ed25519", "HS256", "none"]
    )


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, ""])


def test_a_token_says_who_it_is_and_nothing_personal() -> None:
    claims = jwt.decode(encode_access_token(KEY, WHO, seconds=60), KEY, algorithms=["Ed25519"]).claims
    assert set(claims) == {"iss", "aud", "sub", "iat", "exp", "jti", "roles", "org", "level", "household"}
    assert claims["exp"] - claims["iat"] == 60


async def test_a_good_token_gives_the_same_person_back() -> None:
    checking = Identity(KEY).checking()
    assert await checking.actor(encode_access_token(KEY, WHO, seconds=60)) == WHO
    nobody_in_particular = Actor(new_id(), frozenset(), None, None, None)
    assert await checking.actor(encode_access_token(KEY, nobody_in_particular, seconds=60)) == nobody_in_particular


async def test_an_expired_token_is_refused_even_where_it_was_good_before() -> None:
    checking, token = Identity(KEY).checking(), encode_access_token(KEY, WHO, seconds=60)
    assert await checking.actor(token) == WHO
    with clock.frozen(clock.now() + timedelta(seconds=70)):
        with pytest.raises(InvalidToken):
            await checking.actor(token)
        with pytest.raises(InvalidToken):
            await Identity(KEY).checking().actor(token)


async def test_a_token_with_one_character_changed_is_refused_though_the_true_one_is_known() -> None:
    checking, token = Identity(KEY).checking(), encode_access_token(KEY, WHO, seconds=60)
    assert await checking.actor(token) == WHO
    for place in (5, token.index(".") + 5, token.rindex(".") + 5):
        forged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidToken):
            await checking.actor(forged)
    assert await checking.actor(token) == WHO


async def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_CACHED_TOKENS", 3)
    checking = Identity(KEY).checking()
    for seconds in range(60, 70):
        assert await checking.actor(encode_access_token(KEY, WHO, seconds=seconds)) == WHO
    assert len(checking._checked) == 3


async def test_clocks_that_differ_by_a_second_do_not_throw_anybody_out() -> None:
    token = encode_access_token(KEY, WHO, seconds=60)
    with clock.frozen(clock.now() - timedelta(seconds=2)):
        assert await Identity(KEY).checking().actor(token) == WHO
    with clock.frozen(clock.now() - timedelta(hours=1)), pytest.raises(InvalidToken):
        await Identity(KEY).checking().actor(token)


def forgeries() -> dict[str, str]:
    """Tokens that must never be taken."""
    good = encode_access_token(KEY, WHO, seconds=60)
    header, payload, signature = good.split(".")
    raised = base64.urlsafe_b64encode(json.dumps(CLAIMS | {"roles": ["administrator"]}).encode()).rstrip(b"=").decode()
    public = json.dumps(KEY.as_dict(private=False)).encode()
    public_bytes = base64.urlsafe_b64decode(str(KEY.as_dict(private=False)["x"]) + "=")
    return {
        "another audience": signed(CLAIMS | {"aud": "orders"}),
        "another issuer": signed(CLAIMS | {"iss": "orders"}),
        "no audience": signed({name: value for name, value in CLAIMS.items() if name != "aud"}),
        "no end": signed({name: value for name, value in CLAIMS.items() if name != "exp"}),
        "an end that is no time": signed(CLAIMS | {"exp": "tomorrow"}),
        "no person": signed({name: value for name, value in CLAIMS.items() if name != "sub"}),
        "a person that is no id": signed(CLAIMS | {"sub": "root"}),
        "roles that are no list": signed(CLAIMS | {"roles": None}),
        "a key of somebody else's under our name": signed(CLAIMS, generate_signing_key("t1")),
        "alg none": unsigned({"alg": "none", "kid": "t1"}, CLAIMS),
        "alg none in capitals": unsigned({"alg": "NONE", "kid": "t1"}, CLAIMS),
        "HS256 with the public key as its secret": signed(CLAIMS, OctKey.import_key(public_bytes), alg="HS256"),
        "HS256 with the published JWK as its secret": signed(CLAIMS, OctKey.import_key(public), alg="HS256"),
        "another payload": ".".join([header, raised, signature]),
        "no signature": f"{header}.{payload}.",
        "half a token": good[: len(good) // 2],
        "one part": header,
        "nothing": "",
        "words": "let me in",
        "words of another script": "请让我进来",
        "a header that is no object": "WzFd.e30.AAAA",
        "a header nested without end": base64.urlsafe_b64encode(b"[" * 2000).decode().rstrip("=") + ".e30.AAAA",
        "a key name that is no text": unsigned({"alg": "Ed25519", "kid": ["t1"]}, CLAIMS) + "AAAA",
    }


@pytest.mark.parametrize("kind", list(forgeries()))
async def test_a_forged_token_is_refused(kind: str) -> None:
    with pytest.raises(InvalidToken):
        await Identity(KEY).checking().actor(forgeries()[kind])


async def test_keys_are_asked_for_once_and_then_known() -> None:
    identity = Identity(KEY)
    checking = identity.checking()
    for _ in range(3):
        await checking.actor(encode_access_token(KEY, WHO, seconds=60))
    assert identity.asked == 1


async def test_unknown_keys_do_not_hammer_identity() -> None:
    identity = Identity(KEY)
    checking = identity.checking()
    await checking.actor(encode_access_token(KEY, WHO, seconds=60))
    strangers = [encode_access_token(generate_signing_key(f"x{n}"), WHO, seconds=60) for n in range(20)]
    for stranger in strangers:
        with pytest.raises(InvalidToken):
            await checking.actor(stranger)
    assert identity.asked == 1
    identity.seconds += 6
    results = await asyncio.gather(*map(checking.actor, strangers), return_exceptions=True)
    assert {type(result) for result in results} == {InvalidToken}
    assert identity.asked == 2


async def test_however_many_come_at_once_identity_is_asked_once() -> None:
    identity = Identity(KEY)
    checking = identity.checking()
    identity.answer.clear()
    asking = [asyncio.create_task(checking.actor(encode_access_token(KEY, WHO, seconds=n))) for n in range(60, 80)]
    await asyncio.sleep(0)
    identity.answer.set()
    assert await asyncio.gather(*asking) == [WHO] * 20
    assert identity.asked == 1


async def test_a_new_signing_key_is_picked_up() -> None:
    identity, new = Identity(KEY), generate_signing_key("t2")
    checking = identity.checking()
    await checking.actor(encode_access_token(KEY, WHO, seconds=60))
    identity.keys.insert(0, new)
    identity.seconds += 6
    assert await checking.actor(encode_access_token(new, WHO, seconds=60)) == WHO
    assert await checking.actor(encode_access_token(KEY, WHO, seconds=61)) == WHO


async def test_a_key_that_was_withdrawn_is_not_good_for_ever() -> None:
    identity = Identity(KEY)
    checking = identity.checking()
    await checking.actor(encode_access_token(KEY, WHO, seconds=60))
    identity.keys = [generate_signing_key("t2")]
    identity.seconds += 601
    await checking.actor(encode_access_token(KEY, WHO, seconds=61))  # it asks meanwhile
    await asyncio.sleep(0)
    with pytest.raises(InvalidToken):
        await checking.actor(encode_access_token(KEY, WHO, seconds=62))


async def test_while_identity_is_away_whoever_is_known_goes_on_without_waiting() -> None:
    identity = Identity(KEY)
    checking = identity.checking()
    await checking.actor(encode_access_token(KEY, WHO, seconds=60))
    identity.seconds += 601
    identity.away = True
    identity.answer.clear()  # it does not even say no
    async with asyncio.timeout(10):
        for seconds in range(61, 70):
            assert await checking.actor(encode_access_token(KEY, WHO, seconds=seconds)) == WHO
            await asyncio.sleep(0)
    assert identity.asked == 2
    identity.answer.set()
    await asyncio.sleep(0)
    assert await checking.actor(encode_access_token(KEY, WHO, seconds=70)) == WHO


async def test_while_identity_is_away_an_unknown_key_is_not_called_invalid() -> None:
    identity = Identity(KEY)
    identity.away = True
    checking = identity.checking()
    good = [encode_access_token(KEY, WHO, seconds=seconds) for seconds in range(60, 70)]
    results = await asyncio.gather(*map(checking.actor, good), return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    assert identity.asked == 1
    with pytest.raises(Unavailable):
        await checking.actor(good[0])
    assert identity.asked == 1


async def test_keys_that_are_no_keys_are_the_same_as_none() -> None:
    async def nonsense() -> Mapping[str, Any]:
        return {"keys": [{"kty": "OKP", "kid": "t1"}]}

    with pytest.raises(Unavailable):
        await AccessTokens(nonsense).actor(encode_access_token(KEY, WHO, seconds=60))


# Between services -----------------------------------------------------------------------------------------------------

ORDERS, POINTS = generate_signing_key("orders"), generate_signing_key("points")
TRUSTED = {"orders": ORDERS, "points": POINTS}


def test_a_service_knows_who_calls_it() -> None:
    token = ServiceTokens("orders", ORDERS, TRUSTED).issue("points")
    assert ServiceTokens("points", POINTS, TRUSTED).issuer(token) == "orders"


def test_a_token_for_one_service_is_no_good_at_another() -> None:
    token = ServiceTokens("orders", ORDERS, TRUSTED).issue("identity")
    with pytest.raises(InvalidToken):
        ServiceTokens("points", POINTS, TRUSTED).issuer(token)


def test_a_service_cannot_call_itself_another() -> None:
    claims = {"iss": "orders", "aud": "points", "iat": 0, "exp": 4_000_000_000}
    receiving = ServiceTokens("points", POINTS, TRUSTED)
    for forged in (
        signed(claims, generate_signing_key("orders"), kid="orders"),
        signed(claims, POINTS, kid="orders"),
        signed(claims, ORDERS, kid="stranger"),
        signed(claims | {"iss": "identity"}, ORDERS, kid="orders"),
        encode_access_token(ORDERS, WHO, seconds=60),
    ):
        with pytest.raises(InvalidToken):
            receiving.issuer(forged)


def test_service_tokens_end_after_a_minute_and_are_renewed_in_time() -> None:
    calling, receiving = ServiceTokens("orders", ORDERS, TRUSTED), ServiceTokens("points", POINTS, TRUSTED)
    start = clock.now()
    first = calling.issue("points")
    with clock.frozen(start + timedelta(seconds=20)):
        assert calling.issue("points") == first
    with clock.frozen(start + timedelta(seconds=40)):
        assert receiving.issuer(calling.issue("points")) == "orders"
        assert calling.issue("points") != first
    assert receiving.issuer(first) == "orders"
    with clock.frozen(start + timedelta(seconds=70)), pytest.raises(InvalidToken):
        receiving.issuer(first)
    with clock.frozen(start - timedelta(days=1)):  # a demo town lives its past first
        assert receiving.issuer(calling.issue("points")) == "orders"
