"""Who is asking, and whether they may: declared where a route is declared."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from chassis.core.actor import Actor
from chassis.core.errors import Forbidden, Unauthenticated
from chassis.core.runtime import Runtime
from chassis.core.tokens import InvalidToken

GATEWAY_TOKEN_HEADER = "X-Beiyuan-Gateway"  # noqa: S105  # a header's name
CLIENT_ADDRESS_HEADER = "X-Beiyuan-Client"
_ACTOR = "beiyuan.actor"


def runtime_of(request: Request) -> Runtime:
    """The service's runtime."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def bearer(request: Request) -> str | None:
    """The bearer token of the request, or None. Raises InvalidToken where the header is of another kind."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 4096:
        raise InvalidToken
    return token.strip()


async def optional_actor(request: Request) -> Actor | None:
    """Who is signed in; None where nobody is. A token that is not valid is refused, never ignored."""
    scope = request.scope
    if _ACTOR not in scope:
        token = bearer(request)
        scope[_ACTOR] = await runtime_of(request).access_tokens.actor(token) if token else None
    actor: Actor | None = scope[_ACTOR]
    return actor


OptionalActor = Annotated[Actor | None, Depends(optional_actor)]
"""Who is signed in, if anybody: for routes that are open to all."""


class require(SecurityBase):  # noqa: N801  # it reads as what it does where it is used
    """A dependency that gives the actor if they hold one of `roles` (any role at all, if none is named).

    Raises Unauthenticated without a valid token, Forbidden without the role. It is what the OpenAPI document calls a
    security scheme, too.
    """

    model = HTTPBearer(bearerFormat="JWT")
    scheme_name = "access_token"

    def __init__(self, *roles: str) -> None:
        self._roles = roles

    async def __call__(self, request: Request) -> Actor:
        actor = await optional_actor(request)
        if actor is None:
            raise Unauthenticated
        if self._roles and not actor.has(*self._roles):
            raise Forbidden
        return actor


def require_service(*names: str) -> Callable[[Request], Awaitable[str]]:
    """A dependency for /internal routes: gives the calling service's name if it is one of `names`."""

    async def permitted(request: Request) -> str:
        token = bearer(request)
        if token is None:
            raise Unauthenticated
        issuer = runtime_of(request).service_tokens.issuer(token)
        if names and issuer not in names:
            raise Forbidden
        return issuer

    return permitted


def client_address(request: Request) -> str:
    """The address of the device that asks: what the gateway says, where it is the gateway that says it."""
    token = request.headers.get(GATEWAY_TOKEN_HEADER)
    address = request.headers.get(CLIENT_ADDRESS_HEADER)
    if token and address and runtime_of(request).service_tokens.issuer(token) == "gateway":
        return address
    return request.client.host if request.client else "unknown"


async def _client_address(request: Request) -> str:
    return client_address(request)


ClientAddress = Annotated[str, Depends(_client_address)]
"""Address of the device that asks, for limits."""
