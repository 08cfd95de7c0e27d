"""A ledger in the real database that stays empty: what happens in it is rolled back."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.points.conftest import Points, service_on
from tests.town import TestDatabase, copy_of


@pytest.fixture(scope="module")
async def empty_ledger(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """A service whose ledger nobody writes to for good."""
    with copy_of(migrated) as database:
        async with service_on(database, keys_dir, tmp_path_factory.mktemp("ledger")) as service:
            yield service


@pytest.fixture(scope="module")
async def without_rules(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """The same, where nothing earns points yet."""
    with copy_of(migrated) as database:
        with psycopg.connect(database.admin_url) as owner:
            owner.execute("DELETE FROM points.rule_approval")
            owner.execute("DELETE FROM points.rule_version")
        async with service_on(database, keys_dir, tmp_path_factory.mktemp("ledger")) as service:
            yield service
