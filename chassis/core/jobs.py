"""What runs later, on a schedule, or again after a failure: procrastinate, in the service's own schema.

A job is deferred on the connection of the transaction that decides it, so it exists exactly if the decision does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import procrastinate
from procrastinate import JobContext
from procrastinate.jobs import Status
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clocks, idempotency, inbox, relay
from chassis.core.db import Database, driver_connection
from chassis.core.metrics import Reading

if TYPE_CHECKING:
    from chassis.core.runtime import Runtime

JobFunction = Callable[..., Awaitable[None]]
_STALLED_SECONDS = 60.0

IS_PERIODIC = "job.queueing_lock IS NOT NULL"
MADE_GOOD = (
    f"{IS_PERIODIC} AND EXISTS (SELECT FROM procrastinate_jobs later WHERE later.task_name = job.task_name"
    " AND later.id > job.id AND later.status = 'succeeded')"
)
"""SQL on a failed `job`: a later run did what was due, as those of periodic jobs do."""
FAILED = f"job.status = 'failed' AND NOT ({MADE_GOOD})"
"""SQL on a `job`: it was given up and what it was to do has not been done."""
_COUNT_FAILED = f"SELECT count(*) FROM procrastinate_jobs job WHERE {FAILED}"  # noqa: S608  # constants
_FORGET_MADE_GOOD = f"DELETE FROM procrastinate_jobs job WHERE status = 'failed' AND {MADE_GOOD}"  # noqa: S608  # constants


@dataclass(frozen=True)
class Job:
    """A job as declared: `function(runtime, **arguments)`; `cron` makes it periodic."""

    name: str
    function: JobFunction
    cron: str | None
    retries: int


class Jobs:
    """The jobs that a domain declares with decorators."""

    def __init__(self) -> None:
        self.declared: list[Job] = []

    def periodic(self, name: str, *, cron: str) -> Callable[[JobFunction], JobFunction]:
        """Run `function(runtime)` by the cron line (UTC). It asks the clock itself and does what is due.

        Not while that is far ahead of the database's: what is young would be cleared away as old.
        """
        register = self._declare(name, cron=cron, retries=0)
        return lambda function: register(_by_a_right_clock(function))

    def task(self, name: str, *, retries: int = 8) -> Callable[[JobFunction], JobFunction]:
        """A job to `defer`: `function(runtime, **arguments)`; after a failure again, `retries` times, ever later."""
        return self._declare(name, cron=None, retries=retries)

    def _declare(self, name: str, *, cron: str | None, retries: int) -> Callable[[JobFunction], JobFunction]:
        def register(function: JobFunction) -> JobFunction:
            self.declared.append(Job(name, function, cron, retries))
            return function

        return register


def _by_a_right_clock(function: JobFunction) -> JobFunction:
    async def run(runtime: "Runtime") -> None:
        async with runtime.db.transaction() as session:
            if await clocks.is_ahead(session):
                return  # the next run does it, or another machine
        await function(runtime)

    return run


async def defer(session: AsyncSession, name: str, **arguments: Any) -> None:
    """Enqueue the job `name` with JSON arguments, in the session's transaction."""
    app: procrastinate.App = session.info["jobs"]
    connection = await driver_connection(session)
    await app.configure_task(name, allow_unknown=False, connection=connection).defer_async(**arguments)


async def _failed(db: Database) -> dict[tuple[str, ...], int]:
    async with db.transaction() as session:
        return {(): int(await session.scalar(text(_COUNT_FAILED)) or 0)}


GIVEN_UP = Reading("beiyuan_jobs_failed", "Jobs given up, what they were to do undone", _failed)


def job_app(service: str, db: Database, declared: list[Job]) -> procrastinate.App:
    """A service's procrastinate application: its own queue and schema, the `declared` jobs and the chassis's own."""
    connector = procrastinate.PsycopgConnector(conninfo=db.conninfo, min_size=1, max_size=4, timeout=5)
    app = procrastinate.App(connector=connector)
    for job in [*declared, *_own_jobs()]:
        _add(app, service, job)
    return app


def _add(app: procrastinate.App, queue: str, job: Job) -> None:
    retry = procrastinate.RetryStrategy(max_attempts=job.retries, exponential_wait=4) if job.retries else False
    if job.cron:

        async def run_periodic(context: JobContext, timestamp: int) -> None:
            await job.function(context.additional_context["runtime"])

        lock = None if job.function is _retry_stalled_jobs else job.name  # the rescuer waits for nobody
        task = app.task(name=job.name, queue=queue, pass_context=True, queueing_lock=job.name, lock=lock)(run_periodic)
        app.periodic(cron=job.cron)(task)
    else:

        async def run(context: JobContext, /, **arguments: Any) -> None:
            await job.function(context.additional_context["runtime"], **arguments)

        app.task(name=job.name, queue=queue, pass_context=True, retry=retry)(run)


def _own_jobs() -> list[Job]:
    return [
        Job("chassis.retry_stalled_jobs", _retry_stalled_jobs, "* * * * *", 0),
        Job("chassis.forget", _by_a_right_clock(_forget), "17 19 * * *", 0),
    ]


async def _retry_stalled_jobs(runtime: "Runtime") -> None:
    """Jobs whose worker died in the middle run again.

    A periodic one is ended instead, which frees its lock: its next run does what is due, and may stand in the queue
    already, where no second one is let in.
    """
    manager = runtime.jobs.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_SECONDS):
        if job.queueing_lock:
            await manager.finish_job(job, status=Status.FAILED, delete_job=False)
        else:
            await manager.retry_job(job)


async def _forget(runtime: "Runtime") -> None:
    """What nobody will ask for any more goes.

    Delivered messages after thirty days and what was received after sixty, answers to idempotent requests after seven,
    jobs that succeeded after one; those that failed after thirty, or once a later run has made good what they left.
    """
    await relay.prune(runtime.db, keep=timedelta(days=30))
    await inbox.forget_received(runtime.db, runtime.parts.subscriptions or {})
    await idempotency.prune(runtime.db, keep=timedelta(days=7))
    async with runtime.db.transaction() as session:  # before the later runs are forgotten themselves
        await session.execute(text(_FORGET_MADE_GOOD))
    await runtime.jobs.job_manager.delete_old_jobs(nb_hours=24)
    await runtime.jobs.job_manager.delete_old_jobs(nb_hours=30 * 24, include_failed=True)
