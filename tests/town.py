"""The services in the test's own process, on a database of its own."""

import itertools
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fastapi import FastAPI

from beiyuan.installation import service_settings
from beiyuan.names import SERVICES
from beiyuan.postgres import EmbeddedPostgres
from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.client import Directory
from chassis.core.db import Database
from chassis.core.ids import new_id
from chassis.core.runtime import Runtime
from chassis.core.settings import ServiceSettings
from chassis.core.tokens import encode_access_token
from chassis.core.turnstile import Turnstile
from services.points.merchants import platform

ROLES = (
    "resident",
    "handler",
    "dispatcher",
    "supervisor",
    "callback_agent",
    "patrol",
    "organiser",
    "social_worker",
    "merchant",
    "administrator",
    "auditor",
)
PATIENCE: dict[str, Any] = {
    "db_pool_timeout_seconds": 60,
    "db_connect_timeout_seconds": 60,
    "lock_timeout_seconds": 60,
    "idle_transaction_timeout_seconds": 120,
    "statement_timeout_seconds": 120,
}
"""Settings for dozens at once who wait for one another, on a slow and busy machine too: none is sent away meanwhile."""
_numbers = itertools.count()
PASSWORDS = {service: f"{service}-{secrets.token_hex(8)}" for service in SERVICES}


@dataclass(frozen=True)
class TestDatabase:
    """A database with every service's schema and role, migrated."""

    __test__ = False

    name: str
    server: EmbeddedPostgres

    @property
    def admin_url(self) -> str:
        return self.server.url(self.name)

    def url(self, service: str) -> str:
        return self.server.url(self.name, user=f"beiyuan_{service}", password=PASSWORDS[service])

    @property
    def service_urls(self) -> dict[str, str]:
        return {service: self.url(service) for service in SERVICES}


@contextmanager
def copy_of(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A copy of the migrated database, dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(migrated.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated.name}" STRATEGY file_copy')
        try:
            yield TestDatabase(name, migrated.server)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def trust_platform_keys() -> None:
    """From now on the platform's RSA keys are read without proof that they are sound: it takes most of a start."""
    trusting = partial(load_pem_private_key, unsafe_skip_rsa_key_validation=True)
    platform.load_pem_private_key = trusting  # type: ignore[attr-defined]


def actor(
    *roles: str,
    id: UUID | None = None,  # noqa: A002  # the field's name
    organisation_id: UUID | None = None,
    level: str | None = None,
    household_id: UUID | None = None,
) -> Actor:
    """An actor for a test; a fresh person unless `id` is given."""
    return Actor(id or new_id(), frozenset(roles), organisation_id, level, household_id)


def new_phone() -> str:
    """A number that nobody has: counted, since of a few hundred drawn at random two may well be the same."""
    return f"100{50_000_000 + next(_numbers):08d}"


def new_address() -> str:
    """An address that nobody else comes from."""
    number = next(_numbers)
    return f"198.18.{number // 256 % 256}.{number % 256}"


class Town:
    """The services in this process, on one test database, calling one another without sockets."""

    def __init__(self, database: TestDatabase, keys_dir: Path, home: Path) -> None:
        self.database = database
        self.keys_dir = keys_dir
        self.home = home
        self.directory = Directory()
        self.apps: dict[str, FastAPI] = {}
        self._stack = AsyncExitStack()
        self._signing_key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]

    def settings(self, service: str, **overrides: Any) -> ServiceSettings:
        """A service's settings for this test."""
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
        return service_settings(service, **(values | overrides))

    async def start(self, service: str, **overrides: Any) -> FastAPI:
        """Start a service, with `overrides` of its settings."""
        app: FastAPI = import_module(f"services.{service}.app").create_app(
            self.settings(service, **overrides), self.directory
        )
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self.directory.host(service, app)
        self.apps[service] = app
        self.runtime(service).client._timeout = 60.0  # of another service's answer, amid dozens of requests at once
        for queue in vars(app.state)["_state"].values():
            if isinstance(queue, Turnstile):
                queue._wait_seconds = 120.0
        return app

    def runtime(self, service: str) -> Runtime:
        """What the running service holds."""
        runtime: Runtime = self.apps[service].state.runtime
        return runtime

    def db(self, service: str) -> Database:
        """The service's database, with the service's own rights."""
        return self.runtime(service).db

    def token(self, who: Actor, *, seconds: int = 600) -> str:
        """An access token as identity would make it."""
        return encode_access_token(self._signing_key, who, seconds=seconds)

    def client(self, service: str, who: Actor | None = None, *, address: str = "203.0.113.7") -> httpx2.AsyncClient:
        """A client of one service, signed in as `who`, from `address`."""
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.apps[service], client=(address, 40000)), base_url="http://town.test"
        )
        if who:
            client.headers["Authorization"] = f"Bearer {self.token(who)}"
        return client

    async def deliver(self, *services: str) -> None:
        """Send every message that is due, of these services or of all, until none is left."""
        relays = [self.runtime(service).relay() for service in services or self.apps]
        while any([await relay.send_batch(name) for relay in relays for name in relay.subscribers]):
            pass

    async def close(self) -> None:
        """Stop every service."""
        await self._stack.aclose()
