"""`GET /api/home`: the app's first screen in one call.

The parts are asked of their services at once, in the caller's name, and passed on as the services gave them. A part
whose service is down, slow or at fault is missing, and is named; the rest still comes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.core.errors import Unauthenticated
from chassis.web.auth import bearer
from gateway.calls import Calls
from gateway.errors import ServiceDown
from gateway.settings import MIB

log = structlog.get_logger(__name__)

PATH = "/api/home"
SHOWN = 20
"""How many orders, activities and coupons the first screen gets; the services' own lists have them all."""
_PART_BYTES = MIB
_PRIVATE = {"Cache-Control": "private, no-store"}
_OBJECT = TypeAdapter(dict[str, Any])
_ITEMS = TypeAdapter(list[dict[str, Any]])


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the first screen: what it is called there, and the call that gives it.

    With `query` it is a list, and the items of its first page are the part; without, it is the answer itself.
    """

    name: str
    path: str
    query: Mapping[str, str | int] | None = None


PARTS = (
    Part("me", "/api/identity/me"),
    Part("balances", "/api/points/accounts", {"owner": "me"}),
    Part("orders", "/api/orders", {"owner": "me", "open": "true", "limit": SHOWN}),
    Part("activities", "/api/events/signups", {"owner": "me", "upcoming": "true", "limit": SHOWN}),
    Part("coupons", "/api/points/coupons", {"owner": "me", "state": "effective", "limit": SHOWN}),
    Part("expiring", "/api/points/outlook/expiring"),
)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a part: its value; or it is missing; or the service says that nobody is signed in."""

    value: Any = None
    missing: bool = False
    not_signed_in: httpx2.Response | None = None


class Home:
    """The first screen. `part_seconds` is what each part may take."""

    def __init__(self, calls: Calls, *, part_seconds: float) -> None:
        self._calls = calls
        self._part_seconds = part_seconds

    def routes(self) -> list[Route]:
        """`/api/home`."""
        return [Route(PATH, self.home)]

    async def home(self, request: Request) -> Response:
        """Every part by name, null where it is missing, and the names of the missing ones.

        A service that says the caller is not signed in (deleted since, for instance) speaks for the whole. Without any
        part there is no screen: then it is 503. Raises Unauthenticated, InvalidToken, ServiceDown.
        """
        if bearer(request) is None:
            raise Unauthenticated
        outcomes = await asyncio.gather(*(self._part(request, part) for part in PARTS))
        for outcome in outcomes:
            if outcome.not_signed_in is not None:
                return _passed_on(outcome.not_signed_in)
        missing = [part.name for part, outcome in zip(PARTS, outcomes, strict=True) if outcome.missing]
        if len(missing) == len(PARTS):
            raise ServiceDown("No part of the first screen can be had.")
        parts = {part.name: outcome.value for part, outcome in zip(PARTS, outcomes, strict=True)}
        return JSONResponse(parts | {"missing": missing}, headers=_PRIVATE)

    async def _part(self, request: Request, part: Part) -> _Outcome:
        try:
            async with asyncio.timeout(self._part_seconds):
                answer = await self._calls.call(request, "GET", part.path, params=part.query, max_bytes=_PART_BYTES)
            if answer.status_code == 401:
                return _Outcome(not_signed_in=answer)
            if answer.status_code in {403, 404}:  # not for somebody like them, who has no household perhaps
                return _Outcome(None if part.query is None else [])
            if answer.status_code == 200:
                return _Outcome(_read(part, answer.content))
            reason = f"status {answer.status_code}"
        except Exception as error:  # whatever went wrong there, it is that part alone
            reason = type(error).__name__
        log.warning("home_part_missing", part=part.name, reason=reason)
        return _Outcome(missing=True)


def _read(part: Part, content: bytes) -> Any:
    answered = _OBJECT.validate_json(content)
    return answered if part.query is None else _ITEMS.validate_python(answered["items"])


def _passed_on(answer: httpx2.Response) -> Response:
    kept = {name: answer.headers[name] for name in ("Content-Type", "WWW-Authenticate") if name in answer.headers}
    return Response(answer.content, answer.status_code, kept | _PRIVATE)
