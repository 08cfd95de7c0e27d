"""The two ledgers, the award rules, and what was awarded."""

from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.core.migrations import create_chassis_tables, create_job_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)
APPEND_ONLY = ("transfer", "entry", "fact", "rule_version")

_BEIJING = ZoneInfo("Asia/Shanghai")
_APPROVED_AT = datetime(2023, 12, 20, 9, tzinfo=_BEIJING)
_EFFECTIVE_FROM = datetime(2024, 1, 1, tzinfo=_BEIJING)


def upgrade() -> None:
    create_chassis_tables()
    create_job_tables()
    create_ledger()
    create_rules_and_facts()
    create_awards()
    seed()
    forbid_changes()


def create_ledger() -> None:
    """Ledgers, their accounts, and the transfers between these."""
    op.create_table(
        "ledger",
        sa.Column("name", WORD, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ledger"),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("owner_kind", WORD, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("purpose", WORD, nullable=False),
        sa.Column("floor", sa.BigInteger),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_account_ledger"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint(
            "ledger", "owner_kind", "owner_id", "purpose", name="uq_account_ledger_owner_kind_owner_id_purpose"
        ),
    )
    create_transfers()


def create_transfers() -> None:
    """Transfers and their entries."""
    op.create_table(
        "transfer",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("debit_account_id", sa.Uuid, nullable=False),
        sa.Column("credit_account_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("code", WORD, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("posted_at", INSTANT, nullable=False),
        sa.Column("rule_code", sa.Text),
        sa.Column("rule_version", sa.BigInteger),
        sa.Column("reverses_id", sa.Uuid),
        sa.CheckConstraint("amount > 0", name="ck_transfer_amount"),
        sa.CheckConstraint("debit_account_id <> credit_account_id", name="ck_transfer_two_accounts"),
        sa.CheckConstraint("(rule_code IS NULL) = (rule_version IS NULL)", name="ck_transfer_rule"),
        sa.CheckConstraint("(code = 'reversal') = (reverses_id IS NOT NULL)", name="ck_transfer_reverses"),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_transfer_ledger"),
        sa.ForeignKeyConstraint(["debit_account_id"], ["account.id"], name="fk_transfer_debit_account_id"),
        sa.ForeignKeyConstraint(["credit_account_id"], ["account.id"], name="fk_transfer_credit_account_id"),
        sa.ForeignKeyConstraint(["reverses_id"], ["transfer.id"], name="fk_transfer_reverses_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transfer"),
        sa.UniqueConstraint("ledger", "sequence", name="uq_transfer_ledger_sequence"),
        sa.UniqueConstraint("reference", name="uq_transfer_reference"),
    )
    op.create_index(
        "ix_transfer_reverses_id", "transfer", ["reverses_id"], postgresql_where=sa.text("reverses_id IS NOT NULL")
    )
    op.create_table(
        "entry",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("balance_after", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_entry_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_entry_account_id"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_entry_transfer_id"),
        sa.PrimaryKeyConstraint("account_id", "version", name="pk_entry"),
        sa.UniqueConstraint("transfer_id", "account_id", name="uq_entry_transfer_id_account_id"),
    )


def create_rules_and_facts() -> None:
    """What earns points, and what happened."""
    op.create_table(
        "rule_version",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("owner_kind", WORD, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("cap_points", sa.BigInteger),
        sa.Column("cap_period", WORD),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_zh", sa.Text, nullable=False),
        sa.Column("approved_at", INSTANT, nullable=False),
        sa.Column("effective_from", INSTANT, nullable=False),
        sa.CheckConstraint("points > 0", name="ck_rule_version_points"),
        sa.CheckConstraint("effective_from >= approved_at", name="ck_rule_version_approved_before_effective"),
        sa.CheckConstraint(
            "(cap_points IS NULL) = (cap_period IS NULL) AND cap_points > 0", name="ck_rule_version_cap"
        ),
        sa.PrimaryKeyConstraint("code", "version", name="pk_rule_version"),
        sa.UniqueConstraint("code", "effective_from", name="uq_rule_version_code_effective_from"),
    )
    op.create_table(
        "fact",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("fact_id", sa.Uuid, nullable=False),
        sa.Column("withdraws", sa.Text),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("order_number", sa.Text),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_fact"),
        sa.UniqueConstraint("type", "fact_id", name="uq_fact_type_fact_id"),
    )
    op.create_index("ix_fact_order_id", "fact", ["order_id"])
    op.create_index(
        "ix_fact_withdraws_fact_id",
        "fact",
        ["withdraws", "fact_id"],
        postgresql_where=sa.text("withdraws IS NOT NULL"),
    )


def create_awards() -> None:
    """What facts earned."""
    op.create_table(
        "award",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("fact_position", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("rule_code", sa.Text, nullable=False),
        sa.Column("rule_version", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid),
        sa.Column("household_id", sa.Uuid),
        sa.Column("unit_id", sa.Uuid),
        sa.Column("community_id", sa.Uuid),
        sa.Column("points_due", sa.BigInteger, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("transfer_id", sa.Uuid),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("withdrawn_at", INSTANT),
        sa.CheckConstraint("points BETWEEN 0 AND points_due", name="ck_award_points"),
        sa.CheckConstraint("(points = 0) = (transfer_id IS NULL)", name="ck_award_transfer"),
        sa.ForeignKeyConstraint(["fact_position"], ["fact.position"], name="fk_award_fact_position"),
        sa.ForeignKeyConstraint(
            ["rule_code", "rule_version"],
            ["rule_version.code", "rule_version.version"],
            name="fk_award_rule_code_rule_version",
        ),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_award_transfer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_award"),
        sa.UniqueConstraint("fact_position", "rule_code", name="uq_award_fact_position_rule_code"),
        sa.UniqueConstraint("transfer_id", name="uq_award_transfer_id"),
    )
    op.create_index(
        "uq_award_standing",
        "award",
        ["order_id", "rule_code"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_index("ix_award_cap", "award", ["account_id", "rule_code", "occurred_at"])


def seed() -> None:
    """Both ledgers, and the first version of each rule."""
    ledger = sa.table("ledger", sa.column("name"), sa.column("last_sequence"))
    op.bulk_insert(ledger, [{"name": name, "last_sequence": 0} for name in ("civic", "staff")])
    columns = ("code", "ledger", "owner_kind", "points", "cap_points", "cap_period", "name", "name_zh")
    rules = [
        ("order.base", "staff", "person", 10, None, None, "An order handled to its end by the steps", "按步骤办结"),
        ("order.double_yes", "staff", "person", 20, None, None, "Solved, and the resident satisfied", "双是"),
        ("order.claim", "staff", "person", 2, None, None, "Taken from the pool in time", "抢单"),
        ("order.meet", "staff", "person", 3, None, None, "Met the resident on site", "见面"),
        ("report.accepted", "civic", "household", 2, 10, "month", "A report that proved real", "上报属实"),
    ]
    shared = {"version": 1, "approved_at": _APPROVED_AT, "effective_from": _EFFECTIVE_FROM}
    instants = [sa.column("approved_at", INSTANT), sa.column("effective_from", INSTANT)]
    table = sa.table("rule_version", sa.column("version"), *map(sa.column, columns), *instants)
    op.bulk_insert(table, [dict(zip(columns, rule, strict=True)) | shared for rule in rules])


def forbid_changes() -> None:
    """Append-only: every role that was granted these tables loses the right to change or delete their rows."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'transfer' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        for table in APPEND_ONLY:
            op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {quote(table)} FROM {quote(role)}")
