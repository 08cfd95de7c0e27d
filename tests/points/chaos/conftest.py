"""How long the storm rages, and the database server that may be killed."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from beiyuan.migrate import migrate
from tests.conftest import TEMPLATE
from tests.sturdy import SturdyPostgres, sturdy_postgres
from tests.town import TestDatabase


@pytest.fixture
def sturdy(fast_folder: Path) -> Iterator[SturdyPostgres]:
    """A server of the test's own."""
    with sturdy_postgres(fast_folder / "sturdy") as server:
        yield server


@pytest.fixture
def mortal_database(sturdy: SturdyPostgres) -> TestDatabase:
    """A migrated database on it."""
    with psycopg.connect(sturdy.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
    database = TestDatabase(TEMPLATE, sturdy)
    migrate(database.admin_url, database.service_urls)
    return database
