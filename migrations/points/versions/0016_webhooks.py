"""Telling merchants: their endpoints, what they are told, and the log of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    create_endpoints()
    create_events()
    create_deliveries()
    create_notices()


def create_endpoints() -> None:
    """Where merchants are told."""
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event_types", ARRAY(sa.Text), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary),
        sa.Column("old_secret_sealed", sa.LargeBinary),
        sa.Column("old_secret_until", INSTANT),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_by", sa.Uuid, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("tried_at", INSTANT),
        sa.Column("delivered_at", INSTANT),
        sa.Column("failing_since", INSTANT),
        sa.Column("given_up", sa.BigInteger, nullable=False),
        sa.Column("disabled_at", INSTANT),
        sa.CheckConstraint(
            "(old_secret_sealed IS NULL) = (old_secret_until IS NULL)", name="ck_webhook_endpoint_old_secret"
        ),
        sa.CheckConstraint("(state = 'removed') = (secret_sealed IS NULL)", name="ck_webhook_endpoint_secret"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name="fk_webhook_endpoint_merchant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoint"),
    )
    op.create_index("ix_webhook_endpoint_merchant_id", "webhook_endpoint", ["merchant_id"])


def create_events() -> None:
    """What they are told."""
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("resource", JSONB, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_event"),
    )
    op.create_index("ix_webhook_event_created_at", "webhook_event", ["created_at"])


def create_deliveries() -> None:
    """What became of it at each endpoint, try by try."""
    op.create_table(
        "webhook_delivery",
        sa.Column("endpoint_id", sa.Uuid, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", INSTANT),
        sa.Column("delivered_at", INSTANT),
        sa.CheckConstraint(
            "(state = 'pending') = (next_attempt_at IS NOT NULL)", name="ck_webhook_delivery_next_attempt"
        ),
        sa.CheckConstraint("0 <= failures AND failures <= attempts", name="ck_webhook_delivery_failures"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoint.id"], name="fk_webhook_delivery_endpoint_id"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_event.id"], name="fk_webhook_delivery_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", name="pk_webhook_delivery"),
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["endpoint_id", "next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_webhook_delivery_event_id", "webhook_delivery", ["event_id"])
    op.create_table(
        "webhook_attempt",
        sa.Column("endpoint_id", sa.Uuid, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("failure", WORD),
        sa.CheckConstraint("status IS NOT NULL OR failure IS NOT NULL", name="ck_webhook_attempt_outcome"),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "event_id"],
            ["webhook_delivery.endpoint_id", "webhook_delivery.event_id"],
            name="fk_webhook_attempt_endpoint_id_event_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", "number", name="pk_webhook_attempt"),
    )


def create_notices() -> None:
    """Of what comes by the calendar they were told already."""
    op.create_table(
        "webhook_notice",
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("given_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "subject", name="pk_webhook_notice"),
    )
    op.create_index("ix_webhook_notice_given_at", "webhook_notice", ["given_at"])
