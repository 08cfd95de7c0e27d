"""What an operator does about jobs that were given up: list them, have them tried again."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from chassis.core.jobs import FAILED, IS_PERIODIC

_MOST = 200


class FailedJob(NamedTuple):
    """A job that failed as often as it may. A periodic one runs again by itself; if well, this is no more told."""

    id: int
    name: str
    periodic: bool
    attempts: int
    failed_at: datetime | None


def failed_jobs(admin_url: str, service: str) -> list[FailedJob]:
    """The jobs of `service` that were given up, what they were to do undone; the oldest first, at most 200."""
    with _schema(admin_url, service) as connection, connection.cursor(row_factory=class_row(FailedJob)) as cursor:
        return cursor.execute(
            f"SELECT job.id, job.task_name AS name, {IS_PERIODIC} AS periodic, job.attempts,"  # noqa: S608  # constants
            " (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id) AS failed_at"
            f" FROM procrastinate_jobs job WHERE {FAILED} ORDER BY job.id LIMIT {_MOST}"
        ).fetchall()


def retry(admin_url: str, service: str, ids: Sequence[int]) -> int:
    """Let jobs that were given up be tried once more: these, or all if none is named. Returns how many."""
    with _schema(admin_url, service) as connection:
        return connection.execute(
            "SELECT procrastinate_retry_job_v2(job.id, now(), NULL, NULL, NULL)"  # noqa: S608  # constants
            " FROM procrastinate_jobs job"
            f" WHERE {FAILED} AND NOT ({IS_PERIODIC})"
            " AND (%(ids)s::bigint[] = '{}' OR job.id = ANY(%(ids)s::bigint[]))",
            {"ids": list(ids)},
        ).rowcount


def _schema(admin_url: str, service: str) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(admin_url, options=f"-c search_path={service}", connect_timeout=5)
