"""The events service alone; of identity there is only what publishes its keys and knows households."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.events.service import Events, Identity
from tests.town import TestDatabase, Town, copy_of


@asynccontextmanager
async def events_on(
    database: TestDatabase, keys_dir: Path, home: Path, *, identity: Identity | None = None, **settings: Any
) -> AsyncIterator[tuple[Town, Identity]]:
    """The events service on a database, with settings of its own."""
    town, identity = Town(database, keys_dir, home), identity or Identity(keys_dir)
    town.directory.host("identity", identity.app)
    try:
        await town.start("events", **settings)
        yield town, identity
    finally:
        await town.close()


@pytest.fixture(scope="session")
def events_database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for all tests of an organisation of their own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="session")
async def events_town(
    events_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Town, Identity]]:
    """The service that tests share."""
    async with events_on(events_database, keys_dir, tmp_path_factory.mktemp("events")) as started:
        yield started


@pytest.fixture(scope="session")
async def other_processes(
    events_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Town]]:
    """Three more processes of that service: for races that no queue within one process keeps apart."""
    async with AsyncExitStack() as stack:
        homes = [tmp_path_factory.mktemp("events") for _ in range(3)]
        yield [(await stack.enter_async_context(events_on(events_database, keys_dir, home)))[0] for home in homes]


@pytest.fixture
def identity(events_town: tuple[Town, Identity]) -> Iterator[Identity]:
    """What stands in for the identity service; it is up again after the test."""
    yield events_town[1]
    events_town[1].down = False


@pytest.fixture
async def events(events_town: tuple[Town, Identity], identity: Identity) -> Events:
    """The shared service, with an organisation, organisers and families of the test's own."""
    return Events(events_town[0], identity)
