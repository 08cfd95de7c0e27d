"""The walls in the database: a service's role reaches its own rows and nothing else; migrations and code agree."""

from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import errors
from sqlalchemy import MetaData, create_engine

from beiyuan import migrate
from chassis.core import idempotency, messages
from chassis.core.db import ChassisBase
from chassis.core.settings import ServiceSettings
from tests.chassis.toy.tables import SenderBase
from tests.chassis.toy.town import MIGRATIONS, ToyDatabase, ToyTown
from tests.town import PATIENCE


def as_sender(database: ToyDatabase) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(database.url("sender"), options="-c search_path=sender", autocommit=True)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM receiver.taken",
        "SELECT * FROM receiver.message",
        "INSERT INTO receiver.taken (box, number, words) VALUES ('a', 1, 'a')",
        "DELETE FROM receiver.received",
        "TRUNCATE receiver.taken",
        "SELECT * FROM receiver.procrastinate_jobs",
        "CREATE TABLE receiver.mine (id int)",
        "CREATE TABLE sender.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE sender.note",
        "ALTER TABLE sender.note ADD COLUMN more int",
        "TRUNCATE sender.note",
        "ALTER ROLE toy_sender SUPERUSER",
        "SET ROLE toy_receiver",
        "SELECT * FROM pg_authid",
        "COPY sender.note TO PROGRAM 'cat'",
    ],
)
def test_a_service_cannot_reach_anothers_rows_nor_change_its_own_tables(
    toy_template: ToyDatabase, statement: str
) -> None:
    with as_sender(toy_template) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_a_service_can_do_its_own_work(toy_database: ToyDatabase) -> None:
    with as_sender(toy_database) as connection:
        connection.execute("INSERT INTO note VALUES (gen_random_uuid(), 'a', 'a')")
        connection.execute("UPDATE note SET box = 'b'")
        connection.execute("DELETE FROM note")
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_migrating_again_changes_nothing_and_keeps_every_row(
    toy_database: ToyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "MIGRATIONS", MIGRATIONS)
    with as_sender(toy_database) as connection:
        connection.execute("INSERT INTO note VALUES (gen_random_uuid(), 'a', 'a')")
        migrate.migrate(toy_database.admin_url, toy_database.service_urls)
        assert connection.execute("SELECT words FROM note").fetchall() == [("a",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("sender_0001",)]


def test_the_tables_of_the_migrations_are_those_of_the_code(toy_template: ToyDatabase) -> None:
    assert {idempotency.RequestRow.__tablename__, messages.MessageRow.__tablename__} <= set(ChassisBase.metadata.tables)

    def ours(entity: Any, name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or not str(name).startswith(("procrastinate_", "alembic_"))

    engine = create_engine(
        toy_template.admin_url.replace("postgresql", "postgresql+psycopg", 1),
        connect_args={"options": "-c search_path=sender"},
    )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        declared = MetaData()
        for table in [*SenderBase.metadata.sorted_tables, *ChassisBase.metadata.sorted_tables]:
            table.to_metadata(declared)
        assert compare_metadata(context, declared) == []
    engine.dispose()


async def test_sessions_are_as_the_design_says(toys: ToyTown) -> None:
    await toys.start("sender", **{name: ServiceSettings.model_fields[name].default for name in PATIENCE})
    settings = {
        name: (await toys.column("sender", f"SHOW {name}"))[0]
        for name in (
            "search_path",
            "transaction_isolation",
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
            "timezone",
        )
    }
    assert settings == {
        "search_path": "sender",
        "transaction_isolation": "read committed",
        "lock_timeout": "3s",
        "statement_timeout": "15s",
        "idle_in_transaction_session_timeout": "5s",
        "timezone": "UTC",
    }
