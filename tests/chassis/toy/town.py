"""The toy services in the test's own process, with an identity that only publishes keys."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from beiyuan.postgres import EmbeddedPostgres
from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.errors import DomainError
from chassis.core.jobs import defer
from chassis.core.runtime import JWKS_PATH, Parts
from chassis.core.settings import ServiceSettings
from chassis.core.tokens import ServiceTokens
from chassis.web.app import Service, build_service
from tests.chassis.toy import receiver, sender
from tests.town import PATIENCE, TestDatabase, Town, actor

ToyAdmin = Callable[[str], None]
"""Runs SQL as the database's administrator."""

TOYS = ("sender", "receiver")
MIGRATIONS = Path(__file__).parent / "migrations"
SERVICES: dict[str, Service] = {"sender": sender.SERVICE, "receiver": receiver.SERVICE}


@dataclass(frozen=True)
class ToyDatabase(TestDatabase):
    """A database with the toys' schemas and roles, migrated."""

    __test__ = False

    name: str
    server: EmbeddedPostgres

    def url(self, service: str) -> str:
        return self.server.url(self.name, user=f"toy_{service}", password=f"{service} 密码 %&")

    @property
    def service_urls(self) -> dict[str, str]:
        return {service: self.url(service) for service in TOYS}


class ToyTown(Town):
    """The toys on a database of the test's own. Background work is off unless a test switches it on."""

    def __init__(self, database: ToyDatabase, keys_dir: Path, home: Path) -> None:
        super().__init__(database, keys_dir, home)
        self.jwks_asked = 0
        self.jwks_status = 200
        self.jwks = {"keys": [self._signing_key.as_dict(private=False)]}
        self.directory.host("identity", Starlette(routes=[Route(JWKS_PATH, self._publish_keys)]))

    async def _publish_keys(self, request: Request) -> JSONResponse:
        self.jwks_asked += 1
        return JSONResponse(self.jwks, self.jwks_status)

    def settings(self, service: str, **overrides: Any) -> ServiceSettings:
        values: dict[str, Any] = {
            "database_url": self.database.url(service),
            "home": self.home,
            "keys_dir": self.keys_dir,
            "jobs_enabled": False,
            "relay_enabled": False,
            "db_pool_size": 5,
            "db_pool_overflow": 20,
            **PATIENCE,
        }
        return ServiceSettings(**(values | overrides))

    async def serve(self, service: Service, **overrides: Any) -> FastAPI:
        """Start a service made for this test, with `overrides` of its settings."""
        name = service.parts.name
        app = build_service(service, self.settings(name, **overrides), self.directory)
        await self.adopt(name, app)
        return app

    async def adopt(self, name: str, app: FastAPI) -> None:
        """Run a service that the test has built."""
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self.directory.host(name, app)
        self.apps[name] = app

    async def start(self, service: str, **overrides: Any) -> FastAPI:
        return await self.serve(SERVICES[service], **overrides)

    def stub(self, name: str, take: Callable[[Request], Awaitable[JSONResponse]]) -> None:
        """Let `take` answer whatever messages are sent to this service."""
        self.directory.host(name, Starlette(routes=[Route("/internal/messages", take, methods=["POST"])]))

    def writer(self, who: Actor | None = None) -> Any:
        """A client of the sender, signed in as one who may write."""
        return self.client("sender", who or actor("writer"))

    def gateway_token(self, audience: str) -> str:
        """The gateway's token for a service."""
        key, trusted = keys.read_signing_key(self.keys_dir, "gateway"), keys.read_trusted(self.keys_dir)
        return ServiceTokens("gateway", key, trusted).issue(audience)

    async def write(self, box: str, *words: str) -> None:
        """Write notes, each in a transaction of its own."""
        for each in words:
            async with self.db("sender").transaction() as session:
                await sender.write(session, box, each)

    async def taken(self) -> list[str]:
        """The words of every note that took effect at the receiver, in order."""
        return await self.column("receiver", "SELECT words FROM taken ORDER BY position")

    async def work_off(self, *names: str) -> None:
        """Defer these of the sender's jobs, then do every job that is due; nothing periodic comes by itself."""
        runtime = self.runtime("sender")
        runtime.jobs.periodic_defaults["max_delay"] = 0
        for name in names:
            async with runtime.db.transaction() as session:
                await defer(session, name, timestamp=0)
        await runtime.jobs.run_worker_async(
            queues=["sender"],
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            additional_context={"runtime": runtime},
        )

    async def column(self, service: str, statement: str, **values: Any) -> list[Any]:
        """The first column of a query, with the service's own rights."""
        async with self.db(service).transaction() as session:
            return list(await session.scalars(text(statement), values))


def key_files(folder: Path) -> Path:
    """Key files of the toys."""
    keys.create_key_files(folder, processes=["gateway", "identity", *TOYS], data_services=TOYS)
    return folder


def service_of(router: APIRouter, *, name: str = "sender", **constraint_errors: type[DomainError]) -> Service:
    """A service of one router, made for a test."""
    return Service(
        parts=Parts(name=name), title=name, description="", routers=[router], constraint_errors=constraint_errors
    )
