"""What administrators post by hand, and who approved it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    create_proposals()
    create_by_hand()
    create_hand_days()
    forbid_changes()
    index_what_is_looked_for()


def create_proposals() -> None:
    """What waits for a second administrator."""
    op.create_table(
        "proposal",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("request", JSONB, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("proposed_by", sa.Uuid, nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("lapses_at", INSTANT, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("decided_at", INSTANT),
        sa.Column("remark", sa.Text),
        sa.CheckConstraint("items > 0 AND points >= 0", name="ck_proposal_size"),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="ck_proposal_decided_at"),
        sa.CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="ck_proposal_decided_by"),
        sa.CheckConstraint("decided_by <> proposed_by", name="ck_proposal_two_people"),
        sa.PrimaryKeyConstraint("id", name="pk_proposal"),
    )
    op.create_index("ix_proposal_pending", "proposal", ["id"], postgresql_where=sa.text("state = 'pending'"))


def create_by_hand() -> None:
    """Who did it, and who approved it."""
    op.create_table(
        "by_hand",
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("act", WORD, nullable=False),
        sa.Column("done_by", sa.Uuid, nullable=False),
        sa.Column("done_at", INSTANT, nullable=False),
        sa.Column("approved_by", sa.Uuid),
        sa.Column("proposal_id", sa.Uuid),
        sa.Column("reason", sa.Text),
        sa.Column("erased_by", sa.Uuid),
        sa.Column("erased_at", INSTANT),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposal.id"], name="fk_by_hand_proposal_id"),
        sa.PrimaryKeyConstraint("subject_id", "act", name="pk_by_hand"),
    )
    op.create_index(
        "ix_by_hand_proposal_id", "by_hand", ["proposal_id"], postgresql_where=sa.text("proposal_id IS NOT NULL")
    )


def create_hand_days() -> None:
    """How much each did alone in a day."""
    op.create_table(
        "hand_day",
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person_id", "day", name="pk_hand_day"),
    )


def forbid_changes() -> None:
    """Who did what stands; the service may erase the words, and say who did so."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'by_hand' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        op.execute(f"REVOKE DELETE, TRUNCATE ON proposal, hand_day FROM {quote(role)}")
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON by_hand FROM {quote(role)}")
        op.execute(f"GRANT UPDATE (reason, erased_by, erased_at) ON by_hand TO {quote(role)}")


def index_what_is_looked_for() -> None:
    """Transfers by code, what an account's past takes besides its entries, and whose households somebody's are."""
    op.create_index("ix_transfer_code", "transfer", ["ledger", "code", "sequence"])
    op.create_index(
        "ix_transfer_expiry",
        "transfer",
        ["debit_account_id", "sequence"],
        postgresql_where=sa.text("code = 'expiry'"),
    )
    op.create_index(
        "ix_hold_closed", "hold", ["debit_account_id", "closed_at"], postgresql_where=sa.text("closed_at IS NOT NULL")
    )
    op.create_index("ix_member_person_id", "member", ["person_id"])
