"""Who is signed in at a shop's page: their tokens, kept in two cookies that no script can read.

The access token is good for minutes, the refresh token for weeks; each refresh gives another one (`identity`). Nothing
is kept on our side. Where the page came by HTTPS they bear `__Host-`, so that no neighbouring host can plant one.
"""

from typing import Any, TypeVar

import httpx2
from starlette.requests import Request
from starlette.responses import Response

from gateway.calls import Calls
from gateway.pages.answers import Answer
from gateway.pages.api import Refused, refusal_of
from gateway.pages.counter.answers import Tokens

A = TypeVar("A", bound=Answer)

_ACCESS, _REFRESH = "shop-access", "shop"
_KEEP_SECONDS = 30 * 24 * 3600
_EARLY_SECONDS = 30
_LONGEST = 3000


class SignedOut(Exception):
    """Nobody is signed in (any more)."""


class Session:
    """The tokens of one request, and its calls in the name of whoever they are of.

    Its calls raise SignedOut, Refused, or DomainError where a service cannot be reached. `leave_on` gives the browser
    what has changed.
    """

    def __init__(self, calls: Calls, request: Request) -> None:
        self._calls = calls
        self._request = request
        self._access = self._cookie(_ACCESS)
        self._refresh = self._cookie(_REFRESH)
        self._tokens: Tokens | None = None
        self._forget = False

    def require(self) -> None:
        """Raises SignedOut where the browser has no tokens, good or not: before somebody types in vain."""
        if self._access is None and self._refresh is None:
            raise SignedOut

    async def get(self, kind: type[A], path: str, **params: Any) -> A:
        """What the API answers to somebody who is signed in."""
        return kind.model_validate((await self._ask("GET", path, params=params)).json())

    async def post(self, kind: type[A], path: str, body: Any, *, key: str | None = None) -> A:
        """The same to a request that does something, under a key that makes it once."""
        return kind.model_validate((await self._ask("POST", path, key=key, json=body)).json())

    async def sign_in(self, body: dict[str, Any]) -> None:
        """Spend a code that was sent by SMS. Raises Refused."""
        self._take(await self._identity("tokens", body))

    async def sign_out(self) -> None:
        """No token of this sign-in is good any more, and the browser forgets them."""
        self._forget = True
        if self._refresh:
            await self._calls.call(
                self._request, "POST", "/api/identity/tokens/revoke", json={"refresh_token": self._refresh}
            )

    async def anonymous(self, kind: type[A], method: str, path: str, **content: Any) -> A:
        """What the API answers to anybody. Raises Refused."""
        return kind.model_validate(_accepted(await self._calls.call(self._request, method, path, **content)).json())

    def leave_on(self, response: Response) -> Response:
        """The response, with the cookies that have changed."""
        if self._forget:
            for name in (_ACCESS, _REFRESH):
                response.delete_cookie(self._name(name), **self._attributes())
        elif self._tokens is not None:
            seconds = max(self._tokens.expires_in - _EARLY_SECONDS, 1)
            for name, value, age in (
                (_ACCESS, self._tokens.access_token, seconds),
                (_REFRESH, self._tokens.refresh_token, _KEEP_SECONDS),
            ):
                response.set_cookie(self._name(name), value, max_age=age, **self._attributes())
        return response

    async def _ask(self, method: str, path: str, **content: Any) -> httpx2.Response:
        if self._access is None:
            await self._renew()
        response = await self._calls.call(self._request, method, path, token=self._access, **content)
        if response.status_code == 401 and self._tokens is None:  # it ran out on the way, or the keys have changed
            await self._renew()
            response = await self._calls.call(self._request, method, path, token=self._access, **content)
        return _accepted(response)

    async def _renew(self) -> None:
        if self._refresh is None:
            raise SignedOut
        try:
            self._take(await self._identity("tokens/refresh", {"refresh_token": self._refresh}))
        except Refused as refused:
            if refused.status not in {401, 422}:
                raise
            self._forget = True
            raise SignedOut from None

    async def _identity(self, action: str, body: dict[str, Any]) -> Tokens:
        return await self.anonymous(Tokens, "POST", f"/api/identity/{action}", json=body)

    def _take(self, tokens: Tokens) -> None:
        self._tokens, self._access, self._refresh = tokens, tokens.access_token, tokens.refresh_token

    def _cookie(self, name: str) -> str | None:
        value = self._request.cookies.get(self._name(name))
        return value if value and len(value) <= _LONGEST and value.isascii() and value.isprintable() else None

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self._secure else name

    def _attributes(self) -> dict[str, Any]:
        return {"path": "/", "secure": self._secure, "httponly": True, "samesite": "lax"}

    @property
    def _secure(self) -> bool:
        return self._request.url.scheme == "https"


def _accepted(response: httpx2.Response) -> httpx2.Response:
    if response.status_code >= 400:
        raise refusal_of(response)
    return response
