"""What an operator does about messages that were not delivered: list them, try them again, give one up."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row


class Undelivered(NamedTuple):
    """A message that a subscriber has not taken. `parked`: refused, and what follows it in its aggregate waits."""

    id: str
    type: str
    aggregate: str
    subscriber: str
    state: str
    attempts: int
    occurred_at: datetime
    error: str | None


def undelivered(admin_url: str, service: str, *, limit: int = 200) -> list[Undelivered]:
    """The messages of `service` that are parked or pending, the oldest first, at most `limit`."""
    with _schema(admin_url, service) as connection, connection.cursor(row_factory=class_row(Undelivered)) as cursor:
        return cursor.execute(
            "SELECT m.id::text AS id, m.type, m.aggregate, d.subscriber, d.state, d.attempts, m.occurred_at, d.error"
            " FROM delivery d JOIN message m ON m.sequence = d.message_sequence"
            " WHERE d.state IN ('parked', 'pending') ORDER BY d.state, m.sequence LIMIT %s",
            [limit],
        ).fetchall()


def parked_count(admin_url: str, service: str) -> int:
    """How many messages of `service` are parked."""
    with _schema(admin_url, service) as connection:
        row = connection.execute("SELECT count(*) FROM delivery WHERE state = 'parked'").fetchone()
        return int(row[0]) if row else 0


def retry(admin_url: str, service: str, ids: Sequence[str]) -> int:
    """Let parked messages be sent again: these, or all if none is named. Returns how many."""
    return _release(admin_url, service, "pending", ids)


def skip(admin_url: str, service: str, ids: Sequence[str]) -> int:
    """Give these parked messages up for good, so that what follows them goes on. Returns how many."""
    return _release(admin_url, service, "skipped", ids) if ids else 0


def _release(admin_url: str, service: str, state: str, ids: Sequence[str]) -> int:
    with _schema(admin_url, service) as connection:
        return connection.execute(
            "UPDATE delivery SET state = %(state)s, next_attempt_at = now() FROM message"
            " WHERE message.sequence = delivery.message_sequence AND delivery.state = 'parked'"
            " AND (%(ids)s::uuid[] = '{}' OR message.id = ANY(%(ids)s::uuid[]))",
            {"state": state, "ids": list(ids)},
        ).rowcount


def _schema(admin_url: str, service: str) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(admin_url, options=f"-c search_path={service}", connect_timeout=5)
