"""What a running service holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import procrastinate
import structlog
from sqlalchemy import text

from chassis.core import keys
from chassis.core.client import Directory, ServiceClient
from chassis.core.crypto import Vault
from chassis.core.db import Database
from chassis.core.inbox import Pace, Subscription
from chassis.core.jobs import GIVEN_UP, Job, job_app
from chassis.core.messages import Message
from chassis.core.metrics import Metrics, Reading
from chassis.core.paging import Cursors
from chassis.core.relay import WAITING, Relay
from chassis.core.settings import ServiceSettings
from chassis.core.tokens import AccessTokens, ServiceTokens

JWKS_PATH = "/api/identity/.well-known/jwks.json"
_STOP_SECONDS = 5.0
_RESTART_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What makes one service different from another, apart from its routes."""

    name: str
    publishes: Sequence[type[Message]] = ()
    subscriptions: Mapping[str, Subscription] | None = None
    jobs: Sequence[Job] = ()
    followers: Sequence[Callable[["Runtime"], Awaitable[None]]] = ()
    """What goes on for as long as the process does where jobs are enabled. One that fails begins again."""
    readings: Sequence[Reading] = ()
    """What its metrics ask the database for, besides what every service's do."""


class Runtime:
    """A service's database, keys, clients and background work; `app.state.runtime` in its web application."""

    def __init__(self, parts: Parts, settings: ServiceSettings, directory: Directory) -> None:
        self.name = parts.name
        self.parts = parts
        self.settings = settings
        self.db = Database(settings, schema=parts.name)
        self.vault = Vault(keys.read_data_keys(settings.keys_path, parts.name))
        self.cursors = Cursors(self.vault.derive("cursors"))
        self.service_tokens = ServiceTokens(
            parts.name,
            keys.read_signing_key(settings.keys_path, parts.name),
            keys.read_trusted(settings.keys_path),
        )
        self.client = ServiceClient(directory, self.service_tokens)
        self.access_tokens = AccessTokens(self._fetch_jwks)
        self.metrics = Metrics(parts.name, [WAITING, GIVEN_UP, *parts.readings])
        self.pace = Pace()
        self.closing: list[Callable[[], Awaitable[None]]] = []
        """What is to be finished when the service stops: awaited while it still has its database."""
        self.jobs: procrastinate.App = job_app(parts.name, self.db, list(parts.jobs))
        self.db.sessions.configure(info={"schema": parts.name, "jobs": self.jobs})

    async def _fetch_jwks(self) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await self.client.get("identity", JWKS_PATH)
        return answer

    def relay(self) -> Relay:
        """A relay for what this service publishes."""
        return Relay(
            self.db,
            self.client,
            self.metrics,
            service=self.name,
            subscribers=sorted({name for message in self.parts.publishes for name in message.to}),
            poll_seconds=self.settings.relay_poll_seconds,
            backoff_max_seconds=self.settings.relay_backoff_max_seconds,
        )

    async def ready(self) -> None:
        """Raise unless the database answers and holds this service's tables."""
        async with asyncio.timeout(3), self.db.transaction() as session:
            await session.execute(text("SELECT 1 FROM alembic_version"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Background work goes on within this block: the relay and the jobs. Everything is closed at its end."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.db.dispose)
            stack.push_async_callback(self.client.aclose)
            stack.push_async_callback(self._finish)
            await stack.enter_async_context(self.jobs.open_async())
            if self.settings.jobs_enabled:
                stack.push_async_callback(_stop, asyncio.create_task(self._work(), name=f"{self.name}-jobs"))
                for follower in self.parts.followers:
                    stack.push_async_callback(_stop, asyncio.create_task(self._keep_up(follower)))
            if self.settings.relay_enabled:
                stack.push_async_callback(_stop, asyncio.create_task(self.relay().run(), name=f"{self.name}-relay"))
            yield

    async def _finish(self) -> None:
        for finish in self.closing:
            await finish()

    async def _work(self) -> None:
        """Work off jobs. The worker gives up when the database is lost: another one takes its place."""
        while True:
            try:
                await self.jobs.run_worker_async(
                    queues=[self.name],
                    concurrency=2,
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=_STOP_SECONDS / 2,
                    additional_context={"runtime": self},
                )
            except Exception as error:
                log.warning("job_worker_stopped", service=self.name, reason=type(error).__name__)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _keep_up(self, follower: Callable[["Runtime"], Awaitable[None]]) -> None:
        """Run a follower, again whenever it has failed."""
        while True:
            try:
                await follower(self)
            except Exception as error:
                log.warning(
                    "follower_failed", service=self.name, follower=follower.__name__, reason=type(error).__name__
                )
            await asyncio.sleep(_RESTART_SECONDS)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, TimeoutError):
        await asyncio.wait_for(task, _STOP_SECONDS)
