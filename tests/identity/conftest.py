"""Fixtures of the identity service's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.identity.families import Street
from tests.identity.service import Identity, start
from tests.town import TestDatabase, Town, copy_of


@pytest.fixture
async def identity(empty_town: Town) -> Identity:
    """The identity service alone, with its default settings."""
    return await start(empty_town)


@pytest.fixture(scope="session")
def families_database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for all tests of families of their own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="session")
async def families_identity(
    families_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Identity]:
    """The service that those tests share."""
    town = Town(families_database, keys_dir, tmp_path_factory.mktemp("identity"))
    try:
        yield await start(town)
    finally:
        await town.close()


@pytest.fixture
def street(families_identity: Identity) -> Street:
    """Where the test's people live: among others, whom it must not mind."""
    return Street(families_identity)
