"""Places, work orders, reports and photos."""

import sqlalchemy as sa
from alembic import op

from chassis.core.migrations import create_chassis_tables, create_job_tables

revision = "orders_0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(20)


def upgrade() -> None:
    create_chassis_tables()
    create_job_tables()
    op.execute(sa.schema.CreateSequence(sa.Sequence("order_number")))
    _create_places()
    _create_orders()
    _create_handling()
    _create_reports()


def _create_places() -> None:
    op.create_table(
        "unit",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("remit", sa.ARRAY(sa.String(40)), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unit"),
    )
    op.create_index("ix_unit_parent_id", "unit", ["parent_id"])
    op.create_table(
        "place",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("property_id", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="pk_place"),
        sa.ForeignKeyConstraint(["community_id"], ["unit.id"], name="fk_place_community_id"),
        sa.ForeignKeyConstraint(["property_id"], ["unit.id"], name="fk_place_property_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["place.id"], name="fk_place_parent_id"),
    )
    op.create_index("ix_place_community_id", "place", ["community_id"])
    op.create_index("ix_place_parent_id", "place", ["parent_id"])
    op.create_index("ix_place_property_id", "place", ["property_id"])
    op.create_table(
        "qr_code",
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("place_id", sa.Uuid, nullable=False),
        sa.Column("issued_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT),
        sa.PrimaryKeyConstraint("code", name="pk_qr_code"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_qr_code_place_id"),
    )
    op.create_index("ix_qr_code_place_id", "qr_code", ["place_id"])


def _create_orders() -> None:
    op.create_table(
        "work_order",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("number", sa.String(30), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("place_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("subdistrict_id", sa.Uuid),
        sa.Column("subitem_code", sa.String(20), nullable=False),
        sa.Column("taxonomy_version", sa.String(40), nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("level", WORD, nullable=False),
        sa.Column("unit_id", sa.Uuid),
        sa.Column("first_unit_id", sa.Uuid),
        sa.Column("accused_unit_id", sa.Uuid),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("contact_by", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("claim_by", INSTANT),
        sa.Column("callback_by", INSTANT),
        sa.Column("handler_id", sa.Uuid),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("resolved_at", INSTANT),
        sa.Column("awaits_check", sa.Boolean, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("closed_why", WORD),
        sa.PrimaryKeyConstraint("id", name="pk_work_order"),
        sa.UniqueConstraint("number", name="uq_work_order_number"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_work_order_unit_id"),
        sa.ForeignKeyConstraint(["first_unit_id"], ["unit.id"], name="fk_work_order_first_unit_id"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_work_order_place_id"),
        sa.ForeignKeyConstraint(["community_id"], ["unit.id"], name="fk_work_order_community_id"),
        sa.ForeignKeyConstraint(["accused_unit_id"], ["unit.id"], name="fk_work_order_accused_unit_id"),
    )
    op.create_index("ix_work_order_handler_id", "work_order", ["handler_id", "state", "id"])
    op.create_index("ix_work_order_place_id", "work_order", ["place_id", "state"])
    op.create_index("ix_work_order_subdistrict_id_state", "work_order", ["subdistrict_id", "state", "id"])
    op.create_index("ix_work_order_unit_id_state", "work_order", ["unit_id", "state", "id"])
    op.create_table(
        "history",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("post", WORD, nullable=False),
        sa.Column("by_id", sa.Uuid),
        sa.Column("from_state", WORD),
        sa.Column("to_state", WORD, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("why", sa.String(1000)),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.UniqueConstraint("order_id", "sequence", name="uq_history_order_id_sequence"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_history_order_id"),
    )


def _create_handling() -> None:
    op.create_table(
        "claimant",
        sa.Column("handler_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("handler_id", name="pk_claimant"),
    )
    op.create_table(
        "claim",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("handler_id", sa.Uuid, nullable=False),
        sa.Column("unit_id", sa.Uuid, nullable=False),
        sa.Column("in_time", sa.Boolean, nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=False),
        sa.Column("released_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_claim_unit_id"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_claim_order_id"),
    )
    op.create_index("ix_claim_order_id", "claim", ["order_id", "handler_id"])
    op.create_index(
        "uq_claim_held", "claim", ["order_id"], unique=True, postgresql_where=sa.text("released_at IS NULL")
    )
    op.create_table(
        "meeting",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("handler_id", sa.Uuid, nullable=False),
        sa.Column("mode", WORD, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_meeting"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_meeting_order_id"),
    )
    op.create_index("ix_meeting_order_id", "meeting", ["order_id"])
    op.create_table(
        "callback",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by_id", sa.Uuid),
        sa.Column("contacted", sa.Boolean, nullable=False),
        sa.Column("solved", sa.Boolean),
        sa.Column("satisfied", WORD),
        sa.PrimaryKeyConstraint("id", name="pk_callback"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_callback_order_id"),
    )
    op.create_index("ix_callback_order_id", "callback", ["order_id"])


def _create_reports() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("qr_code", sa.String(40), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("device", sa.LargeBinary, nullable=False),
        sa.Column("reporter_id", sa.Uuid),
        sa.Column("household_id", sa.Uuid),
        sa.Column("entered_by", sa.Uuid),
        sa.Column("tracking_hash", sa.LargeBinary),
        sa.Column("name_sealed", sa.LargeBinary),
        sa.Column("phone_sealed", sa.LargeBinary),
        sa.Column("phone_fingerprint", sa.LargeBinary),
        sa.Column("description_sealed", sa.LargeBinary, nullable=False),
        sa.Column("visit_from", INSTANT),
        sa.Column("visit_to", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.UniqueConstraint("tracking_hash", name="uq_report_tracking_hash"),
        sa.ForeignKeyConstraint(["qr_code"], ["qr_code.code"], name="fk_report_qr_code"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_report_order_id"),
        sa.CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name=op.f("ck_report_phone_whole")),
        sa.CheckConstraint("(visit_from IS NULL) = (visit_to IS NULL)", name=op.f("ck_report_visit_whole")),
    )
    op.create_index("ix_report_device", "report", ["device", "created_at"])
    op.create_index("ix_report_order_id", "report", ["order_id"])
    op.create_index("ix_report_phone_fingerprint", "report", ["phone_fingerprint", "created_at"])
    op.create_index("ix_report_qr_code", "report", ["qr_code", "created_at"])
    op.create_index("ix_report_reporter_id", "report", ["reporter_id", "order_id"])
    op.create_table(
        "addition",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("report_id", sa.Uuid, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("text_sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_addition"),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name="fk_addition_report_id"),
    )
    op.create_index("ix_addition_report_id", "addition", ["report_id"])
    op.create_table(
        "contact_read",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("reader_id", sa.Uuid, nullable=False),
        sa.Column("post", sa.String(20), nullable=False),
        sa.Column("phone_shown", sa.Boolean, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contact_read"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_contact_read_order_id"),
    )
    op.create_index("ix_contact_read_order_id", "contact_read", ["order_id"])
    op.create_table(
        "photo",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("device", sa.LargeBinary, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("order_id", sa.Uuid),
        sa.Column("purpose", WORD),
        sa.Column("attached_at", INSTANT),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_photo"),
        sa.ForeignKeyConstraint(["order_id"], ["work_order.id"], name="fk_photo_order_id"),
        sa.CheckConstraint("(order_id IS NULL) = (purpose IS NULL)", name=op.f("ck_photo_attached_whole")),
    )
    op.create_index("ix_photo_device", "photo", ["device", "created_at"])
    op.create_index("ix_photo_order_id", "photo", ["order_id", "sequence"])
    op.create_index("ix_photo_unattached", "photo", ["created_at"], postgresql_where=sa.text("order_id IS NULL"))
