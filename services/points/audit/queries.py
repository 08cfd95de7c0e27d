"""Looking through the whole ledger as it was at one moment, while others go on posting.

One read-only REPEATABLE READ transaction and no lock: what is committed meanwhile is not seen. Each statement looks at
a slice and answers with what is wrong alone; neither here nor in PostgreSQL (which sorts on disk beyond its `work_mem`)
does memory grow with the ledger.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import IsolationLevel

from services.points.audit.holdings import HOLDING_CHECKS
from services.points.audit.ledger import LEDGER_CHECKS
from services.points.audit.settlement import SETTLEMENT_CHECKS
from services.points.audit.terms import Check, Finding, Slices
from services.points.boards.terms import BoardPeriod
from services.points.terms import LedgerName

CHECKS: tuple[Check, ...] = (*LEDGER_CHECKS, *HOLDING_CHECKS, *SETTLEMENT_CHECKS)
SLICE_ROWS = 100_000
MOST_FINDINGS = 20
"""How many findings of a check are told; then it is not looked at any further."""

_LAST_ID = UUID(int=2**128 - 1)
_OPTIONS = "-c search_path=points -c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"

_ROWS = {
    Slices.ACCOUNTS: "SELECT id, version + 1 AS rows FROM account",
    Slices.LOTS: "SELECT id, 1 AS rows FROM lot",
    Slices.HOLDS: "SELECT id, 1 AS rows FROM hold",
}
_CUTS = """
SELECT id, running - rows FROM (
  SELECT *, lag(slice) OVER (ORDER BY id) AS slice_before FROM (
   SELECT *, (running - 1) / %(most)s AS slice FROM (
    SELECT *, (sum(rows) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING))::bigint AS running FROM ({rows}) AS counted
   ) AS summed
  ) AS sliced
 ) AS placed WHERE slice_before IS DISTINCT FROM slice
UNION ALL SELECT NULL, sum(rows)::bigint FROM ({rows}) AS counted ORDER BY 1
"""
"""With which id each slice begins, and how many rows come before it; at last, how many there are."""
_RANGES = """
SELECT name, first, least(first + %(most)s - 1, numbers), least(%(most)s, numbers - first + 1) FROM (
  SELECT name, greatest(last_sequence, (SELECT max(sequence) FROM transfer WHERE ledger = name)) AS numbers FROM ledger
 ) AS known CROSS JOIN LATERAL generate_series(1, numbers, %(most)s) AS first ORDER BY name, first
"""


class Slice(NamedTuple):
    """The parameters of a statement, and how many rows or so it looks at."""

    values: Mapping[str, Any]
    rows: int


class Progress(NamedTuple):
    """That a part of a check is done: `done` of `total` rows, with what was found in it."""

    check: Check
    done: int
    total: int
    findings: Sequence[Finding]


@contextmanager
def snapshot(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees the service's tables as they are now for as long as it lives, and writes nothing."""
    with psycopg.connect(database_url, options=_OPTIONS, connect_timeout=5) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SELECT 1")  # with this it begins to see
        yield connection


def audit(connection: psycopg.Connection, checks: Sequence[Check] = CHECKS) -> Iterator[Progress]:
    """Make every check, slice by slice, saying how far it has come and what was found."""
    for check in checks:
        slices = list(_slices(connection, check.slices))
        total, done, told = sum(part.rows for part in slices), 0, 0
        for part in slices:
            findings = _findings(connection, check, part, MOST_FINDINGS - told)
            done, told = done + part.rows, told + len(findings)
            yield Progress(check, done, total, findings)
            if told >= MOST_FINDINGS:
                break
        if not slices:
            yield Progress(check, 0, 0, [])


def _findings(connection: psycopg.Connection, check: Check, part: Slice, most: int) -> list[Finding]:
    with connection.cursor(name="findings") as cursor:
        cursor.execute(check.sql.encode(), part.values)
        return [Finding(check.name, subject, detail) for subject, detail in cursor.fetchmany(most)]


def _slices(connection: psycopg.Connection, by: Slices) -> Iterator[Slice]:
    match by:
        case Slices.TRANSFERS:
            for name, first, last, rows in _stream(connection, _RANGES):
                yield Slice({"ledger": name, "first": first, "last": last}, rows)
        case Slices.PERIODS:
            yield from (Slice({"ledger": name, "period": span}, 1) for name in LedgerName for span in BoardPeriod)
        case Slices.ACCOUNTS | Slices.LOTS | Slices.HOLDS:
            cuts = _stream(connection, _CUTS.format(rows=_ROWS[by]))
            for (first, before), (following, upto) in pairwise(cuts):
                last = UUID(int=following.int - 1) if following else _LAST_ID
                yield Slice({"first": first, "last": last}, upto - before)
        case _:
            yield Slice({}, 1)


def _stream(connection: psycopg.Connection, statement: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(name="slices") as cursor:
        cursor.execute(statement.encode(), {"most": SLICE_ROWS})
        yield from cursor
