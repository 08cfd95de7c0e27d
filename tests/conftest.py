"""What every test stands on: a real PostgreSQL, a database of its own made by the migrations, and the services in it.

`town` is the usual start: `await town.client("orders", actor).post(…)`, then `await town.deliver()` to let the messages
flow. Background work is off in it, so that nothing happens but what the test does; tests of the background work switch
it on.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from beiyuan.installation import KEY_FILES
from beiyuan.migrate import migrate
from beiyuan.names import SERVICES
from beiyuan.postgres import EmbeddedPostgres
from chassis.core import db, idempotency, keys
from tests.town import TestDatabase, Town, copy_of, trust_platform_keys

# As in production, no traceback shows the values of variables.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The same examples every time, however slow the machine is: a failure is the change's, never the day's.
settings.register_profile("tests", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

trust_platform_keys()

TEMPLATE = "beiyuan_template"
ROOM_BYTES = 2 << 30

# Settings come from the tests alone, but for which PostgreSQL it is, for how long the storms of `make chaos` rage, and
# how many histories of a coupon are tried.
KEPT = {
    *("BEIYUAN_PG_BIN", "BEIYUAN_CHAOS_SECONDS", "BEIYUAN_CHAOS_SEED"),
    *("BEIYUAN_COUPON_EXAMPLES", "BEIYUAN_COUPON_SEED"),
}
for name in [name for name in os.environ if name.startswith("BEIYUAN_") and name not in KEPT]:
    del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Who repeats a request waits for as long as the machine takes to answer the first one, and so does who asks what
    became of a commit.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idempotency, "WAIT_SECONDS", 60)
        patch.setattr(db, "_OUTCOME_SECONDS", 120)
        yield


@pytest.fixture(scope="session")
def fast_folder() -> Iterator[Path]:
    """A folder for the data of test servers: in memory where there is room, since a database is a thousand files."""
    in_memory = Path("/dev/shm")
    roomy = in_memory.is_dir() and os.access(in_memory, os.W_OK) and shutil.disk_usage(in_memory).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(prefix="beiyuan-", dir=in_memory if roomy else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(fast_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The server that all tests share."""
    with EmbeddedPostgres(fast_folder / "data", fsync=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> TestDatabase:
    """A migrated database that nobody writes to: tests get copies of it."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
    database = TestDatabase(TEMPLATE, postgres)
    migrate(database.admin_url, database.service_urls)
    return database


@pytest.fixture
def database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A database of the test's own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of every process."""
    folder = tmp_path_factory.mktemp("keys")
    keys.create_key_files(folder, processes=["gateway", *SERVICES], data_services=SERVICES, further=KEY_FILES)
    return folder


@pytest.fixture
async def empty_town(database: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose services the test starts itself."""
    town = Town(database, keys_dir, tmp_path)
    try:
        yield town
    finally:
        await town.close()


@pytest.fixture
async def town(empty_town: Town) -> Town:
    """A town in which every service runs."""
    for service in SERVICES:
        await empty_town.start(service)
    return empty_town
