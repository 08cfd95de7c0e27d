"""One OpenAPI document for everything that is reached through the gateway."""

import asyncio
import copy
import time
from collections.abc import Mapping

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.core.errors import DomainError
from chassis.web.problems import Problem, problem_schema
from gateway import home, routing
from gateway.health import ask
from gateway.merchant import MerchantRefusal
from gateway.merge import Json, merge, operations
from gateway.upstreams import Upstreams

log = structlog.get_logger(__name__)

_HEAD: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "和谐北苑 Harmony Beiyuan",
        "version": "1",
        "description": "An open backend for neighbourhood self-government. Sign in with `POST /api/identity/otp` and "
        "`POST /api/identity/tokens`, and send the access token as `Authorization: Bearer …`. Merchants' programs sign "
        "every request under `/merchant/v1` instead.",
    },
    "servers": [{"url": "/"}],
}

# What the edge may answer to a request, beyond what a service says of itself.
_SIGNED_IN = {"401": "The token is not valid or has expired"}
_ALWAYS = {
    "429": "Too many requests: see Retry-After",
    "502": "The service broke off, and it is not known what it did",
    "503": "The service is not available just now: see Retry-After",
    "504": "The service took too long, and it is not known what it did",
}
_WITH_PARAMETERS = {"404": "There is no such thing here"}
_WITH_BODY = {"408": "The body took too long to arrive", "413": "The body is too large"}


class MergedOpenApi:
    """The document, made when first asked for and kept for a while."""

    def __init__(self, upstreams: Upstreams, *, keep_seconds: float) -> None:
        self._upstreams = upstreams
        self._keep_seconds = keep_seconds
        self._lock = asyncio.Lock()
        self._latest: dict[str, Json] = {}
        self._document: Json = {}
        self._fresh_until = float("-inf")

    def routes(self) -> list[Route]:
        """`/openapi.json`."""
        return [Route("/openapi.json", self.openapi)]

    async def openapi(self, request: Request) -> Response:
        """The document of everything that can be asked here."""
        return JSONResponse(await self.document(), headers={"Cache-Control": "no-cache"})

    async def document(self) -> Json:
        """The merged document.

        A service that does not answer stands as it last described itself, or not at all; the document is then made
        again at the next request.
        """
        async with self._lock:
            if time.monotonic() >= self._fresh_until:
                found = await asyncio.gather(*(self._fetch(name) for name in routing.SERVICES))
                self._document = merged_document(self._latest)
                if all(found):
                    self._fresh_until = time.monotonic() + self._keep_seconds
            return self._document

    async def _fetch(self, service: str) -> bool:
        try:
            _, self._latest[service] = await ask(self._upstreams, service, "/openapi.json")
        except (DomainError, TimeoutError) as error:
            log.warning("openapi_missing", service=service, reason=type(error).__name__)
            return False
        return True


def merged_document(documents: Mapping[str, Json]) -> Json:
    """One document of those of the services, by name, as far as the gateway routes their paths, and its own pages."""
    parts = {service: _as_seen_here(service, documents[service]) for service in sorted(documents)}
    merged = _HEAD | merge(parts | {"gateway": _own_document()})
    merged["paths"][home.PATH] = {"get": _home(merged)}
    return merged


def _as_seen_here(service: str, document: Json) -> Json:
    """The service's document with the paths that reach it from here, and with what the edge may answer to them."""
    paths = {path: item for path, item in document.get("paths", {}).items() if routing.service_of(path) == service}
    seen = copy.deepcopy(document | {"paths": paths})
    for path, item in seen["paths"].items():
        for operation in operations({"paths": {path: item}}):
            _add_refusals(operation, for_merchants=routing.is_merchant(path))
    return seen


def _add_refusals(operation: Json, *, for_merchants: bool) -> None:
    possible = _ALWAYS if for_merchants else _SIGNED_IN | _ALWAYS
    if operation.get("parameters"):
        possible = possible | _WITH_PARAMETERS
    if "requestBody" in operation:
        possible = possible | _WITH_BODY
    for status, description in possible.items():
        refusal = _envelope(description) if for_merchants else problem_schema(description)
        operation.setdefault("responses", {}).setdefault(status, refusal)


def _own_document() -> Json:
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    envelope = MerchantRefusal.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = problem.pop("$defs", {}) | envelope.pop("$defs", {}) | {"Problem": problem, "MerchantRefusal": envelope}
    return {
        "paths": {
            "/healthz": _page("healthz", "The process is alive.", _json("Alive", status=_STRING)),
            "/readyz": _page(
                "readyz",
                "Whether every service and its database can work. While one cannot, the others go on.",
                _json("Ready", status=_STRING, services=_SERVICES)
                | _json("Not ready", code="503", status=_STRING, services=_SERVICES),
            ),
            "/metrics": _page("metrics", "Counters for Prometheus.", _text("Counters", "text/plain")),
            "/openapi.json": _page("openapi", "This document.", _json("OpenAPI 3.1")),
            "/docs": _page("docs", "This document as a page.", _text("A page", "text/html")),
        },
        "components": {"schemas": schemas},
    }


def _envelope(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/MerchantRefusal"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _home(merged: Json) -> Json:
    """The operation of `/api/home`, whose parts are what the services say that they answer."""
    properties: Json = {}
    security: Json = {}
    for part in home.PARTS:
        operation = merged["paths"].get(part.path, {}).get("get", {})
        properties[part.name] = {"anyOf": [_part(merged, operation, listed=part.query is not None), {"type": "null"}]}
        if "security" in operation:
            security["security"] = operation["security"]
    names = [part.name for part in home.PARTS]
    properties["missing"] = {"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": True}
    refusals = {status: problem_schema(line) for status, line in (_SIGNED_IN | _ALWAYS).items() if status in _AT_HOME}
    return {
        "operationId": "home",
        "summary": "The app's first screen in one call.",
        "description": _HOME,
        "tags": ["home"],
        "responses": _json("The first screen", **properties) | refusals,
    } | security


def _part(merged: Json, operation: Json, *, listed: bool) -> Json:
    """The schema of what a service answers, or of the items of its list; of anything, where it does not say."""
    try:
        schema: Json = operation["responses"]["200"]["content"]["application/json"]["schema"]
        if not listed:
            return schema
        page = merged["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        items: Json = page["properties"]["items"]
        return {key: value for key, value in items.items() if key != "title"}
    except KeyError:
        return {"type": "array", "items": {"type": "object"}} if listed else {"type": "object"}


# Of what the edge answers: no single service's failure is the first screen's.
_AT_HOME = frozenset({"401", "429", "503"})
_HOME = (
    "Who is signed in, and as far as the services have them within a few seconds: their accounts' balances, their open "
    f"orders, their household's next activities and its coupons that can be used, at most {home.SHOWN} of each, and "
    "what of its points and coupons expires within thirty days. A part whose service is down or slow is null and named "
    "in `missing`, and the rest still comes; what is not for somebody like them (coupons, without a household) is "
    "empty, not missing. Without any part it is 503."
)
_STRING: Json = {"type": "string"}
_SERVICES: Json = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {"status": _STRING, "database": _STRING},
        "required": ["status", "database"],
    },
}


def _page(name: str, summary: str, responses: Json) -> Json:
    limited = {} if name in {"healthz", "readyz"} else {"429": problem_schema(_ALWAYS["429"])}
    refused = limited and {"401": problem_schema(_SIGNED_IN["401"])}
    operation = {
        "operationId": name,
        "summary": summary,
        "tags": ["gateway"],
        "responses": responses | limited | refused,
    }
    return {"get": operation}


def _json(description: str, *, code: str = "200", **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {code: {"description": description, "content": {"application/json": {"schema": schema}}}}


def _text(description: str, media_type: str) -> Json:
    return {"200": {"description": description, "content": {media_type: {"schema": _STRING}}}}
