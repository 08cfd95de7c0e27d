"""Builds a service's web application from its parts."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.core import inbox, telemetry
from chassis.core.client import Directory
from chassis.core.errors import DomainError
from chassis.core.messages import MAX_BATCH, Envelope, Result
from chassis.core.runtime import Parts, Runtime
from chassis.core.settings import ServiceSettings
from chassis.web.auth import require_service, runtime_of
from chassis.web.problems import Problem, install, plain_problem, problem_schema

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1 << 20
# FastAPI's own, which would tell whoever listens of paths: of private links.
_DIGITS = re.compile("[0-9]+")
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
IDEMPOTENCY_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeat a request with the same key and body to get the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


@dataclass(frozen=True)
class Service:
    """A service: its parts and its routes. `constraint_errors` maps constraint names to refusals.

    `middleware` stands around everything but request ids and counters, the last of it outermost. `describe` may change
    the OpenAPI document once everything else is in it.
    """

    parts: Parts
    title: str
    description: str
    routers: Sequence[APIRouter]
    constraint_errors: Mapping[str, type[DomainError]] = field(default_factory=dict)
    max_body_bytes: int = MAX_BODY_BYTES
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = ()
    describe: Callable[[dict[str, Any]], None] | None = None


def build_service(service: Service, settings: ServiceSettings, directory: Directory) -> FastAPI:
    """The ASGI application of a service. Its lifespan runs the background work; `app.state.runtime` holds the rest."""
    runtime = Runtime(service.parts, settings, directory)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime.running():
            yield

    app = FastAPI(
        title=service.title,
        description=service.description,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.state.runtime = runtime
    install(app, service.constraint_errors)
    for router in (*service.routers, _operations()):
        app.router.routes.extend(router.routes)  # as they are: what is included is looked for anew at each request
    app.add_middleware(BodyLimit, max_bytes=service.max_body_bytes)
    for middleware in service.middleware:
        app.add_middleware(middleware)
    app.add_middleware(RequestContext, runtime=runtime)
    app.openapi = lambda: _openapi(app, service.describe)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app


class BodyLimit:
    """Refuses a body of more than `max_bytes`, whether its length is announced or not.

    Starlette's own limit answers in plain text, and in place of whatever the application answers.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = _first(scope, b"content-length") or ""
        if _DIGITS.fullmatch(announced) and (len(announced) > 18 or int(announced) > self.max_bytes):
            await plain_problem(413)(scope, receive, send)
            return
        size = 0

        async def receive_counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_counted, send)


class RequestContext:
    """Request id, trace context and counters of each request; the last resort for exceptions nobody foresaw."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = telemetry.accept_request_id(_first(scope, b"x-request-id"))
        id_token = telemetry.request_id.set(request_id)
        trace_token = telemetry.traceparent.set(telemetry.continue_trace(_first(scope, b"traceparent")))
        started, status = perf_counter(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [header for header in message["headers"] if header[0] != b"x-request-id"]
                headers.append((b"x-request-id", request_id.encode()))
                if b"cache-control" not in dict(headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, send_counted)
        except Exception:
            log.exception("unforeseen_error", method=scope["method"], route=_route(scope))
            if status:
                raise
            await plain_problem(500)(scope, receive, send_counted)
        finally:
            self.runtime.metrics.count(scope["method"], _route(scope), status, perf_counter() - started)
            telemetry.traceparent.reset(trace_token)
            telemetry.request_id.reset(id_token)


def _first(scope: Scope, name: bytes) -> str | None:
    """The first value of a header (its name in lower case, as servers give them), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


def _route(scope: Scope) -> str:
    """The route's template: a label with few values, and no ids or tokens in it."""
    return getattr(scope.get("route"), "path", "unmatched")


class BatchOut(BaseModel):
    """The results of a batch of messages, in its order."""

    results: list[Result]


def _operations() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        """The process can work: its database answers and is migrated."""
        try:
            await runtime_of(request).ready()
        except Exception as error:
            log.warning("not_ready", reason=type(error).__name__)
            return JSONResponse({"status": "unavailable", "database": "unavailable"}, 503)
        return JSONResponse({"status": "ok", "database": "ok"})

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        """What Prometheus reads; what the database must be asked for is left out while it is away."""
        runtime = runtime_of(request)
        return Response(await runtime.metrics.text(runtime.db), media_type=CONTENT_TYPE_LATEST)

    @router.post("/internal/messages")
    async def take_messages(
        request: Request,
        issuer: Annotated[str, Depends(require_service())],
        batch: Annotated[list[Envelope], Body(max_length=MAX_BATCH)],
    ) -> BatchOut:
        """Take a batch of messages from another service; one result for each."""
        runtime = runtime_of(request)
        subscriptions = runtime.parts.subscriptions or {}
        return BatchOut(results=await inbox.receive(runtime.db, subscriptions, issuer, batch, runtime.pace))

    return router


def _openapi(app: FastAPI, describe: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """The service's OpenAPI document: every refusal is a Problem; what the chassis may answer stands at each route."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _add_common_responses(method, operation)
    if describe is not None:
        describe(document)
    app.openapi_schema = document
    return document


def _add_common_responses(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    common = {422: "A field is not valid", 429: "Too many requests", 503: "Busy; try again"}
    if operation.get("security"):
        common |= {401: "Not signed in", 403: "Not allowed"}
    if "requestBody" in operation:
        common |= {400: "The body cannot be read", 413: "The body is too large"}
    if method == "post":
        parameters = operation.setdefault("parameters", [])
        if all(parameter["name"] != IDEMPOTENCY_KEY_PARAMETER["name"] for parameter in parameters):  # or it is required
            parameters.append(IDEMPOTENCY_KEY_PARAMETER)
        common |= {409: "The first request with this Idempotency-Key is still being worked on"}
    for status, description in common.items():
        known = responses.get(str(status))
        if known is None or "application/json" in known.get("content", {}):
            responses[str(status)] = problem_schema(description)
