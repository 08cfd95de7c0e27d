"""A stand-in for the services behind the gateway, and servers to put it and the gateway on real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from joserfc.jwk import OKPKey
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.runtime import JWKS_PATH
from chassis.core.tokens import ServiceTokens, encode_access_token
from gateway.settings import GatewaySettings

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class StandIn:
    """Answers as a service would, and remembers what it was asked. One instance stands for one service.

    `pages` are a test's own answers, by path.
    """

    def __init__(self, name: str, signing_key: OKPKey) -> None:
        self.name = name
        self.signing_key = signing_key
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.seen: list[Scope] = []
        self.pages: dict[str, Handler] = {}
        self.ready = True
        self.openapi: Any = {"paths": {}}
        self.got_bytes = 0
        self.got_some = asyncio.Event()
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()

    def header(self, name: str) -> str | None:
        """The value of a header of the last request."""
        found = [value.decode() for key, value in self.seen[-1]["headers"] if key == name.lower().encode()]
        return found[0] if found else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        page = str(scope["path"]).rpartition("/")[2].replace("-", "_")
        if scope["path"] in {"/readyz", "/openapi.json", JWKS_PATH}:
            await self._own(scope["path"], send)
            return
        self.seen.append(scope)
        handler = self.pages.get(scope["path"], getattr(self, f"on_{page}", self.on_echo))
        self.entered.set()
        try:
            await handler(scope, receive, send)
        finally:
            self.ended.set()

    async def _own(self, path: str, send: Send) -> None:
        if path == "/readyz":
            status = "ok" if self.ready else "unavailable"
            await answer(send, {"status": status, "database": status}, status=200 if self.ready else 503)
        elif path == "/openapi.json":
            await answer(send, self.openapi)
        else:
            await answer(send, {"keys": [self.signing_key.as_dict(private=False)]})

    async def on_echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What it was asked, as JSON."""
        body = await self._body(receive)
        await answer(
            send,
            {
                "service": self.name,
                "method": scope["method"],
                "path": scope["path"],
                "raw_path": scope["raw_path"].decode("ascii"),
                "query": scope["query_string"].hex(),
                "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
                "body": body.hex() if len(body) < 10_000 else len(body),
            },
        )

    async def _body(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            self.got_bytes = len(body)
            if body:
                self.got_some.set()
            more = message.get("more_body", False)
        return body

    async def on_headers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer with headers that must not pass, and some that must."""
        headers = [
            (b"Connection", b"X-Only-This-Hop"),
            (b"X-Only-This-Hop", b"1"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Proxy-Authenticate", b"Basic"),
            (b"Server", b"leaky/1.0"),
            (b"X-Powered-By", b"leaky"),
            (b"X-Beiyuan-Secret", b"1"),
            (b"X-Request-Id", b"another-id-of-the-service"),
            (b"Referrer-Policy", b"same-origin"),
            (b"Set-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=2"),
            (b"X-Kept", b"yes"),
        ]
        await answer(send, {}, headers=headers)

    async def on_packed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bytes that claim to be gzip."""
        await send_raw(send, 200, [(b"content-encoding", b"gzip")], b"\x1f\x8b not really")

    async def on_redirect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_raw(send, 302, [(b"location", b"/api/orders/echo")], b"")

    async def on_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One piece at once, the other when it is released."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"first,", "more_body": True})
        if await self._released(receive):
            await send({"type": "http.response.body", "body": b"second", "more_body": False})

    async def on_wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        """No answer until released, or until the caller has gone."""
        await self._body(receive)
        if await self._released(receive):
            await answer(send, {})

    async def _released(self, receive: Receive) -> bool:
        """Wait to be released; False if the caller has gone first."""
        gone = asyncio.create_task(_until_gone(receive))
        released = asyncio.create_task(self.release.wait())
        try:
            await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
            return released.done()
        finally:
            gone.cancel()
            released.cancel()

    async def on_unread(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A refusal before the body was read."""
        await send_raw(send, 403, [], b"no")

    async def on_raise(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret detail of the failure")

    async def on_cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Half an answer, then a failure."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("secret detail of the failure")

    async def on_bad_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI makes of a body that ends in an exception."""
        try:
            await self._body(receive)
        except BaseException:
            await send_raw(send, 400, [], b"There was an error parsing the body")
            raise


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(
    send: Send, body: object, *, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send JSON."""
    await send_raw(send, status, [(b"content-type", b"application/json"), *(headers or [])], json.dumps(body).encode())


async def send_raw(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send bytes."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[int]:
    """Serve `app` with uvicorn on a free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1, **options)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        await server.on_tick(0)  # sets the headers that it adds to every answer
        try:
            yield listener.getsockname()[1]
        finally:
            await server.shutdown()


@dataclass
class Gate:
    """A gateway on a real socket, with a stand-in behind it for each service."""

    port: int
    services: dict[str, StandIn]
    settings: GatewaySettings
    client: httpx2.AsyncClient

    @property
    def orders(self) -> StandIn:
        """The stand-in for the orders service."""
        return self.services["orders"]

    def token(self, who: Actor, *, seconds: int = 600) -> str:
        """An access token as identity would make it."""
        return encode_access_token(self.orders.signing_key, who, seconds=seconds)

    def service_tokens(self, service: str) -> ServiceTokens:
        """What a service checks the gateway's own token with."""
        folder = self.settings.keys_path
        return ServiceTokens(service, keys.read_signing_key(folder, service), keys.read_trusted(folder))

    async def raw(self, request: bytes) -> bytes:
        """Send these very bytes and read until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async def get_raw(self, target: str, *headers: str) -> tuple[int, bytes]:
        """GET a request target as it stands, without any client tidying it up; the status and the whole answer."""
        lines = [f"GET {target} HTTP/1.1", "Host: town.test", "Connection: close", *headers, "", ""]
        answered = await self.raw("\r\n".join(lines).encode())
        return int(answered.split(b" ", 2)[1]), answered
