"""The gateway's own calls to the services: the public API, in the name of whoever asks."""

from typing import Any

import httpx2
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.core.tokens import ServiceTokens
from chassis.web.auth import CLIENT_ADDRESS_HEADER, GATEWAY_TOKEN_HEADER
from gateway.errors import BadAnswer
from gateway.settings import MIB
from gateway.upstreams import Upstreams

# Who asks, and from where: the edge has checked these, or set them itself.
_PASSED_ON = ("X-Request-Id", "traceparent", "Authorization", CLIENT_ADDRESS_HEADER)
_ANSWER_BYTES = 32 * MIB


class Calls:
    """Calls the services for the request at hand: with its token, id, trace and client address."""

    def __init__(self, upstreams: Upstreams, tokens: ServiceTokens) -> None:
        self._upstreams = upstreams
        self._tokens = tokens

    async def call(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        key: str | None = None,
        token: str | None = None,
        max_bytes: int = _ANSWER_BYTES,
        **content: Any,
    ) -> httpx2.Response:
        """What the service that `path` names answers, whatever its status.

        `key` is an Idempotency-Key, `token` an access token in the place of the request's own.

        Raises ServiceDown where it cannot be reached, BadAnswer where it breaks off or says more than `max_bytes`. Time
        is for the caller to keep.
        """
        service = path.split("/")[2]
        headers = {name: value for name in _PASSED_ON if (value := request.headers.get(name)) is not None}
        headers[GATEWAY_TOKEN_HEADER] = self._tokens.issue(service)
        headers["Accept-Encoding"] = "identity"  # so that the bound is one on what is read
        if key is not None:
            headers["Idempotency-Key"] = key
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        # A client for each call: it would carry what one resident was told over to the next.
        transport = httpx2.ASGITransport(app=_bounded(self._upstreams.get(service), service, max_bytes))
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return await client.request(
                method, f"http://{service}.internal{path}", headers=headers, timeout=None, **content
            )


class _TooLong(Exception):
    """Stops whoever goes on answering beyond the bound."""


def _bounded(app: ASGIApp, service: str, max_bytes: int) -> ASGIApp:
    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def send_counted(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            if size > max_bytes:
                raise _TooLong
            await send(message)

        try:
            await app(scope, receive, send_counted)
        except Exception as error:
            if size > max_bytes:  # whatever the application made of being stopped
                raise BadAnswer(f"The {service} service answered with more than {max_bytes} bytes.") from error
            raise

    return bounded
