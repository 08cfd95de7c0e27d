"""Steps for a service's migrations: the chassis's own tables and the job queue's."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects.postgresql import JSONB


def create_chassis_tables() -> None:
    """The first version of message, delivery, received and request; each service's first migration calls this."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "message",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("aggregate", sa.String(100), nullable=False),
        sa.Column("occurred_at", instant, nullable=False),
        sa.Column("traceparent", sa.String(55)),
        sa.Column("data", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_message"),
        sa.UniqueConstraint("id", name="uq_message_id"),
    )
    op.create_table(
        "delivery",
        sa.Column("message_sequence", sa.BigInteger, nullable=False),
        sa.Column("subscriber", sa.String(40), nullable=False),
        sa.Column("aggregate", sa.String(100), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", instant, nullable=False),
        sa.Column("sent_at", instant),
        sa.Column("error", sa.String(500)),
        sa.PrimaryKeyConstraint("message_sequence", "subscriber", name="pk_delivery"),
        sa.ForeignKeyConstraint(
            ["message_sequence"], ["message.sequence"], name="fk_delivery_message_sequence", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_delivery_unsent",
        "delivery",
        ["subscriber", "message_sequence"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_delivery_blocking",
        "delivery",
        ["subscriber", "aggregate"],
        postgresql_where=sa.text("state = 'parked' OR (state = 'pending' AND attempts > 0)"),
    )
    op.create_table(
        "received",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("received_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="pk_received"),
    )
    op.create_table(
        "request",
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(200), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("body_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("content_type", sa.String(100)),
        sa.Column("answer", sa.LargeBinary),
        sa.PrimaryKeyConstraint("caller", "operation", "key", name="pk_request"),
    )


def keep_headers_of_answers() -> None:
    """The second version of request: what headers the answer had, sealed; null for those from before, or if none."""
    op.add_column("request", sa.Column("headers", sa.LargeBinary))


def create_job_tables() -> None:
    """Procrastinate's tables and functions, in this schema, as of the version that first made them.

    A later release of procrastinate that changes them brings its own SQL, to be run by a migration of ours.
    """
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
