"""What every test stands on: a real PostgreSQL, a database of its own made by the migrations, and the services in it.

`town` is the usual start: `await town.client("orders", actor).post(…)`, then `await town.deliver()` to let the messages
flow. Background work is off in it, so that nothing happens but what the test does; tests of the background work switch
it on.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from beiyuan.migrate import SERVICES, migrate
from beiyuan.postgres import EmbeddedPostgres
from chassis.core import keys
from tests.town import TestDatabase, Town

TEMPLATE = "beiyuan_template"

# Settings come from the tests alone.
for name in [name for name in os.environ if name.startswith("BEIYUAN_") and name != "BEIYUAN_PG_BIN"]:
    del os.environ[name]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The server that all tests share."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", fsync=False) as server:
        yield server


def _there(service: str) -> bool:
    root = Path(__file__).parent.parent
    return (root / f"services/{service}/app.py").exists() and any((root / f"migrations/{service}/versions").glob("0*"))


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> TestDatabase:
    """A migrated database that nobody writes to: tests get copies of it."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
    database = TestDatabase(TEMPLATE, postgres)
    migrate(database.admin_url, {s: u for s, u in database.service_urls.items() if _there(s)})
    return database


@pytest.fixture
def database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(migrated.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY file_copy')
        try:
            yield TestDatabase(name, migrated.server)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of every process."""
    folder = tmp_path_factory.mktemp("keys")
    keys.create_key_files(folder, processes=["gateway", *SERVICES], data_services=SERVICES)
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
    for service in filter(_there, SERVICES):
        await empty_town.start(service)
    return empty_town
