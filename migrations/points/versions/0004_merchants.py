"""Merchants, their keys and stores, and their requests."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    create_merchants()
    create_keys()
    create_requests()


def create_merchants() -> None:
    """Merchants and their stores."""
    op.create_table(
        "merchant",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("mchid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.CheckConstraint("mchid SIMILAR TO '[0-9]{10}'", name="ck_merchant_mchid"),
        sa.PrimaryKeyConstraint("id", name="pk_merchant"),
        sa.UniqueConstraint("mchid", name="uq_merchant_mchid"),
    )
    op.create_table(
        "merchant_store",
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_merchant_store_merchant_id"),
        sa.PrimaryKeyConstraint("merchant_id", "id", name="pk_merchant_store"),
    )


def create_keys() -> None:
    """What merchants sign with, and the nonces that came with good signatures."""
    op.create_table(
        "merchant_key",
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("serial_no", sa.Text, nullable=False),
        sa.Column("algorithm", WORD, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("sandbox", sa.Boolean, nullable=False),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("not_after", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT),
        sa.CheckConstraint("not_before < not_after", name="ck_merchant_key_validity"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_merchant_key_merchant_id"),
        sa.PrimaryKeyConstraint("merchant_id", "serial_no", name="pk_merchant_key"),
    )
    op.create_table(
        "merchant_nonce",
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("serial_no", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "serial_no", "nonce", name="pk_merchant_nonce"),
    )
    op.create_index("ix_merchant_nonce_seen_at", "merchant_nonce", ["seen_at"])


def create_requests() -> None:
    """What merchants asked for under numbers of their own, and the first answers."""
    op.create_table(
        "merchant_request",
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("sandbox", sa.Boolean, nullable=False),
        sa.Column("operation", WORD, nullable=False),
        sa.Column("out_request_no", sa.Text, nullable=False),
        sa.Column("parameters_hash", sa.LargeBinary, nullable=False),
        sa.Column("coupon_id", sa.Text, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("answered_at", INSTANT),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_merchant_request_merchant_id"),
        sa.PrimaryKeyConstraint("merchant_id", "sandbox", "operation", "out_request_no", name="pk_merchant_request"),
    )
