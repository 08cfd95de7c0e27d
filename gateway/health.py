"""Whether the gateway lives, whether everything behind it can work, and what it has counted."""

import asyncio
import json
import time
from typing import Any

import httpx2
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.core.errors import DomainError
from gateway import routing
from gateway.errors import BadAnswer
from gateway.metrics import EdgeMetrics
from gateway.upstreams import Upstreams

log = structlog.get_logger(__name__)

_ASK_SECONDS = 5.0
# So that asking often does not become many queries on every database.
_KEEP_SECONDS = 1.0
_NO_STORE = {"Cache-Control": "no-store"}


async def ask(upstreams: Upstreams, service: str, path: str, *, seconds: float = _ASK_SECONDS) -> tuple[int, Any]:
    """The status and the JSON of a service's own page, such as `/readyz`.

    Raises DomainError where the service does not answer, TimeoutError where it takes longer than `seconds`, BadAnswer
    where what it says is not JSON.
    """
    transport = httpx2.ASGITransport(app=upstreams.get(service))
    async with asyncio.timeout(seconds), httpx2.AsyncClient(transport=transport) as client:
        response = await client.get(f"http://{service}.internal{path}")
    try:
        return response.status_code, json.loads(response.content)
    except ValueError as error:
        raise BadAnswer(f"The {service} service answered {path} with something else than JSON.") from error


class Health:
    """The pages that machines ask."""

    def __init__(self, upstreams: Upstreams, metrics: EdgeMetrics) -> None:
        self._upstreams = upstreams
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._known: dict[str, dict[str, str]] = {}
        self._asked_at = float("-inf")

    def routes(self) -> list[Route]:
        """`/healthz`, `/readyz` and `/metrics`."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def healthz(self, request: Request) -> Response:
        """The process is alive."""
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    async def readyz(self, request: Request) -> Response:
        """Whether every service and its database can work; 503 if one cannot (the others go on meanwhile)."""
        services = await self.services()
        ready = all(service["status"] == "ok" for service in services.values())
        body = {"status": "ok" if ready else "unavailable", "services": services}
        return JSONResponse(body, 200 if ready else 503, headers=_NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """The edge's counters for Prometheus."""
        return Response(generate_latest(self._metrics.registry), headers=_NO_STORE, media_type=CONTENT_TYPE_LATEST)

    async def services(self) -> dict[str, dict[str, str]]:
        """What every service says of itself and of its database, as of the last second."""
        async with self._lock:
            if time.monotonic() - self._asked_at > _KEEP_SECONDS:
                answers = await asyncio.gather(*(self._service(name) for name in routing.SERVICES))
                self._known = dict(zip(routing.SERVICES, answers, strict=True))
                self._asked_at = time.monotonic()
        return self._known

    async def _service(self, name: str) -> dict[str, str]:
        try:
            status, said = await ask(self._upstreams, name, "/readyz")
        except (DomainError, TimeoutError) as error:
            log.warning("service_not_ready", service=name, reason=type(error).__name__)
            return {"status": "unavailable", "database": "unknown"}
        database = said.get("database") if isinstance(said, dict) else None
        return {
            "status": "ok" if status == 200 else "unavailable",
            "database": database if database in {"ok", "unavailable"} else "unknown",
        }
