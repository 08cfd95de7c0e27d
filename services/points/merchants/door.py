"""The merchants' door: what happens to every request under /merchant/v1, in order.

1. The address that it comes from must be within its limit.
2. It must be well-formed: a body of bearable size, and an Authorization header that can be read.
3. Timestamp, key and signature must be good, and the nonce new: it is kept, and committed, before anything else begins.
4. The merchant must be within its limit. Then the route has the request.

Whatever is answered is answered in one shape, with a `Request-ID`; and where the header named a key on record, signed.
What is open to all, or is not there at all, may also be asked without a signature.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.core import clock, telemetry
from chassis.core.addresses import network_of
from chassis.core.db import is_contention, unavailable
from chassis.core.errors import DomainError, TooManyRequests
from chassis.core.limits import LoopStorage
from chassis.core.runtime import Runtime
from chassis.web.auth import client_address, runtime_of
from chassis.web.problems import MEDIA_TYPE as PROBLEM
from services.points.merchants import actions, envelope, queries, signing
from services.points.merchants.errors import BodyTooLarge, Internal
from services.points.merchants.platform import PlatformKeys
from services.points.merchants.terms import BILL_SHA256, Answer, Caller

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
CALLER = "beiyuan.merchant"
"""Where in the scope of an admitted request the Caller stands."""

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "unknown"})
# Of the headers of an answer, these go on to the merchant.
_KEPT_HEADERS = ("retry-after", "allow", "www-authenticate", "content-disposition", BILL_SHA256.lower())
# What people send has no meaning here: signatures were checked already, and numbers are the merchants' own.
_NOT_FOR_ROUTES = frozenset({b"authorization", b"idempotency-key"})


@dataclass(slots=True)
class Visit:
    """What is known of one request so far. A reply is signed once there is a nonce to sign it for."""

    nonce: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


class Limits:
    """How many requests a minute an address and a merchant may send, counted in this process."""

    def __init__(self, *, per_address: int, per_merchant: int) -> None:
        self._address = RateLimitItemPerMinute(per_address)
        self._merchant = RateLimitItemPerMinute(per_merchant)
        self._counter = SlidingWindowCounterRateLimiter(LoopStorage())

    def count_address(self, address: str) -> None:
        """Raises TooManyRequests. This machine is not counted: whoever is on it is no stranger, or a proxy of many."""
        network = network_of(address)
        if network not in _THIS_MACHINE:
            self._count(self._address, "address", network)

    def count_merchant(self, caller: Caller) -> None:
        """The same; a merchant's sandbox keys are counted apart."""
        self._count(self._merchant, "sandbox" if caller.sandbox else "merchant", caller.mchid)

    def _count(self, item: RateLimitItem, kind: str, name: str) -> None:
        if not self._counter.hit(item, kind, name):
            reset = self._counter.get_window_stats(item, kind, name).reset_time
            raise TooManyRequests(retry_after_seconds=max(1, math.ceil(reset - time.time())))


class Door:
    """An ASGI middleware. `routes` are what lies behind it, those of `open_paths` open to all."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: PlatformKeys,
        limits: Limits,
        routes: Sequence[BaseRoute],
        open_paths: frozenset[str],
    ) -> None:
        self.app = app
        self._keys = keys
        self._limits = limits
        self._routes = routes
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_within(scope["path"]):
            await self.app(scope, receive, send)
            return
        visit = Visit()
        try:
            answer = await self._answer(scope, receive, visit)
        except ClientDisconnect:
            return
        except Exception as error:
            answer = _of_exception(error, visit)
        if answer.status >= 400:
            metrics = runtime_of(Request(scope)).metrics
            metrics.merchant_refusals.labels(metrics.service, json.loads(answer.body)["code"]).inc()
        await self._respond(answer, visit)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, visit: Visit) -> Answer:
        request = Request(scope, receive)
        self._limits.count_address(client_address(request))
        authorization = [value for name, value in scope["headers"] if name == b"authorization"]
        body = await _body(request)
        if signing.bears_signature(authorization) or not self._is_open(scope):
            scope[CALLER] = await self._admit(runtime_of(request), scope, authorization, body, visit)
            self._limits.count_merchant(scope[CALLER])
        scope["headers"] = [item for item in scope["headers"] if item[0] not in _NOT_FOR_ROUTES]
        return await self._ask(scope, body, visit)

    async def _admit(
        self, runtime: Runtime, scope: Scope, authorization: Sequence[bytes], body: bytes, visit: Visit
    ) -> Caller:
        credentials = signing.read_authorization(authorization)
        raw_path = scope.get("raw_path") or scope["path"].encode()
        message = signing.request_message(
            scope["method"], raw_path, scope["query_string"], credentials.timestamp, credentials.nonce, body
        )
        async with runtime.db.transaction() as session:
            found = await queries.merchant_and_key(session, credentials.mchid, credentials.serial_no)
            if found[1] is not None:
                visit.nonce = credentials.nonce
            return await actions.admit(session, credentials, message, found)

    def _is_open(self, scope: Scope) -> bool:
        """Whether nothing is behind the door for this method and path but what all may know."""
        if any(route.matches(scope)[0] is Match.FULL for route in self._routes):
            return scope["path"] in self._open_paths
        return True

    async def _ask(self, scope: Scope, body: bytes, visit: Visit) -> Answer:
        """The answer of the application within, a problem of its turned into our shape."""
        start: Message = {}
        pieces: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        await self.app(scope, receive, collect)
        headers = Headers(raw=start["headers"])
        answer = Answer(start["status"], b"".join(pieces))
        visit.headers = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        media_type = headers.get("content-type", visit.media_type)
        if media_type.startswith(PROBLEM):
            return envelope.of_problem(answer)
        visit.media_type = media_type
        return answer

    def _respond(self, answer: Answer, visit: Visit) -> Response:
        response = Response(answer.body, answer.status, visit.headers, media_type=visit.media_type)
        headers = MutableHeaders(raw=response.raw_headers)
        headers["Request-ID"] = telemetry.request_id.get() or ""
        if visit.nonce is not None:
            timestamp = int(clock.now().timestamp())
            headers["HHBY-Timestamp"] = str(timestamp)
            headers["HHBY-Nonce"] = visit.nonce
            key = self._keys.current
            headers["HHBY-Serial"] = key.serial_no
            message = signing.reply_message(timestamp, visit.nonce, answer.body)
            headers["HHBY-Signature"] = signing.sign(key.private_key, message)
        return response


def is_within(path: str) -> bool:
    """Whether a path lies behind the door."""
    return path == envelope.PATH or path.startswith(envelope.PATH + "/")


async def _body(request: Request) -> bytes:
    """The raw body. Raises BodyTooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > MAX_BODY_BYTES):
        raise BodyTooLarge
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    return body


def _of_exception(error: Exception, visit: Visit) -> Answer:
    if not isinstance(error, DomainError):
        if is_contention(error):
            log.warning("database_busy", reason=type(getattr(error, "orig", error)).__name__)
            error = unavailable()
        else:
            log.error("unforeseen_error", exc_info=error)
            error = Internal()
    visit.headers = {name: value for name, value in error.headers.items() if name.lower() in _KEPT_HEADERS}
    return envelope.of_error(error)
