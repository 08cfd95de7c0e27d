"""Hours that were volunteered earn points: facts and awards have subjects, rules units. Households may merge."""

from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)

_BEIJING = ZoneInfo("Asia/Shanghai")
_APPROVED_AT = datetime(2023, 12, 20, 9, tzinfo=_BEIJING)
_EFFECTIVE_FROM = datetime(2024, 1, 1, tzinfo=_BEIJING)


def upgrade() -> None:
    name_subjects()
    name_units_and_scopes()
    seed()
    create_households()
    let_accounts_merge()


def name_subjects() -> None:
    """What was an order is the subject of a fact or award; all there are so far are orders."""
    for table in ("fact", "award"):
        op.alter_column(table, "order_id", new_column_name="subject_id")
        op.add_column(table, sa.Column("subject_kind", WORD, nullable=False, server_default="order"))
        op.alter_column(table, "subject_kind", server_default=None)
    op.alter_column("fact", "order_number", new_column_name="subject_label")
    op.execute("ALTER INDEX ix_fact_order_id RENAME TO ix_fact_subject_id")
    op.create_index("ix_award_person_cap", "award", ["person_id", "rule_code", "occurred_at"])


def name_units_and_scopes() -> None:
    """The rules so far give points for each fact, and their caps count by the owner of the wallet."""
    op.add_column("rule_version", sa.Column("unit", WORD, nullable=False, server_default="fact"))
    op.alter_column("rule_version", "unit", server_default=None)
    op.add_column("rule_version", sa.Column("cap_scope", WORD))
    op.execute("UPDATE rule_version SET cap_scope = 'owner' WHERE cap_points IS NOT NULL")
    op.drop_constraint("ck_rule_version_cap", "rule_version")
    op.create_check_constraint(
        "ck_rule_version_cap",
        "rule_version",
        "num_nulls(cap_points, cap_period, cap_scope) IN (0, 3) AND cap_points > 0",
    )


def seed() -> None:
    """志愿时长: twelve points for each verified hour, at most 48 a person a day."""
    instants = [sa.column("approved_at", INSTANT), sa.column("effective_from", INSTANT)]
    rule = {
        "code": "volunteer.hour",
        "version": 1,
        "ledger": "civic",
        "owner_kind": "household",
        "points": 12,
        "unit": "hour",
        "cap_points": 48,
        "cap_period": "day",
        "cap_scope": "person",
        "name": "A verified hour of volunteering",
        "name_zh": "志愿时长",
    }
    op.bulk_insert(
        sa.table("rule_version", *map(sa.column, rule), *instants),
        [rule | {"approved_at": _APPROVED_AT, "effective_from": _EFFECTIVE_FROM}],
    )


def create_households() -> None:
    """Our copy of the households, as identity tells it."""
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("dissolved_into", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="pk_household"),
    )
    op.create_table(
        "member",
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("child", sa.Boolean, nullable=False),
        sa.Column("consented", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name="fk_member_household_id"),
        sa.PrimaryKeyConstraint("household_id", "person_id", name="pk_member"),
    )


def let_accounts_merge() -> None:
    """A wallet may be succeeded by another, where its household joined another."""
    op.add_column("account", sa.Column("merged_into_id", sa.Uuid))
    op.create_foreign_key("fk_account_merged_into_id", "account", "account", ["merged_into_id"], ["id"])
    op.create_index(
        "ix_account_merged_into_id",
        "account",
        ["merged_into_id"],
        postgresql_where=sa.text("merged_into_id IS NOT NULL"),
    )
