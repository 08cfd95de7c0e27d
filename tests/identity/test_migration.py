"""Who was there before there were families is there afterwards, and the other services learn of their households."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from beiyuan.migrate import alembic_config
from beiyuan.postgres import EmbeddedPostgres
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
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The address of a database with nothing in it."""
    name = f"before_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield postgres.url(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_people_and_households_are_kept_and_told_of(empty: str) -> None:
    engine = create_engine(
        make_url(empty).set(drivername="postgresql+psycopg"), connect_args={"options": "-c search_path=identity"}
    )
    config = alembic_config("identity")
    with engine.connect() as connection:
        config.attributes.update(service="identity", connection=connection)
        connection.execute(text("CREATE SCHEMA identity"))
        command.upgrade(config, "identity_0001")
        connection.execute(text(BEFORE))
        connection.commit()
        command.upgrade(config, "head")
        connection.commit()
        people = connection.execute(text("SELECT id::text, child, name_sealed FROM person ORDER BY id")).all()
        households = connection.execute(
            text("SELECT id::text, version, changed_at = recorded_at, dissolved_into FROM household ORDER BY id")
        ).all()
        told = connection.execute(
            text(
                "SELECT message.aggregate, type, data, array_agg(subscriber ORDER BY subscriber) FROM message "
                "JOIN delivery ON message_sequence = sequence WHERE state = 'pending' "
                "GROUP BY sequence ORDER BY sequence"
            )
        ).all()
    engine.dispose()
    assert people == [
        (PERSON, False, b"sealed-1"),
        (CHILD, True, b"sealed-2"),
        (GONE, False, None),
        (ALONE, False, b"sealed-4"),
    ]
    assert households == [(FAMILY, 1, True, None), (SINGLE, 1, True, None)]
    assert [(aggregate, kind, subscribers) for aggregate, kind, _, subscribers in told] == [
        (f"household/{household}", HouseholdChanged.type, ["events", "points"]) for household in (FAMILY, SINGLE)
    ]
    facts = [HouseholdChanged.model_validate(data) for _, _, data, _ in told]
    assert [fact.version for fact in facts] == [1, 1]
    flags = [[(str(who.person_id), who.child, who.consented) for who in fact.members] for fact in facts]
    assert flags == [[(PERSON, False, False), (CHILD, True, False)], [(ALONE, False, False)]]
