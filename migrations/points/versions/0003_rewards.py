"""Rewards and coupons."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    create_rewards()
    create_coupons()
    create_coupon_events()
    create_wrong_code_counts()
    forbid_changes()


def create_rewards() -> None:
    """What points are spent on, and who honours it."""
    op.create_table(
        "reward",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("face_fen", sa.BigInteger, nullable=False),
        sa.Column("payable_fen", sa.BigInteger, nullable=False),
        sa.Column("stock", sa.BigInteger, nullable=False),
        sa.Column("household_limit", sa.BigInteger),
        sa.Column("valid_days", sa.BigInteger, nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.CheckConstraint("cost > 0", name="ck_reward_cost"),
        sa.CheckConstraint("face_fen >= 0", name="ck_reward_face_fen"),
        sa.CheckConstraint("payable_fen >= 0", name="ck_reward_payable_fen"),
        sa.CheckConstraint("stock >= 0", name="ck_reward_stock"),
        sa.CheckConstraint("household_limit > 0", name="ck_reward_household_limit"),
        sa.CheckConstraint("valid_days > 0", name="ck_reward_valid_days"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_reward_offered"),
        sa.PrimaryKeyConstraint("id", name="pk_reward"),
    )
    op.create_table(
        "reward_merchant",
        sa.Column("reward_id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name="fk_reward_merchant_reward_id"),
        sa.PrimaryKeyConstraint("reward_id", "merchant_id", name="pk_reward_merchant"),
    )


def create_coupons() -> None:
    """What households got for their points."""
    op.create_table(
        "coupon",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("reward_id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("face_fen", sa.BigInteger, nullable=False),
        sa.Column("payable_fen", sa.BigInteger, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("issued_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT),
        sa.Column("used_by", sa.Uuid),
        sa.Column("mchid", sa.Text),
        sa.Column("store_id", sa.Text),
        sa.Column("use_time", INSTANT),
        sa.Column("use_no", sa.Text),
        sa.CheckConstraint("id SIMILAR TO '[0-9]{14}'", name="ck_coupon_id"),
        sa.CheckConstraint("cost > 0", name="ck_coupon_cost"),
        sa.CheckConstraint("face_fen >= 0", name="ck_coupon_face_fen"),
        sa.CheckConstraint("payable_fen >= 0", name="ck_coupon_payable_fen"),
        sa.CheckConstraint("issued_at < expires_at", name="ck_coupon_expires_at"),
        sa.CheckConstraint(
            "num_nonnulls(used_at, used_by, mchid, store_id, use_time, use_no) ="
            " CASE WHEN state = 'used' THEN 6 ELSE 0 END",
            name="ck_coupon_use",
        ),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name="fk_coupon_reward_id"),
        sa.PrimaryKeyConstraint("id", name="pk_coupon"),
        sa.UniqueConstraint("use_no", name="uq_coupon_use_no"),
    )
    op.create_index("ix_coupon_household_id_issued_at_id", "coupon", ["household_id", "issued_at", "id"])
    op.create_index("ix_coupon_household_id_reward_id", "coupon", ["household_id", "reward_id"])


def create_coupon_events() -> None:
    """What happened to coupons."""
    op.create_table(
        "coupon_event",
        sa.Column("coupon_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("transfer_id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid),
        sa.Column("mchid", sa.Text),
        sa.Column("store_id", sa.Text),
        sa.Column("use_time", INSTANT),
        sa.Column("out_trade_no", sa.Text),
        sa.Column("use_no", sa.Text),
        sa.CheckConstraint(
            "num_nonnulls(merchant_id, mchid, store_id, use_time, use_no) = CASE WHEN kind = 'used' THEN 5 ELSE 0 END",
            name="ck_coupon_event_use",
        ),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name="fk_coupon_event_coupon_id"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name="fk_coupon_event_transfer_id"),
        sa.PrimaryKeyConstraint("coupon_id", "number", name="pk_coupon_event"),
        sa.UniqueConstraint("transfer_id", name="uq_coupon_event_transfer_id"),
        sa.UniqueConstraint("use_no", name="uq_coupon_event_use_no"),
    )


def create_wrong_code_counts() -> None:
    """How often codes were guessed."""
    op.create_table(
        "wrong_code_count",
        sa.Column("by", WORD, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("hour", INSTANT, nullable=False),
        sa.Column("wrong", sa.BigInteger, nullable=False),
        sa.CheckConstraint("wrong >= 0", name="ck_wrong_code_count_wrong"),
        sa.PrimaryKeyConstraint("by", "subject", "hour", name="pk_wrong_code_count"),
    )
    op.create_index("ix_wrong_code_count_hour", "wrong_code_count", ["hour"])


def forbid_changes() -> None:
    """Append-only: every role that was granted coupon events loses the right to change or delete them."""
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'coupon_event' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON coupon_event FROM {quote(role)}")
