"""Puts the gateway together."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chassis.core import keys
from chassis.core.client import Directory, ServiceClient
from chassis.core.errors import DomainError, NotFound
from chassis.core.runtime import JWKS_PATH
from chassis.core.tokens import AccessTokens, ServiceTokens
from chassis.web.problems import domain_problem, plain_problem
from gateway import docs
from gateway.calls import Calls
from gateway.edge import OWN, Edge
from gateway.errors import Internal
from gateway.health import Health
from gateway.home import Home
from gateway.metrics import EdgeMetrics
from gateway.openapi import MergedOpenApi
from gateway.pages.front import DemoCode
from gateway.pages.refusals import for_browsers
from gateway.pages.routes import page_routes
from gateway.settings import GatewaySettings
from gateway.upstreams import Upstreams


def create_app(settings: GatewaySettings, directory: Directory, *, demo_codes: Sequence[DemoCode] = ()) -> Edge:
    """The gateway as an ASGI application.

    The server in front of it must not believe X-Forwarded-For, name itself, or log paths (private links are paths).
    Services of `directory` that are in this process are called as they are; it is for whoever put them there to run
    their lifespans. `demo_codes` are offered on the front page. Raises KeysMissing without the gateway's key files.
    """
    upstreams = Upstreams(settings, directory)
    metrics = EdgeMetrics()
    service_tokens = ServiceTokens(
        OWN, keys.read_signing_key(settings.keys_path, OWN), keys.read_trusted(settings.keys_path)
    )
    client = ServiceClient(directory, service_tokens)

    async def fetch_jwks() -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await client.get("identity", JWKS_PATH)
        return answer

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await upstreams.aclose()
            await client.aclose()

    calls = Calls(upstreams, service_tokens)
    health = Health(upstreams, metrics)
    site = Starlette(
        routes=[
            *page_routes(calls, health.services, demo_codes),
            *Home(calls, part_seconds=settings.home_part_seconds).routes(),
            *health.routes(),
            *MergedOpenApi(upstreams, keep_seconds=settings.openapi_seconds).routes(),
            *docs.routes(),
        ],
        lifespan=lifespan,
        exception_handlers={DomainError: _on_refusal, HTTPException: _on_http, Exception: _on_defect},
    )
    return Edge(settings, upstreams, site, AccessTokens(fetch_jwks), service_tokens, metrics)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    return for_browsers(error, request.scope) or domain_problem(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and (answer := for_browsers(NotFound(), request.scope)):
        return answer
    return plain_problem(error.status_code, str(error.detail), error.headers)


async def _on_defect(request: Request, error: Exception) -> Response:
    return domain_problem(Internal())
