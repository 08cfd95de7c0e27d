"""The services as the edge sees them: ASGI applications, in this process or behind a URL.

Both ways they get the same scope and the same messages, so that nothing else in the gateway knows which it is.
"""

import asyncio
import string
from collections.abc import AsyncIterator
from urllib.parse import quote_from_bytes

import aiohttp
from multidict import CIMultiDict
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from chassis.core.client import Directory
from gateway.errors import BadAnswer, ServiceDown
from gateway.settings import GatewaySettings

# Below the five seconds after which uvicorn closes an idle connection, lest a POST meets one that is being closed.
_IDLE_SECONDS = 4
_SHORT_BYTES = 64 * 1024
# What aiohttp would add of its own accord.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Upstreams:
    """The services by name. `aclose` ends the connections to those over the network."""

    def __init__(self, settings: GatewaySettings, directory: Directory) -> None:
        self._settings = settings
        self._directory = directory
        self._proxies: dict[str, NetworkUpstream] = {}

    def get(self, service: str) -> ASGIApp:
        """The service as an application. Raises ServiceDown where no address of it is known."""
        if (app := self._directory.apps.get(service)) is not None:
            return app
        if service not in self._directory.urls:
            raise ServiceDown(f"The {service} service is not part of this installation.")
        if service not in self._proxies:
            self._proxies[service] = NetworkUpstream(service, self._directory.urls[service], self._settings)
        return self._proxies[service]

    async def aclose(self) -> None:
        """Close every connection."""
        for proxy in self._proxies.values():
            await proxy.aclose()
        self._proxies.clear()


class NetworkUpstream:
    """A service behind a URL, as a streaming reverse proxy.

    Bodies pass piece by piece and are never held or unpacked; path, query and answer headers pass as the bytes they
    are; redirects and cookies are the client's affair. Raises ServiceDown where nothing was sent, BadAnswer where the
    service broke off.
    """

    def __init__(self, service: str, url: str, settings: GatewaySettings) -> None:
        self._service = service
        self._base = url.rstrip("/")
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._pass_on(scope, receive, send)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ServiceDown(f"The {self._service} service does not answer.") from error
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise BadAnswer(f"The {self._service} service broke off.") from error

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._base + scope["raw_path"].decode("ascii")
        if query := scope["query_string"]:
            target += "?" + _text(query)
        async with self._open_session().request(
            scope["method"],
            URL(target, encoded=True),
            headers=CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in scope["headers"]),
            data=await _body(receive),
            skip_auto_headers=_NOT_ADDED,
            allow_redirects=False,
        ) as response:
            await send(
                {"type": "http.response.start", "status": response.status, "headers": list(response.raw_headers)}
            )
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=settings.connections, keepalive_timeout=_IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(
                    total=None,  # the exchange keeps the time
                    connect=settings.connect_seconds,
                    sock_connect=settings.connect_seconds,
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _text(raw: bytes) -> str:
    """Bytes as the string that aiohttp turns into the same bytes (it writes UTF-8); escaped if there is none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return quote_from_bytes(raw, safe=string.printable)


async def _body(receive: Receive) -> AsyncIterator[bytes] | bytes | None:
    """The request body: None if there is none, bytes if it is short and came in one piece, else piece by piece."""
    first = await receive()
    if first.get("more_body", False) or len(first.get("body", b"")) > _SHORT_BYTES:
        return _pieces(first, receive)
    return first.get("body") or None


async def _pieces(message: Message, receive: Receive) -> AsyncIterator[bytes]:
    while True:
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError  # the client hung up, and the exchange is being cancelled
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return
        message = await receive()
