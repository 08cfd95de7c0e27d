"""An installation from before hours were volunteered: its facts and awards are the same afterwards, and still live."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import create_engine

from beiyuan.migrate import alembic_config, migrate
from chassis.core.ids import new_id
from services.points.ledger.terms import AccountKey, household_wallet, issuance
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points, service_on
from tests.points.facts import NOON, Attendance, Order, Told
from tests.town import TestDatabase, actor


class Before:
    """The points schema as its first migration made it, written to as the service did then."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.connection = connection

    def fact(self, told: Told, fact_id: str) -> int:
        number = told.data.get("number")
        row = self.connection.execute(
            "INSERT INTO fact (type, fact_id, withdraws, order_id, order_number, occurred_at, accepted_at, data)"
            " VALUES (%s, %s, NULL, %s, %s, %s, %s, %s) RETURNING position",
            [told.type, told.data[fact_id], told.subject_id, number, NOON, NOON, json.dumps(told.data)],
        ).fetchone()
        assert row is not None
        return int(row["position"])

    def award(self, told: Told, position: int, rule: str, wallet: AccountKey, points: int) -> None:
        """One award posted in full, with its transfer and both entries."""
        transfer = self.connection.execute(
            "UPDATE ledger SET last_sequence = last_sequence + 1 WHERE name = %s RETURNING last_sequence",
            [wallet.ledger],
        ).fetchone()
        assert transfer is not None
        transfer_id, source = new_id(), issuance(wallet.ledger)
        for key in (source, wallet):
            self.connection.execute(
                "INSERT INTO account VALUES (%s, %s, %s, %s, %s, %s, 0, 0, %s) ON CONFLICT DO NOTHING",
                [key.id, key.ledger, key.owner_kind, key.owner_id, key.purpose, key.floor, NOON],
            )
        self.connection.execute(
            "INSERT INTO transfer VALUES (%s, %s, %s, %s, %s, %s, 'award', %s, %s, %s, %s, 1, NULL)",
            [
                *(transfer_id, wallet.ledger, transfer["last_sequence"], source.id, wallet.id, points),
                *(f"award/{rule}/{told.id}", NOON, NOON, rule),
            ],
        )
        for key, amount in ((source, -points), (wallet, points)):
            self.connection.execute(
                "WITH moved AS (UPDATE account SET balance = balance + %s, version = version + 1 WHERE id = %s"
                " RETURNING id, version, balance)"
                " INSERT INTO entry SELECT id, version, %s, %s, balance FROM moved",
                [amount, key.id, transfer_id, amount],
            )
        person, household = (wallet.owner_id, None) if wallet.ledger is LedgerName.STAFF else (None, wallet.owner_id)
        self.connection.execute(
            "INSERT INTO award VALUES (%s, %s, %s, %s, 1, %s, %s, %s, NULL, NULL, %s, %s, %s, %s, NULL)",
            [
                *(new_id(), position, told.subject_id, rule, wallet.id, person, household, points, points),
                *(transfer_id, NOON),
            ],
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        query = sql.SQL("SELECT * FROM {} ORDER BY 1, 2").format(sql.Identifier(table))
        return list(self.connection.execute(query))


@pytest.fixture
def unmigrated(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A database whose points schema is that of the first migration."""
    with migrated_to("0001", migrated) as database:
        yield database


@contextmanager
def migrated_to(revision: str, migrated: TestDatabase) -> Iterator[TestDatabase]:
    """A database whose points schema is as old as that. The roles are there: `migrated` made them."""
    name = f"test_upgrade_{new_id().hex[-8:]}"
    with psycopg.connect(migrated.server.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = TestDatabase(name, migrated.server)
        try:
            migrate_to(database, revision)
            yield database
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def migrate_to(database: TestDatabase, revision: str) -> None:
    """The points schema and its privileges as `migrate` makes them, but no further than a revision."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA points")
        admin.execute("GRANT USAGE ON SCHEMA points TO beiyuan_points")
        admin.execute(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA points GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO beiyuan_points"
        )
    upgrade(database, revision)


def upgrade(database: TestDatabase, revision: str) -> None:
    """The points schema, which is there, on to a revision."""
    url = database.admin_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, connect_args={"options": "-c search_path=points"})
    with engine.connect() as connection:
        config = alembic_config("points")
        config.attributes.update(service="points", connection=connection)
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


def connect(database: TestDatabase) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(
        database.admin_url, options="-c search_path=points -c timezone=UTC", row_factory=dict_row, autocommit=True
    )


class Story:
    """Two orders of the time before: one claimed, one handled to its end and reported by a household."""

    def __init__(self) -> None:
        self.handler, self.household = new_id(), new_id()
        self.claimed_order, self.closed_order = Order(), Order()
        self.claim = self.claimed_order.claimed(self.handler)
        self.meeting = self.closed_order.met(self.handler)
        self.closure = self.closed_order.closed(
            self.handler, satisfied="fairly", reporter_id=new_id(), reporter_household_id=self.household
        )

    def write(self, before: Before) -> None:
        staff, civic = AccountKey(LedgerName.STAFF, OwnerKind.PERSON, self.handler), household_wallet(self.household)
        before.award(self.claim, before.fact(self.claim, "claim_id"), "order.claim", staff, 2)
        before.award(self.meeting, before.fact(self.meeting, "meeting_id"), "order.meet", staff, 3)
        closure = before.fact(self.closure, "closure_id")
        before.award(self.closure, closure, "order.base", staff, 10)
        before.award(self.closure, closure, "report.accepted", civic, 2)


def known(row: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Of a row as it is afterwards, what there was of it before."""
    return {name: row[name] for name in before}


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of before as it must be afterwards."""
    names = {"order_id": "subject_id", "order_number": "subject_label"}
    return {names.get(name, name): value for name, value in row.items()} | {"subject_kind": "order"}


def check_rules(after: Before, rules: list[dict[str, Any]]) -> None:
    """Points have become amounts of the same worth, approvals rows of their own."""
    approvals = {row["code"]: row for row in after.rows("rule_approval")}
    versions = {row["code"]: row for row in after.rows("rule_version")}
    for row in rules:
        version, approval = versions[row["code"]], approvals[row["code"]]
        kept = ("version", "ledger", "owner_kind", "cap_points", "cap_period", "name", "name_zh")
        assert [version[name] for name in kept] == [row[name] for name in kept]
        assert (version["amount"], version["drafted_by"]) == (str(row["points"]), None)
        assert version["cap_scope"] == ("household" if row["cap_points"] else None)
        assert [approval[name] for name in ("approved_at", "effective_from")] == [
            row[name] for name in ("approved_at", "effective_from")
        ]
    assert versions["volunteer.hour"]["amount"] == "12 * minutes / 60"


async def check_that_it_lives_on(points: Points, story: Story) -> None:
    assert await points.balance(story.handler) == 15
    for message in (story.claim, story.meeting, story.closure):
        await points.tell(message, message.again())
    assert await points.balance(story.handler) == 15, "the same facts again pay nothing more"
    second = new_id()
    await points.tell(story.closed_order.met(second), story.closed_order.closed(second))
    assert await points.balances([second]) == {second: 20}, "one award an order and rule; only 双是 was still open"
    await points.tell(story.claimed_order.released(story.claim))
    assert await points.balance(story.handler) == 13, "a withdrawal of an old fact still reverses"
    reports = [
        Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=story.household, satisfied="fairly")
        for _ in range(6)
    ]
    await points.tell(*reports, Attendance(household_id=story.household, at=NOON + timedelta(days=1)).verified(60))
    assert await points.household_balance(story.household) == 10 + 12, "the old award counts in the month's cap"
    lines = await points.entries(actor("handler", id=story.handler), "staff")
    claim = {"id": str(story.claimed_order.id), "number": story.claimed_order.number}
    assert [line["order"] for line in (lines[0], lines[-1])] == [claim, claim]
    await points.check()


def check_that_nothing_can_be_changed(database: TestDatabase) -> None:
    for table in ("fact", "rule_version", "rule_approval", "transfer", "allocation", "merger", "hold_lot"):
        statement = sql.SQL("DELETE FROM {}").format(sql.Identifier("points", table))
        with (
            psycopg.connect(database.url("points")) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


async def test_facts_and_awards_from_before_are_the_same_and_still_live(
    unmigrated: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    story = Story()
    with connect(unmigrated) as connection:
        before = Before(connection)
        story.write(before)
        kept = {table: before.rows(table) for table in ("ledger", "account", "transfer", "entry", "fact", "award")}
        rules = before.rows("rule_version")
    migrate(unmigrated.admin_url, unmigrated.service_urls)
    with connect(unmigrated) as connection:
        after = Before(connection)
        for table in ("ledger", "transfer", "entry"):
            assert [known(row, kept[table][0]) for row in after.rows(table)] == kept[table], table
        assert all(row["last_posted_at"] == NOON for row in after.rows("ledger"))
        for table in ("fact", "award"):
            rows = [renamed(row) for row in kept[table]]
            assert [known(row, rows[0]) for row in after.rows(table)] == rows, table
        assert after.rows("account") == [
            row | {"merged_into_id": None, "held": 0, "debt": 0} for row in kept["account"]
        ]
        check_rules(after, rules)
        [capped] = [row for row in after.rows("award") if row["cap_holder_id"]]
        assert (capped["cap_scope"], capped["cap_holder_id"], capped["cap_period"]) == (
            "household",
            story.household,
            "2026-03",
        )
        assert [(row["rule_code"], row["used"]) for row in after.rows("cap_use")] == [("report.accepted", 2)]
        assert all(row["granted_position"] == row["fact_position"] for row in after.rows("award"))
    check_that_nothing_can_be_changed(unmigrated)
    async with service_on(unmigrated, keys_dir, tmp_path) as points:
        await check_that_it_lives_on(points, story)
