"""What is done to the service while it works."""

import random
import time
from collections.abc import Callable, Sequence

import psycopg

from tests.points.chaos.processes import Server
from tests.sturdy import SturdyPostgres
from tests.town import TestDatabase

Harm = Callable[[], bool]
"""Harms once, if it finds anything to harm: says whether."""


def nothing() -> bool:
    """All is well."""
    return False


def killing(servers: Sequence[Server], rng: random.Random) -> Harm:
    """A process of the service is killed, and started again."""

    def harm() -> bool:
        server = rng.choice(servers)
        server.kill()
        time.sleep(rng.choice([0, rng.uniform(0, 0.5)]))
        server.start()
        server.wait_until_ready()
        return True

    return harm


def felling(postgres: SturdyPostgres, rng: random.Random) -> Harm:
    """PostgreSQL is killed, and started again."""

    def harm() -> bool:
        postgres.kill()
        time.sleep(rng.choice([0, rng.uniform(0, 0.5)]))
        postgres.start()
        return True

    return harm


_LIE_IN_WAIT = """
CREATE FUNCTION pg_temp.cut(last_words boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE cut integer;
BEGIN
 FOR attempt IN 1..1000 LOOP
  PERFORM pg_stat_clear_snapshot();
  SELECT count(pg_terminate_backend(pid)) INTO cut FROM pg_stat_activity
   WHERE usename = 'beiyuan_points' AND datname = current_database() AND state <> 'idle'
    AND (NOT last_words OR state = 'idle in transaction'
     AND (query LIKE '%pg_current_xact_id_if_assigned%' OR query LIKE '%INSERT INTO request %'));
  IF cut > 0 THEN RETURN cut; END IF;
 END LOOP;
 RETURN 0;
END $$
"""
"""Looks, faster than any client could, until somebody is in the middle of something; or has but the COMMIT to send."""


def cutting(database: TestDatabase, rng: random.Random) -> Harm:
    """Connections are cut that are in the middle of something: of anything, or just before the COMMIT."""

    def harm() -> bool:
        with psycopg.connect(database.admin_url, autocommit=True) as admin:
            admin.execute(_LIE_IN_WAIT)
            [cut] = admin.execute("SELECT pg_temp.cut(%s)", [rng.random() < 0.7]).fetchone() or (0,)
        return bool(cut)

    return harm


def rage(harm: Harm, rng: random.Random, pauses: tuple[float, float], seconds: float, still: Callable[[], None]) -> int:
    """Harm again and again, with pauses of chance, for so long. `still` looks whether everything else goes on.

    Returns how often it did.
    """
    done, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, rng.uniform(*pauses)))
        still()
        if time.monotonic() < end:
            done += harm()
    return done
