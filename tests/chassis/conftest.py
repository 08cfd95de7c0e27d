"""Fixtures of the chassis's tests: two toy services, a sender and a receiver, on a real PostgreSQL."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from beiyuan import migrate
from beiyuan.postgres import EmbeddedPostgres
from chassis.core.telemetry import configure_logging
from tests.chassis.toy import receiver
from tests.chassis.toy.town import MIGRATIONS, ToyAdmin, ToyDatabase, ToyTown, key_files

TEMPLATE = "toy_template"

configure_logging(level="info", json=False)


@pytest.fixture(scope="session")
def toy_template(postgres: EmbeddedPostgres) -> ToyDatabase:
    """A migrated database that nobody writes to: tests get copies of it."""
    return migrated_toys(postgres)


def migrated_toys(server: EmbeddedPostgres) -> ToyDatabase:
    """The toys' database on this server."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
    template = ToyDatabase(TEMPLATE, server)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "MIGRATIONS", MIGRATIONS)
        migrate.migrate(template.admin_url, template.service_urls)
    return template


@pytest.fixture
def toy_database(toy_template: ToyDatabase) -> Iterator[ToyDatabase]:
    """A database of the test's own."""
    with _copy_of(toy_template) as database:
        yield database


@contextmanager
def _copy_of(toy_template: ToyDatabase) -> Iterator[ToyDatabase]:
    name = f"toy_{secrets.token_hex(6)}"
    with psycopg.connect(toy_template.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY file_copy')
        try:
            yield ToyDatabase(name, toy_template.server)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def toy_admin(toy_database: ToyDatabase) -> ToyAdmin:
    """Runs SQL in the test's database as its administrator."""

    def run(statement: str) -> None:
        with psycopg.connect(toy_database.admin_url, autocommit=True) as admin:
            admin.execute(statement.encode())

    return run


@pytest.fixture
def _restored() -> Iterator[None]:
    """Log lines go where they went before, once what the test has captured is closed: name it with `usefixtures`."""
    yield
    configure_logging(level="info", json=False)


@pytest.fixture(scope="session")
def toy_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files of the toys."""
    return key_files(tmp_path_factory.mktemp("toy-keys"))


@pytest.fixture
async def toys(toy_database: ToyDatabase, toy_keys: Path, tmp_path: Path) -> AsyncIterator[ToyTown]:
    """A town whose services the test starts itself."""
    receiver.moods.clear()
    town = ToyTown(toy_database, toy_keys, tmp_path)
    try:
        yield town
    finally:
        await town.close()


@pytest.fixture(scope="module")
async def shared(
    toy_template: ToyDatabase, toy_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ToyTown]:
    """A town for a module whose tests do not mind what the others do to its database."""
    with _copy_of(toy_template) as database:
        town = ToyTown(database, toy_keys, tmp_path_factory.mktemp("shared"))
        try:
            yield town
        finally:
            await town.close()


@pytest.fixture
async def pair(toys: ToyTown) -> ToyTown:
    """The sender and the receiver, both running."""
    await toys.start("sender")
    await toys.start("receiver")
    return toys
