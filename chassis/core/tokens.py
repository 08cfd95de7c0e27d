"""Signed tokens: people's access tokens and the services' own.

EdDSA (Ed25519) by joserfc, which neither allows that algorithm unless told nor looks at `exp` unless asked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.errors import Unauthenticated, Unavailable
from chassis.core.ids import new_id

ALGORITHMS = ["Ed25519"]
ACCESS_ISSUER = "beiyuan/identity"
ACCESS_AUDIENCE = "beiyuan"
SERVICE_TOKEN_SECONDS = 60
_JWKS_SECONDS = 600
_JWKS_RETRY_SECONDS = 5
_CACHED_TOKENS = 4096
_CLOCK_SKEW_SECONDS = 5

log = structlog.get_logger(__name__)


class InvalidToken(Unauthenticated):
    code = "invalid_token"
    title, title_zh = "The token is not valid or has expired", "登录已失效，请重新登录"
    challenge = 'Bearer error="invalid_token"'  # RFC 6750, 3


def encode_access_token(key: OKPKey, actor: Actor, *, seconds: int) -> str:
    """An access token for `actor`, valid for `seconds`. It holds ids and roles, no personal data."""
    issued = int(clock.now().timestamp())
    claims = {
        "iss": ACCESS_ISSUER,
        "aud": ACCESS_AUDIENCE,
        "sub": str(actor.id),
        "iat": issued,
        "exp": issued + seconds,
        "jti": str(new_id()),
        "roles": sorted(actor.roles),
        "org": str(actor.organisation_id) if actor.organisation_id else None,
        "level": actor.level,
        "household": str(actor.household_id) if actor.household_id else None,
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid, "typ": "at+jwt"}, claims, key, algorithms=ALGORITHMS)


class AccessTokens:
    """Checks access tokens against identity's published keys, which are fetched when first needed and then cached."""

    def __init__(
        self, fetch_jwks: Callable[[], Awaitable[Mapping[str, Any]]], *, elapsed: Callable[[], float] = monotonic
    ) -> None:
        self._fetch = fetch_jwks
        self._elapsed = elapsed
        self._keys: dict[str, OKPKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._checked: OrderedDict[str, tuple[Actor, float]] = OrderedDict()

    async def actor(self, token: str) -> Actor:
        """Who the bearer is. Raises InvalidToken; Unavailable where identity cannot be asked for its keys."""
        if (known := self._checked.get(token)) and known[1] > clock.now().timestamp():
            return known[0]
        claims = _decode(token, await self._key(_key_id(token)), ACCESS_ISSUER, ACCESS_AUDIENCE)
        try:
            actor = Actor(
                id=UUID(claims["sub"]),
                roles=frozenset(claims["roles"]),
                organisation_id=UUID(claims["org"]) if claims["org"] else None,
                level=claims["level"],
                household_id=UUID(claims["household"]) if claims["household"] else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidToken from error
        self._checked[token] = (actor, float(claims["exp"]))
        if len(self._checked) > _CACHED_TOKENS:
            self._checked.popitem(last=False)
        return actor

    async def _key(self, kid: str) -> OKPKey:
        if kid not in self._keys:
            await self._refresh()
        elif self._elapsed() - self._fetched_at > _JWKS_SECONDS and not self._lock.locked():
            self._refreshing = asyncio.create_task(self._refresh())  # the keys at hand are good meanwhile
        if kid in self._keys:
            return self._keys[kid]
        if self._fetched_at < self._tried_at:
            raise Unavailable("The keys that sign access tokens cannot be fetched.")
        raise InvalidToken

    async def _refresh(self) -> None:
        """Fetch the keys, at most once in five seconds; whoever asks meanwhile waits for the same answer."""
        async with self._lock:
            if self._elapsed() - self._tried_at < _JWKS_RETRY_SECONDS:
                return
            try:
                jwks = await self._fetch()
                self._keys = {str(item["kid"]): OKPKey.import_key(item) for item in jwks["keys"]}
                self._fetched_at = self._tried_at = self._elapsed()
            except Exception as error:
                log.warning("access_token_keys_not_fetched", reason=type(error).__name__)
                self._tried_at = self._elapsed()


class ServiceTokens:
    """Tokens with which services call one another: each signs with its own key, each knows everyone's public key."""

    def __init__(self, process: str, key: OKPKey, trusted: Mapping[str, OKPKey]) -> None:
        self.process = process
        self._key = key
        self._trusted = trusted
        self._issued: dict[str, tuple[str, float]] = {}
        self._checked: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def issue(self, audience: str) -> str:
        """A token for one call to `audience`, valid for sixty seconds (and used again for the first thirty)."""
        moment = clock.now().timestamp()
        token, expires = self._issued.get(audience, ("", 0.0))
        if expires - moment < SERVICE_TOKEN_SECONDS / 2 or expires - moment > SERVICE_TOKEN_SECONDS:
            expires = moment + SERVICE_TOKEN_SECONDS
            claims = {"iss": self.process, "aud": audience, "iat": int(moment), "exp": int(expires)}
            header = {"alg": "Ed25519", "kid": self.process}
            token = jwt.encode(header, claims, self._key, algorithms=ALGORITHMS)
            self._issued[audience] = (token, expires)
        return token

    def issuer(self, token: str) -> str:
        """Which process made this token for us. Raises InvalidToken."""
        if (known := self._checked.get(token)) and known[1] > clock.now().timestamp():
            return known[0]
        name = _key_id(token)
        if name not in self._trusted:
            raise InvalidToken
        claims = _decode(token, self._trusted[name], name, self.process)
        self._checked[token] = (name, float(claims["exp"]))
        if len(self._checked) > _CACHED_TOKENS:
            self._checked.popitem(last=False)
        return name


def _key_id(token: str) -> str:
    try:
        from joserfc.jws import extract_compact

        return str(extract_compact(token.encode()).headers().get("kid"))
    except (JoseError, ValueError, TypeError):
        raise InvalidToken from None


def _decode(token: str, key: OKPKey, issuer: str, audience: str) -> dict[str, Any]:
    registry = jwt.JWTClaimsRegistry(
        now=lambda: int(clock.now().timestamp()),
        leeway=_CLOCK_SKEW_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        registry.validate(claims)
    except (JoseError, ValueError) as error:
        raise InvalidToken from error
    return dict(claims)
