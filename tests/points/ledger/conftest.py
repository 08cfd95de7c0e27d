"""A ledger in the real database that stays empty: what happens in it is rolled back."""

from collections.abc import AsyncIterator
from pathlib import Path

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
