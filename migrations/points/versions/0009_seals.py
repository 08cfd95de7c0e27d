"""Seals 存证: the tree of hashes over each ledger, and its signed heads."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WORD = sa.String(32)
APPEND_ONLY = ("seal", "seal_head")


def upgrade() -> None:
    op.create_table(
        "seal_tree",
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.CheckConstraint("size >= 0", name="ck_seal_tree_size"),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_seal_tree_ledger"),
        sa.PrimaryKeyConstraint("ledger", name="pk_seal_tree"),
    )
    op.create_table(
        "seal",
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("ledger", "sequence", name="pk_seal"),
    )
    op.create_table(
        "seal_head",
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "size", name="pk_seal_head"),
    )
    op.execute("INSERT INTO seal_tree (ledger, size) SELECT name, 0 FROM ledger")
    forbid_changes()


def forbid_changes() -> None:
    """Every role that was granted these tables loses the right to change or delete hashes and heads, and trees to
    come and go.
    """
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'seal' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        for table in APPEND_ONLY:
            op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {quote(table)} FROM {quote(role)}")
        op.execute(f"REVOKE INSERT, DELETE, TRUNCATE ON seal_tree FROM {quote(role)}")
