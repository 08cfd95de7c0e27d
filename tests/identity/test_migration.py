"""Who was there before an upgrade is there afterwards, and the other services learn what they would have been told."""

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from beiyuan.migrate import alembic_config
from beiyuan.postgres import EmbeddedPostgres
from services.identity.deletion.messages import PersonDeleted
from services.identity.households.messages import HouseholdChanged

PERSON, CHILD, GONE, ALONE = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3, 4))
FAMILY, SINGLE = (f"00000000-0000-7000-9000-00000000000{n}" for n in (1, 2))

BEFORE = f"""
INSERT INTO person (id, state, child, name_sealed, phone_sealed, phone_fingerprint, recorded_at) VALUES
 ('{PERSON}', 'active', false, 'sealed-1', 'phone-1', 'print-1', '2026-01-01Z'),
 ('{CHILD}', 'active', true, 'sealed-2', NULL, NULL, '2026-01-01Z'),
 ('{GONE}', 'deleted', false, 'sealed-3', NULL, NULL, '2026-01-01Z'),
 ('{ALONE}', 'active', false, 'sealed-4', 'phone-4', 'print-4', '2026-01-01Z');
INSERT INTO household (id, recorded_at) VALUES ('{FAMILY}', '2026-01-02Z'), ('{SINGLE}', '2026-01-03Z');
INSERT INTO membership (person_id, household_id, joined_at) VALUES
 ('{CHILD}', '{FAMILY}', '2026-01-02Z'),
 ('{PERSON}', '{FAMILY}', '2026-01-02Z'),
 ('{ALONE}', '{SINGLE}', '2026-01-03Z');
"""


@pytest.fixture
def identity(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    """Identity's schema as it was first, with people and households."""
    name = f"before_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        url = make_url(postgres.url(name)).set(drivername="postgresql+psycopg")
        engine = create_engine(url, connect_args={"options": "-c search_path=identity"})
        with engine.connect() as connection:
            connection.execute(text("CREATE SCHEMA identity"))
            upgrade(connection, "identity_0001")
            connection.execute(text(BEFORE))
            yield connection
        engine.dispose()
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def upgrade(connection: Connection, revision: str) -> None:
    config = alembic_config("identity")
    config.attributes.update(service="identity", connection=connection)
    command.upgrade(config, revision)
    connection.commit()


def told_of(connection: Connection, kind: str) -> list[tuple[str, dict[str, Any], list[str]]]:
    """The messages of a type that wait to be sent: aggregate, data and whom they wait for."""
    statement = text(
        "SELECT message.aggregate, data, array_agg(subscriber::text ORDER BY subscriber) FROM message "
        "JOIN delivery ON message_sequence = sequence AND delivery.aggregate = message.aggregate "
        "WHERE state = 'pending' AND attempts = 0 AND type = :kind GROUP BY sequence ORDER BY sequence"
    )
    return [(aggregate, data, whom) for aggregate, data, whom in connection.execute(statement, {"kind": kind})]


def test_people_and_households_are_kept_and_told_of(identity: Connection) -> None:
    upgrade(identity, "head")
    people = identity.execute(text("SELECT id::text, child, name_sealed FROM person ORDER BY id")).all()
    households = identity.execute(
        text("SELECT id::text, version, changed_at = recorded_at, dissolved_into FROM household ORDER BY id")
    ).all()
    told = told_of(identity, HouseholdChanged.type)
    assert people == [
        (PERSON, False, b"sealed-1"),
        (CHILD, True, b"sealed-2"),
        (GONE, False, None),
        (ALONE, False, b"sealed-4"),
    ]
    assert households == [(FAMILY, 1, True, None), (SINGLE, 1, True, None)]
    assert [(aggregate, subscribers) for aggregate, _, subscribers in told] == [
        (f"household/{household}", ["events", "points"]) for household in (FAMILY, SINGLE)
    ]
    facts = [HouseholdChanged.model_validate(data) for _, data, _ in told]
    assert [fact.version for fact in facts] == [1, 1]
    flags = [[(str(who.person_id), who.child, who.consented) for who in fact.members] for fact in facts]
    assert flags == [[(PERSON, False, False), (CHILD, True, False)], [(ALONE, False, False)]]


def test_points_are_told_of_whoever_was_deleted_before_they_listened(identity: Connection) -> None:
    """Otherwise what points keep of them is kept for good, though they were promised that it is gone."""
    upgrade(identity, "identity_0003")
    assert told_of(identity, PersonDeleted.type) == []
    upgrade(identity, "identity_0004")
    [(aggregate, data, subscribers)] = told_of(identity, PersonDeleted.type)
    assert (aggregate, subscribers) == (f"person/{GONE}", ["points"])
    assert data.keys() == PersonDeleted.model_fields.keys()
    fact = PersonDeleted.model_validate(data)
    assert (str(fact.person_id), fact.aggregate) == (GONE, aggregate)
