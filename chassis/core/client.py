"""Calls from one service to another.

A `Directory` knows where each service is: at a URL, or in this very process. Calls are the same either way: JSON over
HTTP with a token of the caller's, a time limit, and a bounded number of retries where repeating is safe.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import httpx2
import structlog

from chassis.core.errors import DomainError, FieldError, Unavailable
from chassis.core.telemetry import outgoing_headers
from chassis.core.tokens import ServiceTokens

ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

log = structlog.get_logger(__name__)

_TRIES = 3
_PAUSE_SECONDS = 0.1


class Directory:
    """Where the services are: name → base URL, or the ASGI application itself when it runs in this process."""

    def __init__(self, urls: Mapping[str, str] | None = None) -> None:
        self.urls = dict(urls or {})
        self.apps: dict[str, ASGIApp] = {}

    def host(self, name: str, app: ASGIApp) -> None:
        """Say that `name` runs in this process: calls to it need no socket."""
        self.apps[name] = app

    def knows(self, name: str) -> bool:
        """Whether the service can be called at all."""
        return name in self.apps or name in self.urls


class BadGateway(DomainError):
    """Another service did not take what this one asked of it: a defect between the two, not of the caller's request."""

    status, code = 502, "bad_gateway"
    title, title_zh = "Another service refused", "上游服务错误"


class CallRefused(DomainError):
    """The other service refused the call: its status and its problem's code are kept, for who called.

    They are about that call, which our own caller knows nothing of: where nobody catches it, the answer is BadGateway.
    """

    title, title_zh = "Another service refused", "其他服务拒绝了请求"

    def __init__(self, service: str, status: int, code: str, detail: str, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail, fields=fields)
        self.service = service
        self.status = status  # type: ignore[misc]  # of the answer, not of the class
        self.code = code  # type: ignore[misc]  # likewise

    @property
    def repeats(self) -> bool:
        return False


class ServiceClient:
    """Calls other services in the name of this one."""

    def __init__(self, directory: Directory, tokens: ServiceTokens, *, timeout_seconds: float = 5.0) -> None:
        self._directory = directory
        self._tokens = tokens
        self._timeout = timeout_seconds
        self._clients: dict[str, httpx2.AsyncClient] = {}

    async def get(self, service: str, path: str) -> Any:
        """The JSON at `path`; tried three times. Raises CallRefused, or Unavailable if there is no answer."""
        return await self._call(service, "GET", path, None, tries=_TRIES, timeout=self._timeout)

    async def post(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        safe: bool = False,
        timeout_seconds: float | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """POST JSON (`body` as an object, or encoded as bytes) and return the JSON answered.

        Tried again only if `safe`: repeating it changes nothing more. Raises as `get` does.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        tries, timeout = _TRIES if safe else 1, timeout_seconds or self._timeout
        return await self._call(service, "POST", path, content, tries=tries, timeout=timeout, type_=content_type)

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        content: bytes | None,
        *,
        tries: int,
        timeout: float,  # noqa: ASYNC109  # of one try
        type_: str | None = None,
    ) -> Any:
        for attempt in range(1, tries + 1):
            headers = {"Authorization": f"Bearer {self._tokens.issue(service)}", **outgoing_headers()}
            if type_:
                headers["Content-Type"] = type_
            try:
                async with asyncio.timeout(timeout):  # in process too, where httpx2 keeps no time
                    response = await self._client(service).request(
                        method, path, content=content, headers=headers, timeout=timeout
                    )
                if response.is_success:
                    return response.json() if response.content else None
                reason = f"status {response.status_code}"
            except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:
                reason = type(error).__name__
            else:
                if response.is_client_error:
                    raise _refusal(service, response)
            if attempt < tries:
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        log.warning("service_call_failed", service=service, path=path, reason=reason)
        raise Unavailable(f"The {service} service does not answer.")

    def _client(self, service: str) -> httpx2.AsyncClient:
        if service not in self._clients:
            app = self._directory.apps.get(service)
            if app is None and service not in self._directory.urls:
                raise Unavailable(f"No address of the {service} service is known (BEIYUAN_{service.upper()}_URL).")
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False) if app else None
            self._clients[service] = httpx2.AsyncClient(
                transport=transport,
                base_url=self._directory.urls.get(service, f"http://{service}.internal"),
                follow_redirects=False,
                trust_env=False,
            )
        return self._clients[service]

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


def _refusal(service: str, response: httpx2.Response) -> CallRefused:
    try:
        problem = response.json()
        fields = tuple(FieldError(item["name"], item["reason"]) for item in problem.get("errors", []))
        return CallRefused(service, response.status_code, problem["code"], problem.get("detail", ""), fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return CallRefused(service, response.status_code, "refused", "")
