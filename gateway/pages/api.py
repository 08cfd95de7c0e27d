"""The pages' calls to the services: the public API, in the name of whoever looks at the page."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx2
from starlette.requests import Request

from chassis.core.errors import FieldError, Unavailable
from gateway.calls import Calls
from gateway.pages.answers import (
    Answer,
    Head,
    Heads,
    PlacePage,
    PrivacyNotice,
    Sent,
    Taxonomy,
    Tracked,
    Uploaded,
    VerifierKey,
    VerifierKeys,
)

A = TypeVar("A", bound=Answer)


class Refused(Exception):
    """A service refused: with which status and code, which fields are at fault, and when to try again."""

    def __init__(self, status: int, code: str, fields: Sequence[FieldError], retry_after: str | None) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.fields = tuple(fields)
        self.retry_after = retry_after


class Api:
    """The services' API. Every call raises Refused, or DomainError where the service cannot be reached."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def place(self, request: Request, code: str) -> PlacePage:
        """The place that a code stands for."""
        return await self._get(PlacePage, request, f"/api/orders/places/{_segment(code)}")

    async def taxonomy(self, request: Request) -> Taxonomy:
        """All that can be reported."""
        return await self._get(Taxonomy, request, "/api/orders/taxonomy")

    async def send_photo(self, request: Request, content: bytes, key: str) -> UUID:
        """Have a photo taken in; its id attaches it within an hour."""
        response = await self._call(
            request, "POST", "/api/orders/photos", key=key, files={"file": ("photo", content, "image/jpeg")}
        )
        return Uploaded.model_validate(response.json()).id

    async def send_report(self, request: Request, body: Mapping[str, Any], key: str) -> Sent:
        """Have a report taken. The same key with the same body is the same report."""
        response = await self._call(request, "POST", "/api/orders/reports", key=key, json=body)
        return Sent.model_validate(response.json())

    async def track(self, request: Request, token: str) -> Tracked:
        """What a private link shows."""
        return await self._get(Tracked, request, _link(token))

    async def act(self, request: Request, token: str, action: str, body: Mapping[str, Any], key: str) -> None:
        """`additions`, `callback`, `settled` or `withdraw`, through a private link."""
        await self._call(request, "POST", f"{_link(token)}/{action}", key=key, json=body)

    async def photo(self, request: Request, token: str, photo_id: str, size: str) -> bytes:
        """A photo of the case of a private link: `full` or `thumb`, as JPEG."""
        path = f"{_link(token)}/photos/{_segment(photo_id)}"
        return (await self._call(request, "GET", path, params={"size": size})).content

    async def privacy_notice(self, request: Request) -> PrivacyNotice:
        """The privacy notice 隐私告知 in force."""
        return await self._get(PrivacyNotice, request, "/api/identity/privacy-notice")

    async def heads(self, request: Request, ledger: str, limit: int) -> Sequence[Head]:
        """The heads that were signed last over a ledger, the latest first."""
        return (await self._get(Heads, request, "/api/points/seals/checkpoints", ledger=ledger, limit=limit)).items

    async def seal_keys(self, request: Request) -> Sequence[VerifierKey]:
        """The public keys of the heads."""
        return (await self._get(VerifierKeys, request, "/api/points/seals/key")).items

    async def _get(self, kind: type[A], request: Request, path: str, **params: Any) -> A:
        return kind.model_validate((await self._call(request, "GET", path, params=params)).json())

    async def _call(
        self, request: Request, method: str, path: str, *, key: str | None = None, **content: Any
    ) -> httpx2.Response:
        response = await self._calls.call(request, method, path, key=key, **content)
        if response.status_code >= 400:
            raise refusal_of(response)
        return response


def _segment(text: str) -> str:
    return quote(text, safe="")


def _link(token: str) -> str:
    return f"/api/orders/track/{_segment(token)}"


def refusal_of(response: httpx2.Response) -> Exception:
    """What to raise for an answer that is a refusal: Refused, or Unavailable where it is not the API that speaks."""
    try:
        problem = response.json()
        fields = [FieldError(item["name"], item["reason"]) for item in problem["errors"]]
        return Refused(response.status_code, problem["code"], fields, response.headers.get("Retry-After"))
    except (ValueError, KeyError, TypeError):
        return Unavailable("A service answered with something else than its API.")
