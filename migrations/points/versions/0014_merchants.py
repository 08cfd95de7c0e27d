"""Merchants on record, their clerks, and the sandbox."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_registry()
    create_clerks()
    create_sandbox()


def create_registry() -> None:
    """What was changed about merchants, which only grows, and stores that close."""
    op.add_column("merchant_store", sa.Column("closed_at", sa.DateTime(timezone=True)))
    op.create_table(
        "merchant_event",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("reason", sa.Text),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_merchant_event_merchant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_merchant_event"),
    )
    op.create_index("ix_merchant_event_merchant_id_id", "merchant_event", ["merchant_id", "id"])
    grantees = sa.text(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND table_name = 'merchant_event' AND grantee <> current_user"
    )
    quote = op.get_bind().dialect.identifier_preparer.quote
    for role in op.get_bind().scalars(grantees).all():
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON merchant_event FROM {quote(role)}")


def create_clerks() -> None:
    """Who redeems coupons at which store, and how often somebody typed a wrong invitation."""
    op.create_table(
        "merchant_clerk",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("name_sealed", sa.LargeBinary, nullable=False),
        sa.Column("code_hash", sa.LargeBinary),
        sa.Column("code_expires_at", sa.DateTime(timezone=True)),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid),
        sa.Column("joined_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_by", sa.Uuid),
        sa.CheckConstraint("(code_hash IS NULL) = (code_expires_at IS NULL)", name="ck_merchant_clerk_code"),
        sa.CheckConstraint("person_id IS NULL OR code_hash IS NULL", name="ck_merchant_clerk_spent"),
        sa.CheckConstraint("(person_id IS NULL) = (joined_at IS NULL)", name="ck_merchant_clerk_joined"),
        sa.CheckConstraint("(revoked_by IS NULL) = (revoked_at IS NULL)", name="ck_merchant_clerk_revoked"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "store_id"],
            ["merchant_store.merchant_id", "merchant_store.id"],
            name="fk_merchant_clerk_merchant_id_store_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_merchant_clerk"),
    )
    op.create_index("ix_merchant_clerk_merchant_id_id", "merchant_clerk", ["merchant_id", "id"])
    op.create_index(
        "uq_merchant_clerk_person_id_merchant_id_store_id",
        "merchant_clerk",
        ["person_id", "merchant_id", "store_id"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL AND person_id IS NOT NULL"),
    )
    op.create_index(
        "uq_merchant_clerk_code_hash",
        "merchant_clerk",
        ["code_hash"],
        unique=True,
        postgresql_where=sa.text("code_hash IS NOT NULL"),
    )
    op.create_table(
        "clerk_try",
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wrong", sa.BigInteger, nullable=False),
        sa.CheckConstraint("wrong >= 0", name="ck_clerk_try_wrong"),
        sa.PrimaryKeyConstraint("person_id", "hour", name="pk_clerk_try"),
    )
    op.create_index("ix_clerk_try_hour", "clerk_try", ["hour"])


def create_sandbox() -> None:
    """Coupons that merchants try their tills with."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "sandbox_coupon",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("face_fen", sa.BigInteger, nullable=False),
        sa.Column("payable_fen", sa.BigInteger, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("issued_at", instant, nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("happened", sa.BigInteger, nullable=False),
        sa.Column("locked_until", instant),
        sa.Column("locked_by", sa.Uuid),
        sa.Column("locked_store_id", sa.Text),
        sa.Column("used_at", instant),
        sa.Column("used_by", sa.Uuid),
        sa.Column("mchid", sa.Text),
        sa.Column("store_id", sa.Text),
        sa.Column("use_time", instant),
        sa.Column("use_no", sa.Text),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("reward_title", sa.Text, nullable=False),
        sa.CheckConstraint("id SIMILAR TO '[0-9]{14}'", name="ck_sandbox_coupon_id"),
        sa.CheckConstraint("id SIMILAR TO '0%'", name="ck_sandbox_coupon_sandbox"),
        sa.CheckConstraint("face_fen >= 0", name="ck_sandbox_coupon_face_fen"),
        sa.CheckConstraint("payable_fen >= 0", name="ck_sandbox_coupon_payable_fen"),
        sa.CheckConstraint("state <> 'locked'", name="ck_sandbox_coupon_state"),
        sa.CheckConstraint("issued_at < expires_at", name="ck_sandbox_coupon_expires_at"),
        sa.CheckConstraint("happened > 0", name="ck_sandbox_coupon_happened"),
        sa.CheckConstraint(
            "num_nonnulls(locked_until, locked_by, locked_store_id) = CASE WHEN locked_until IS NULL THEN 0 ELSE 3 END"
            " AND (locked_until IS NULL OR state = 'effective')",
            name="ck_sandbox_coupon_lock",
        ),
        sa.CheckConstraint(
            "num_nonnulls(used_at, used_by, mchid, store_id, use_time, use_no) ="
            " CASE WHEN state = 'used' THEN 6 ELSE 0 END",
            name="ck_sandbox_coupon_use",
        ),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_sandbox_coupon_merchant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sandbox_coupon"),
    )
    op.create_index("ix_sandbox_coupon_merchant_id_issued_at", "sandbox_coupon", ["merchant_id", "issued_at"])
    op.create_index("ix_sandbox_coupon_issued_at", "sandbox_coupon", ["issued_at"])
    op.create_index(
        "ix_merchant_request_sandbox", "merchant_request", ["answered_at"], postgresql_where=sa.text("sandbox")
    )
