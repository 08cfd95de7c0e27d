"""What happens to every request at the edge, in order.

1. It gets its request id, trace context and client address; its answer will get the protective headers.
2. A browser of another origin is told whether it may ask (CORS).
3. The address it comes from must be within its limit; its path must be readable in one way only.
4. A bearer token, if there is one, must be valid; the person within their limit.
5. It goes to a service or to the gateway's own pages, with its body and its time bounded.

What is refused on the way is answered with problem+json; what goes wrong behind never shows more than that. Merchants
sign their requests: under `/merchant/v1` 2 and 4 do not apply, and refusals are in the partner protocol's envelope.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter

import structlog
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.core import telemetry
from chassis.core.addresses import Address
from chassis.core.errors import DomainError, NotFound
from chassis.core.tokens import AccessTokens, InvalidToken, ServiceTokens
from chassis.web.auth import CLIENT_ADDRESS_HEADER, GATEWAY_TOKEN_HEADER
from chassis.web.problems import domain_problem
from gateway import addresses, headers, routing
from gateway.errors import BodyTooLarge, ClientGone, Internal
from gateway.exchange import Allowance, Exchange
from gateway.headers import Headers
from gateway.limits import Limits
from gateway.merchant import envelope
from gateway.metrics import EdgeMetrics
from gateway.pages.refusals import for_browsers
from gateway.settings import GatewaySettings
from gateway.upstreams import Upstreams

log = structlog.get_logger(__name__)

OWN = "gateway"
# Asked by machines that watch over us: never refused for asking often.
_UNLIMITED = frozenset({"/healthz", "/readyz"})
_EXPOSED = ("X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Hit", "Location")
_ALLOWED = ("Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id", "traceparent", "tracestate")
_LINGER_SECONDS = 2
_CALL = "beiyuan.call"
_TRACE_CHARS = len("00-") + 32  # the part of a traceparent that names the trace

_CLIENT = CLIENT_ADDRESS_HEADER.lower().encode()
_GATEWAY = GATEWAY_TOKEN_HEADER.lower().encode()


@dataclass(slots=True)
class Call:
    """What the edge knows of one request."""

    headers: Headers
    address: Address
    https: bool
    request_id: str
    traceparent: str
    continues_trace: bool
    service: str = OWN
    status: int | None = None
    standing: Headers = field(default_factory=list)


class Edge:
    """The gateway as an ASGI application. `site` answers what is the gateway's own."""

    def __init__(
        self,
        settings: GatewaySettings,
        upstreams: Upstreams,
        site: Starlette,
        access_tokens: AccessTokens,
        service_tokens: ServiceTokens,
        metrics: EdgeMetrics,
    ) -> None:
        self._settings = settings
        self._upstreams = upstreams
        self.site = site
        self._access_tokens = access_tokens
        self._service_tokens = service_tokens
        self._metrics = metrics
        self._limits = Limits(settings)
        self._guarded: ASGIApp = self._guard
        if settings.cors_origins:
            self._guarded = CORSMiddleware(
                self._guard,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
                allow_headers=_ALLOWED,
                expose_headers=_EXPOSED,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "No WebSocket is served here."})
        else:
            await self.site(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._open(scope)
        started = perf_counter()

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                marked = headers.with_security(message["headers"] + call.standing, https=call.https)
                message = {**message, "headers": [*marked, (b"x-request-id", call.request_id.encode())]}
            await send(message)

        self._metrics.in_flight += 1
        try:
            # Merchants' programs are no browsers.
            guarded = self._guard if routing.is_merchant(scope["path"]) else self._guarded
            await guarded({**scope, _CALL: call}, receive, send_marked)
        except ClientGone:
            call.status = None
        finally:
            self._metrics.in_flight -= 1
            self._metrics.count(call.service, scope["method"], call.status, perf_counter() - started)

    def _open(self, scope: Scope) -> Call:
        incoming: Headers = scope["headers"]
        address, https = addresses.client_of(scope, incoming, self._settings.trusted_proxies)
        request_id = telemetry.accept_request_id(headers.first(incoming, b"x-request-id"))
        offered = headers.first(incoming, b"traceparent")
        traceparent = telemetry.continue_trace(offered)
        telemetry.request_id.set(request_id)
        telemetry.traceparent.set(traceparent)
        continues = offered is not None and offered[:_TRACE_CHARS] == traceparent[:_TRACE_CHARS]
        return Call(incoming, address, https, request_id, traceparent, continues)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request and have it answered, or refuse it."""
        call: Call = scope[_CALL]
        exchange: Exchange | None = None
        try:
            await self._admit(call, scope)
            app, forwarded = self._target(call, scope)
            exchange = self._exchange(call, scope, receive, send)
            await exchange.run(app, forwarded)
        except DomainError as error:
            refusal = error
        except ClientGone:
            raise
        except Exception:
            log.exception("failed", service=call.service, method=scope["method"])
            refusal = Internal()
        else:
            return
        if exchange is not None and exchange.started:
            # Too late to say so: the server closes the connection, and the client sees that the answer is cut off.
            log.warning("answer_cut_off", service=call.service, reason=refusal.code)
            return
        if refusal.status >= 500:
            log.warning("not_answered", service=call.service, reason=refusal.code)
        await _refuse(refusal, scope, receive, send)

    async def _admit(self, call: Call, scope: Scope) -> None:
        path, plain = scope["path"], routing.is_plain(scope)
        call.service = (plain and routing.service_of(path)) or OWN
        if path not in _UNLIMITED:
            self._limits.count_address(call.address, call.standing)
        if not plain:
            raise NotFound
        if path in _UNLIMITED or routing.is_merchant(path):
            return
        if path in routing.TOKENLESS:
            call.headers = [(name, value) for name, value in call.headers if name != b"authorization"]
            return
        token = _bearer(call.headers)
        if token is not None:
            actor = await self._access_tokens.actor(token)
            self._limits.count_person(actor.id, call.address, call.standing)

    def _target(self, call: Call, scope: Scope) -> tuple[ASGIApp, Scope]:
        """Who answers, and the request as they see it: the same in process and over the network."""
        passed = headers.inbound(call.headers, keep_tracestate=call.continues_trace)
        passed += [
            (b"x-request-id", call.request_id.encode()),
            (b"traceparent", call.traceparent.encode()),
            (_CLIENT, str(call.address).encode()),
        ]
        scheme = "https" if call.https else "http"
        if call.service == OWN:
            return self.site, {**scope, "headers": passed, "scheme": scheme, "client": (str(call.address), 0)}
        app = self._upstreams.get(call.service)
        passed.append((_GATEWAY, self._service_tokens.issue(call.service).encode()))
        return app, {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": scope["method"],
            "scheme": scheme,
            "path": scope["path"],
            "raw_path": routing.raw_path(scope),
            "query_string": scope["query_string"],
            "root_path": "",
            "headers": passed,
            "client": None,
            "server": scope.get("server"),
            "state": {},
        }

    def _exchange(self, call: Call, scope: Scope, receive: Receive, send: Send) -> Exchange:
        settings = self._settings
        upload = routing.is_upload(scope["method"], scope["path"])
        allowance = Allowance(
            body_bytes=settings.upload_bytes if upload else settings.body_bytes,
            body_seconds=settings.upload_seconds if upload else settings.body_seconds,
            answer_seconds=settings.answer_seconds,
            transfer_seconds=settings.transfer_seconds,
        )
        length = headers.first(call.headers, b"content-length")
        if length is not None and length.isdecimal() and int(length) > allowance.body_bytes:
            raise BodyTooLarge(allowance.body_bytes)
        has_body = (
            length not in {None, "0"}
            or headers.first(call.headers, b"transfer-encoding") is not None
            or not scope["http_version"].startswith("1")
        )

        async def send_cleaned(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": headers.outbound(message.get("headers", []))}
            await send(message)

        return Exchange(receive, send_cleaned, allowance, has_body=has_body)


async def _refuse(refusal: DomainError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the refusal.

    Where that closes the connection while the client may still be sending, what it sends is swallowed for a moment
    first: closing at once would make its system throw our answer away before the client has read it.
    """
    closes = "Connection" in refusal.headers

    async def send_lingering(message: Message) -> None:
        if not closes or message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    if routing.is_merchant(scope["path"]):
        answer = envelope(refusal, scope[_CALL].request_id)
    else:
        answer = for_browsers(refusal, scope) or domain_problem(refusal)
    await answer(scope, receive, send_lingering)


def _bearer(incoming: Headers) -> str | None:
    """The bearer token, if the request carries one. Other schemes are for the services to judge."""
    found = [value for name, value in incoming if name == b"authorization"]
    if len(found) > 1:
        raise InvalidToken("Two Authorization headers contradict one another.")
    if not found:
        return None
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        return None
    if not token.strip():
        raise InvalidToken
    return token.strip()
