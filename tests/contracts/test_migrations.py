"""The database that the migrations make is the one that the code expects, and each service is alone in its schema."""

import itertools

import psycopg
import pytest

from beiyuan.migrate import check, migrate
from beiyuan.names import SERVICES
from tests.town import TestDatabase


def test_the_tables_in_the_code_are_those_of_the_migrations(database: TestDatabase) -> None:
    assert check(database.admin_url) == []


def test_migrating_again_changes_nothing(database: TestDatabase) -> None:
    migrate(database.admin_url, database.service_urls)
    migrate(database.admin_url, database.service_urls)
    assert check(database.admin_url) == []


@pytest.mark.parametrize(("service", "other"), list(itertools.permutations(SERVICES, 2)))
def test_no_service_can_read_or_write_another_services_schema(database: TestDatabase, service: str, other: str) -> None:
    with psycopg.connect(database.admin_url) as admin:
        tables = admin.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [other]
        ).fetchall()
    assert len(tables) > 5
    with psycopg.connect(database.url(service), autocommit=True) as connection:
        for (table,) in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f'SELECT 1 FROM "{other}"."{table}"')
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f'INSERT INTO "{other}".received VALUES (now())')


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_cannot_change_its_own_tables_definition_nor_make_others(
    database: TestDatabase, service: str
) -> None:
    with psycopg.connect(database.url(service), autocommit=True, options=f"-c search_path={service}") as connection:
        for statement in (
            "DROP TABLE message",
            "ALTER TABLE message ADD COLUMN mine text",
            "CREATE TABLE mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
