"""Whether reading grows slower with the ledger: the same questions of ten million entries and of ten thousand.

Run with `python -m bench.history [--entries 10000000] [--seconds 2]`; filling the larger ledger takes some minutes. It
also looks through the larger one with `beiyuan points check` and says how much memory that took.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg

from beiyuan.installation import KEY_FILES
from beiyuan.postgres import EmbeddedPostgres
from bench.load import Server, load, request, running
from bench.place import Place, database, serve_service
from bench.results import Figure
from chassis.core import keys
from services.points.ledger.terms import AccountKey, issuance
from services.points.terms import LedgerName, OwnerKind

SMALL = 10_000
OWNERS = 50
ROUNDS = 3
MOST_MEMORY_MIB = 256
_OPTIONS = "-c search_path=points"
_START = "2026-01-05T00:00:00+08:00"

_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'points' AND tablename = 'transfer' AND indexname NOT IN
 (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))
"""

_TRANSFERS = """
INSERT INTO transfer (id, ledger, sequence, debit_account_id, debit_version, debit_balance, credit_account_id,
 credit_version, credit_balance, amount, code, reference, occurred_at, posted_at)
SELECT gen_random_uuid(), 'staff', n, %(bank)s, n, -n, owner.id, (n - 1) / %(owners)s + 1, (n - 1) / %(owners)s + 1, 1,
 'adjustment', 'history/' || n, CAST(%(start)s AS timestamptz) + n * interval '1 millisecond',
 CAST(%(start)s AS timestamptz) + n * interval '1 millisecond'
 FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
 JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS owner (id, number) ON owner.number = (n - 1) %% %(owners)s + 1
"""

_SCORES = """
INSERT INTO board_score (board_id, subject_id, score)
 SELECT %(board)s, gen_random_uuid(), 1 + (n * 7919) %% 50000 FROM generate_series(1, %(subjects)s) AS n
"""
_BUCKETS = """
INSERT INTO board_bucket (board_id, level, bucket, subjects)
 SELECT board_id, level, floor(score / power(256, level))::bigint AS bucket, count(*) FROM board_score
 CROSS JOIN generate_series(0, 3) AS level WHERE board_id = %(board)s GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class History:
    """A ledger that was filled, and who is asked about."""

    server: Server
    token: str
    own_token: str
    wallet: UUID
    bank: UUID
    moment: str


def fill(url: str, entries: int, people: list[UUID]) -> None:
    """Transfers from issuance to so many wallets in turn, and a board of the week with a hundredth as many people."""
    transfers = entries // 2
    keys_ = [AccountKey(LedgerName.STAFF, OwnerKind.PERSON, person) for person in people]
    bank = issuance(LedgerName.STAFF)
    each = transfers // OWNERS
    with psycopg.connect(url, options=_OPTIONS) as connection:
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO account"
            " (id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt, version, opened_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s, %s)",
            [
                (key.id, key.ledger, key.owner_kind, key.owner_id, key.purpose, key.floor, balance, version, _START)
                for key, balance, version in [(bank, -transfers, transfers), *((key, each, each) for key in keys_)]
            ],
        )
        dropped = cursor.execute(_INDEXES).fetchall()
        for name, _ in dropped:
            cursor.execute(f'DROP INDEX "{name}"')
        for first in range(1, transfers + 1, 500_000):
            values = {"bank": bank.id, "owners": OWNERS, "ids": [key.id for key in keys_], "start": _START}
            cursor.execute(_TRANSFERS, values | {"first": first, "last": min(first + 499_999, transfers)})
        for _, definition in dropped:
            cursor.execute(definition)
        cursor.execute(
            "UPDATE ledger SET last_sequence = %s, last_posted_at ="
            " (SELECT max(posted_at) FROM transfer WHERE ledger = 'staff') WHERE name = 'staff'",
            [transfers],
        )
        _fill_board(cursor, max(transfers // 100, OWNERS), people)
    with psycopg.connect(url, options=_OPTIONS, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _fill_board(cursor: psycopg.Cursor, subjects: int, people: list[UUID]) -> None:
    cursor.execute(
        "UPDATE board_mark SET sequence = last_sequence, posted_at = last_posted_at FROM ledger"
        " WHERE ledger.name = board_mark.ledger AND ledger.name = 'staff'"
    )
    board = cursor.execute(
        "INSERT INTO board (ledger, kind, period, starts_on) VALUES ('staff', 'person', 'year', %s) RETURNING id",
        [date(2026, 1, 1)],
    ).fetchone()
    assert board is not None
    cursor.execute(_SCORES, {"board": board[0], "subjects": subjects})
    cursor.execute("INSERT INTO board_score VALUES (%s, %s, 25000)", [board[0], people[0]])
    cursor.execute(_BUCKETS, {"board": board[0]})


def questions(history: History) -> dict[str, bytes]:
    """What is asked, as it goes over the wire."""
    accounts, token = "/api/points/accounts", history.token
    paths = {
        "as-of balance of a wallet": (f"{accounts}/{history.wallet}?as_of={history.moment}", token),
        "as-of balance of the account in every transfer": (f"{accounts}/{history.bank}?as_of={history.moment}", token),
        "statement page": (f"{accounts}/{history.wallet}/entries?limit=50", token),
        "statement page of the account in every transfer": (f"{accounts}/{history.bank}/entries?limit=50", token),
        "own rank": ("/api/points/boards/year/mine", history.own_token),
        "top 100": ("/api/points/boards/year?ledger=staff&kind=person&limit=100", token),
    }
    return {what: request("GET", path, token=bearer) for what, (path, bearer) in paths.items()}


def measure(entries: int, seconds: float) -> Iterator[Figure]:
    """How many times slower each answer is from the larger ledger; and what looking through it takes."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        people = [UUID(int=number) for number in range(1, OWNERS + 1)]
        places = {
            name: Place(database(postgres, name), Path(folder) / "keys", Path(folder) / name)
            for name in ("small", "large")
        }
        keys.create_key_files(
            places["small"].keys_dir,
            processes=["gateway", "points", "identity"],
            data_services=["points"],
            further=KEY_FILES,
        )
        for name, size in (("small", SMALL), ("large", entries)):
            fill(postgres.url(name), size, people)
        with running(serve_service, places["small"]) as small, running(serve_service, places["large"]) as large:
            asked = {
                name: questions(_history(server, places[name], people[0], moment))
                for name, server, moment in (
                    ("small", small, "2026-01-05T00:00:01%2B08:00"),
                    ("large", large, "2026-01-05T00:20:00%2B08:00"),
                )
            }
            servers = {"small": small, "large": large}
            for name, size in (("small", SMALL), ("large", entries)):
                _until_sealed(postgres.url(name), size // 2)
            for what in asked["small"]:
                yield _compared(what, {name: (servers[name], asked[name][what]) for name in servers}, seconds)
        yield check_memory(places["large"].url)


def _history(server: Server, place: Place, person: UUID, moment: str) -> History:
    return History(
        server,
        place.token("auditor"),
        place.token("handler", person=person),
        AccountKey(LedgerName.STAFF, OwnerKind.PERSON, person).id,
        issuance(LedgerName.STAFF).id,
        moment,
    )


def _until_sealed(url: str, transfers: int) -> None:
    """Wait until all is under a head, which it is seconds after it is posted: millions at once take minutes."""
    with psycopg.connect(url, options=_OPTIONS, autocommit=True) as connection:
        for _ in range(600):
            row = connection.execute("SELECT max(size) FROM seal_head WHERE ledger = 'staff'").fetchone()
            if row and row[0] == transfers:
                return
            time.sleep(1)
    raise RuntimeError("the ledger is not sealed")


def _compared(what: str, asked: dict[str, tuple[Server, bytes]], seconds: float) -> Figure:
    rounds = []
    for _ in range(ROUNDS + 1):  # the first is to warm up
        rates = {
            name: asyncio.run(load(server, seconds / 2, itertools.repeat(line).__next__, connections=1)).a_second
            for name, (server, line) in asked.items()
        }
        rounds.append(rates)
    rounds = rounds[1:]
    ratios = [one["small"] / one["large"] for one in rounds]
    return Figure(
        what,
        measured=statistics.median(1000 / one["large"] for one in rounds),
        unit="ms",
        floor="the same of ten thousand entries, ms",
        floor_measured=statistics.median(1000 / one["small"] for one in rounds),
        ratio=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        wanted="not over 2.00",
        reached=statistics.median(ratios) <= 2,
    )


_CHECK = """
import resource, sys
from services.points.audit.queries import audit, snapshot
with snapshot(sys.argv[1]) as connection:
    found = sum(len(part.findings) for part in audit(connection) if not part.check.name.startswith("board"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def check_memory(url: str) -> Figure:
    """The most memory that `beiyuan points check` had, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _CHECK, url],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
        env=dict(os.environ),
    )
    mebibytes = float(done.stdout.split()[-1])
    return Figure(
        "points check: most memory",
        mebibytes,
        "MiB",
        f"under {MOST_MEMORY_MIB} MiB",
        mebibytes < MOST_MEMORY_MIB,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run")
    parser.add_argument("--entries", type=int, default=10_000_000, help="of the larger ledger")
    arguments = parser.parse_args()
    for figure in measure(arguments.entries, arguments.seconds):
        print(figure, flush=True)


if __name__ == "__main__":
    main()
