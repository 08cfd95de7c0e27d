"""Caps of families that became one, and who erased which words."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    say_when_households_joined()
    say_who_erased_words()


def say_when_households_joined() -> None:
    """After which fact, in the order of acceptance. For those that joined before, as if it were just now: what was
    granted to them meanwhile was granted by caps of their own.
    """
    op.add_column("household", sa.Column("joined_after", sa.BigInteger))
    op.execute(
        "UPDATE household SET joined_after = (SELECT coalesce(max(position), 0) FROM fact)"
        " WHERE dissolved_into IS NOT NULL"
    )
    op.create_check_constraint(
        "ck_household_joined_after", "household", "(dissolved_into IS NULL) = (joined_after IS NULL)"
    )
    for column in ("dissolved_into", "joined_after"):
        op.create_index(
            f"ix_household_{column}", "household", [column], postgresql_where=sa.text("joined_after IS NOT NULL")
        )
    op.create_index("ix_merger_new_account_id", "merger", ["new_account_id"])


def say_who_erased_words() -> None:
    """Of proposals; and an index by which all that was done for the same words is found."""
    op.add_column("proposal", sa.Column("erased_by", sa.Uuid))
    op.add_column("proposal", sa.Column("erased_at", INSTANT))
    op.create_index("ix_by_hand_done", "by_hand", ["done_by", "done_at"])
