"""What PostgreSQL alone does with the rows that the ledger writes, shown by pgbench on the same server.

The floors write into the ledger's own tables, with their indexes, and decide nothing. They leave a ledger that does
not add up: run them on a database of their own.
"""

import os
import re
import subprocess
import tempfile

from sqlalchemy.engine import make_url

from beiyuan.postgres.binaries import find_binaries

ACCOUNTS = 1000
_HALF = ACCOUNTS // 2
BATCH = 500

PREPARE = f"""
CREATE SEQUENCE floor_sequence;
UPDATE ledger SET last_sequence = 1000000000000;
CREATE TABLE floor_account (n int PRIMARY KEY, id uuid NOT NULL);
INSERT INTO floor_account SELECT n, gen_random_uuid() FROM generate_series(1, {ACCOUNTS}) n;
INSERT INTO account (id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt, version, opened_at)
 SELECT id, 'civic', 'household', id, 'wallet', 0, 1000000000, 0, 0, 0, '2026-01-01Z' FROM floor_account;
"""

COLUMNS = (
    "id, ledger, sequence, debit_account_id, debit_version, debit_balance, credit_account_id, credit_version,"
    " credit_balance, amount, code, reference, occurred_at, posted_at"
)

NAIVE = f"""
\\set debit random(1, {{hottest}})
\\set credit random({_HALF + 1}, {ACCOUNTS})
BEGIN;
SELECT id, balance FROM account WHERE id = (SELECT id FROM floor_account WHERE n = :debit) FOR UPDATE;
UPDATE account SET balance = balance - 1, version = version + 1
 WHERE id = (SELECT id FROM floor_account WHERE n = :debit);
UPDATE account SET balance = balance + 1, version = version + 1
 WHERE id = (SELECT id FROM floor_account WHERE n = :credit);
INSERT INTO transfer ({COLUMNS})
 SELECT gen_random_uuid(), 'civic', nextval('floor_sequence'), d.id, 1, 1, c.id, 1, 1, 1, 'adjustment',
  gen_random_uuid()::text, '2026-01-01Z', '2026-01-01Z' FROM floor_account d, floor_account c
 WHERE d.n = :debit AND c.n = :credit;
COMMIT;
"""

# The rows of a transfer between two wallets: the transfer, what it took from a lot, the lot that it made.
CEILING = f"""
BEGIN;
SELECT last_sequence AS seq FROM ledger WHERE name = 'civic' FOR UPDATE \\gset
CREATE TEMPORARY TABLE moved ON COMMIT DROP AS
 SELECT gen_random_uuid() AS id, :seq + pair.n AS sequence, d.id AS debit, c.id AS credit
 FROM (SELECT n, 1 + (random() * {_HALF - 1})::int AS d,
  {_HALF} + 1 + (random() * {_HALF - 1})::int AS c FROM generate_series(1, {BATCH}) n) AS pair
 JOIN floor_account d ON d.n = pair.d JOIN floor_account c ON c.n = pair.c;
INSERT INTO transfer ({COLUMNS})
 SELECT id, 'civic', sequence, debit, 1, 1, credit, 1, 1, 1, 'adjustment', id::text, '2026-01-01Z', '2026-01-01Z'
 FROM moved;
INSERT INTO lot (id, sequence, account_id, expires_at, amount, free, held)
 SELECT id, sequence, credit, '2028-01-01Z', 1, 1, 0 FROM moved;
INSERT INTO allocation (cause_id, lot_id, amount) SELECT id, id, -1 FROM moved;
UPDATE account SET balance = balance - 1, version = version + 1
 WHERE id IN (SELECT debit FROM moved UNION SELECT credit FROM moved);
UPDATE ledger SET last_sequence = :seq + {BATCH} WHERE name = 'civic';
COMMIT;
"""


def naive(url: str, *, clients: int, seconds: int, hot: bool) -> float:
    """Transfers a second where each is a transaction of six statements, locking rows; `hot`: all from one account."""
    script = NAIVE.replace("{hottest}", "1" if hot else str(_HALF))
    return _transactions(url, script, clients=clients, seconds=seconds)


def ceiling(url: str, *, seconds: int) -> float:
    """Transfers a second, set by set behind the ledger's lock: the same rows, and nothing decided."""
    return BATCH * _transactions(url, CEILING, clients=1, seconds=seconds)


def _transactions(url: str, script: str, *, clients: int, seconds: int) -> float:
    parts = make_url(url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [
            str(find_binaries()[0].folder / "pgbench"),
            *("-n", "-f", file.name, "-c", str(clients), "-j", "2", "-T", str(seconds)),
            *("-h", str(parts.host), "-p", str(parts.port), "-U", str(parts.username), str(parts.database)),
        ]
        environment = os.environ | {"PGPASSWORD": str(parts.password), "PGOPTIONS": "-c search_path=points"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1])
