"""Boards 排行榜: scores by period, kept up with the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WORD = sa.String(32)


def upgrade() -> None:
    create_boards()
    create_marks()
    op.create_index("ix_merger_ledger_sequence", "merger", ["ledger", "sequence"])


def create_boards() -> None:
    """Boards, who has how much on them, and how many have so much."""
    op.create_table(
        "board",
        sa.Column("id", sa.Integer, sa.Identity(always=True), nullable=False),
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("period", WORD, nullable=False),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_board_ledger"),
        sa.PrimaryKeyConstraint("id", name="pk_board"),
        sa.UniqueConstraint("ledger", "kind", "period", "starts_on", name="uq_board_ledger_kind_period_starts_on"),
    )
    op.create_table(
        "board_score",
        sa.Column("board_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("score", sa.BigInteger, nullable=False),
        sa.CheckConstraint("score <> 0", name="ck_board_score_score"),
        sa.PrimaryKeyConstraint("board_id", "subject_id", name="pk_board_score"),
    )
    op.create_index("ix_board_score_rank", "board_score", ["board_id", "score", "subject_id"])
    op.create_table(
        "board_bucket",
        sa.Column("board_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("subjects", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("board_id", "level", "bucket", name="pk_board_bucket"),
    )


def create_marks() -> None:
    """How far the boards have followed. They begin at nothing and catch up by themselves."""
    op.create_table(
        "board_mark",
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_board_mark_ledger"),
        sa.PrimaryKeyConstraint("ledger", name="pk_board_mark"),
    )
    op.execute("INSERT INTO board_mark (ledger, sequence) SELECT name, 0 FROM ledger")
    op.create_table(
        "board_heir",
        sa.Column("ledger", WORD, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("heir_id", sa.Uuid, nullable=False),
        sa.ForeignKeyConstraint(["ledger"], ["ledger.name"], name="fk_board_heir_ledger"),
        sa.PrimaryKeyConstraint("ledger", "household_id", name="pk_board_heir"),
    )
    op.create_index("ix_board_heir_heir_id", "board_heir", ["heir_id"])
