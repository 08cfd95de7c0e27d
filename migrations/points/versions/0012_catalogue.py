"""The catalogue in full: who wrote and approved a reward, who may have it where and how often, and its pictures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    extend_rewards()
    extend_coupons()
    create_changes()
    create_pictures()
    create_rolls()
    forbid_changes()


def extend_rewards() -> None:
    """What was on offer is listed, for everybody, as it was."""
    for name, kind, was in (
        ("state", WORD, "'listed'"),
        ("version", sa.BigInteger, "0"),
        ("taken", sa.BigInteger, "0"),
        ("limit_period", WORD, "'ever'"),
        ("audience", WORD, "'everyone'"),
        ("refund_on_expiry", sa.Boolean, "false"),
    ):
        op.add_column("reward", sa.Column(name, kind, nullable=False, server_default=sa.text(was)))
        op.alter_column("reward", name, server_default=None)
    op.add_column("reward", sa.Column("daily_stock", sa.BigInteger))
    op.add_column("reward", sa.Column("day", sa.Date))
    op.add_column("reward", sa.Column("drafted_by", sa.Uuid))
    op.add_column("reward", sa.Column("approved_by", sa.Uuid))
    op.add_column("reward", sa.Column("listed_at", INSTANT))
    op.add_column("reward", sa.Column("ended_at", INSTANT))
    op.execute("UPDATE reward SET listed_at = starts_at")
    for name, condition in (
        ("daily_stock", "daily_stock > 0"),
        ("taken", "taken >= 0"),
        ("two_people", "approved_by <> drafted_by"),
        ("listed_at", "state <> 'listed' OR listed_at IS NOT NULL"),
        ("ended_at", "(state = 'ended') = (ended_at IS NOT NULL)"),
    ):
        op.create_check_constraint(f"ck_reward_{name}", "reward", condition)
    op.create_index("ix_reward_listed", "reward", ["cost", "id"], postgresql_where=sa.text("state = 'listed'"))
    stores = sa.Column("store_ids", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))
    op.add_column("reward_merchant", stores)
    op.alter_column("reward_merchant", "store_ids", server_default=None)


def extend_coupons() -> None:
    """Whether points come back when nobody uses it, and whom it is for, as it was told when it was issued."""
    promised = sa.Column("refund_on_expiry", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("coupon", promised)
    op.alter_column("coupon", "refund_on_expiry", server_default=None)
    op.add_column("coupon", sa.Column("for_member_id", sa.Uuid))


def create_changes() -> None:
    """Who did what to a reward."""
    op.create_table(
        "reward_change",
        sa.Column("reward_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("by_id", sa.Uuid, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("fields", JSONB, nullable=False),
        sa.Column("reason", sa.Text),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name="fk_reward_change_reward_id"),
        sa.PrimaryKeyConstraint("reward_id", "number", name="pk_reward_change"),
    )


def create_pictures() -> None:
    """What a reward looks like."""
    op.create_table(
        "reward_picture",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("reward_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("width", sa.BigInteger, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("full", sa.LargeBinary, nullable=False),
        sa.Column("thumbnail", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("width > 0 AND height > 0", name="ck_reward_picture_size"),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name="fk_reward_picture_reward_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reward_picture"),
    )
    op.create_index("ix_reward_picture_reward_id_number", "reward_picture", ["reward_id", "number"])


def create_rolls() -> None:
    """Who is a party member, who a courier."""
    op.create_table(
        "reward_roll",
        sa.Column("audience", WORD, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("entered_by", sa.Uuid, nullable=False),
        sa.Column("entered_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("audience", "person_id", name="pk_reward_roll"),
    )


def forbid_changes() -> None:
    """Append-only: every role that was granted the changes of rewards loses the right to change or delete them."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'reward_change' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON reward_change FROM {quote(role)}")
