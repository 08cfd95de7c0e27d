"""Statements of merchants, and what they are paid by."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    say_what_is_settled()
    create_payments()
    create_statements()
    create_disputes()
    create_adjustments()
    only_let_grow("settlement_payment", "merchant_statement", "statement_dispute", "statement_adjustment")


def say_what_is_settled() -> None:
    """Before which day uses at a merchant's are settled: so far none are."""
    op.add_column("merchant", sa.Column("settled_before", sa.Date))


def create_payments() -> None:
    """What was paid to merchants."""
    op.create_table(
        "settlement_payment",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("amount_fen", sa.BigInteger, nullable=False),
        sa.Column("bank_reference", sa.Text),
        sa.Column("paid_by", sa.Uuid, nullable=False),
        sa.Column("paid_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_fen = 0 OR bank_reference IS NOT NULL", name="ck_settlement_payment_bank_reference"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_settlement_payment_merchant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_settlement_payment"),
        sa.UniqueConstraint("merchant_id", "bank_reference", name="uq_settlement_payment_merchant_id_bank_reference"),
    )


def create_statements() -> None:
    """One a merchant and month."""
    op.create_table(
        "merchant_statement",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("month", sa.Date, nullable=False),
        sa.Column("mchid", sa.Text, nullable=False),
        sa.Column("merchant_name", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in (
                *("first_number", "end_number", "uses", "returns", "face_fen", "payable_fen", "points"),
                "adjusted_fen",
            )
        ),
        sa.Column("state", WORD, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("confirms_at", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT),
        sa.Column("confirmed_by", sa.Uuid),
        sa.Column("payment_id", sa.Uuid),
        sa.Column("transfer_id", sa.Uuid),
        sa.CheckConstraint("extract(day FROM month) = 1", name="ck_merchant_statement_month"),
        sa.CheckConstraint("first_number <= end_number", name="ck_merchant_statement_numbers"),
        sa.CheckConstraint("uses >= 0 AND returns >= 0", name="ck_merchant_statement_lines"),
        sa.CheckConstraint("(state = 'draft') = (confirmed_at IS NULL)", name="ck_merchant_statement_confirmed_at"),
        sa.CheckConstraint("(state = 'paid') = (payment_id IS NOT NULL)", name="ck_merchant_statement_payment_id"),
        sa.CheckConstraint("transfer_id IS NULL OR payment_id IS NOT NULL", name="ck_merchant_statement_transfer_id"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_merchant_statement_merchant_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["settlement_payment.id"], name="fk_merchant_statement_payment_id"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_merchant_statement_transfer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_merchant_statement"),
        sa.UniqueConstraint("merchant_id", "month", name="uq_merchant_statement_merchant_id_month"),
    )
    op.create_index("ix_merchant_statement_month_id", "merchant_statement", ["month", "id"])
    op.create_index(
        "ix_merchant_statement_draft", "merchant_statement", ["confirms_at"], postgresql_where="state = 'draft'"
    )
    op.create_index(
        "ix_merchant_statement_payment_id",
        "merchant_statement",
        ["payment_id"],
        postgresql_where="payment_id IS NOT NULL",
    )


def create_disputes() -> None:
    """What merchants say against a statement."""
    op.create_table(
        "statement_dispute",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("statement_id", sa.Uuid, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("raised_by", sa.Uuid, nullable=False),
        sa.Column("raised_at", INSTANT, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("answered_by", sa.Uuid),
        sa.Column("answered_at", INSTANT),
        sa.CheckConstraint("num_nulls(answer, answered_by, answered_at) IN (0, 3)", name="ck_statement_dispute_answer"),
        sa.ForeignKeyConstraint(["statement_id"], ["merchant_statement.id"], name="fk_statement_dispute_statement_id"),
        sa.PrimaryKeyConstraint("id", name="pk_statement_dispute"),
    )
    op.create_index("ix_statement_dispute_statement_id_id", "statement_dispute", ["statement_id", "id"])
    op.create_index(
        "ix_statement_dispute_open",
        "statement_dispute",
        ["statement_id"],
        unique=True,
        postgresql_where="answered_at IS NULL",
    )


def create_adjustments() -> None:
    """Lines that are added to a statement by hand."""
    op.create_table(
        "statement_adjustment",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("statement_id", sa.Uuid, nullable=False),
        sa.Column("fen", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("proposed_by", sa.Uuid, nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("decided_at", INSTANT),
        sa.CheckConstraint("fen <> 0", name="ck_statement_adjustment_fen"),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="ck_statement_adjustment_decided_at"),
        sa.CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="ck_statement_adjustment_decided_by"),
        sa.CheckConstraint("decided_by <> proposed_by", name="ck_statement_adjustment_two_people"),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["merchant_statement.id"], name="fk_statement_adjustment_statement_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_statement_adjustment"),
    )
    op.create_index("ix_statement_adjustment_statement_id_id", "statement_adjustment", ["statement_id", "id"])


def only_let_grow(*tables: str) -> None:
    """Every role that was granted these tables loses the right to delete what is in them."""
    grantees = sa.text(
        "SELECT DISTINCT table_name, grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = ANY(:tables) AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for table, role in op.get_bind().execute(grantees, {"tables": list(tables)}).all():
        op.execute(f"REVOKE DELETE, TRUNCATE ON {quote(table)} FROM {quote(role)}")
