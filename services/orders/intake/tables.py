"""Tables of reports, what is added to them, photos, and who read whose contact."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.orders.tables import Base


class Report(Base):
    """What a reporter said, sealed (see chassis.core.crypto). An order may come to have several reporters.

    `reporter_id` is known by account, or found later by the phone; when that account is deleted, name, phone and its
    fingerprint are emptied. `entered_by` is the member of staff who typed it for somebody. The private link's token is
    stored hashed, and not at all where staff entered the report.
    """

    __tablename__ = "report"
    __table_args__ = (
        CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name="phone_whole"),
        CheckConstraint("(visit_from IS NULL) = (visit_to IS NULL)", name="visit_whole"),
        Index("ix_report_qr_code", "qr_code", "created_at"),
        Index("ix_report_device", "device", "created_at"),
        Index("ix_report_phone_fingerprint", "phone_fingerprint", "created_at"),
        Index("ix_report_reporter_id", "reporter_id", "order_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), index=True)
    qr_code: Mapped[str] = mapped_column(ForeignKey("qr_code.code"))
    created_at: Mapped[Instant]
    device: Mapped[bytes] = mapped_column(LargeBinary)

    reporter_id: Mapped[UUID | None]
    household_id: Mapped[UUID | None]
    entered_by: Mapped[UUID | None]
    tracking_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)

    name_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    description_sealed: Mapped[bytes] = mapped_column(LargeBinary)

    visit_from: Mapped[Instant | None]
    visit_to: Mapped[Instant | None]


class Addition(Base):
    """What the reporter added later, sealed."""

    __tablename__ = "addition"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(ForeignKey("report.id"), index=True)
    at: Mapped[Instant]
    text_sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ContactRead(Base):
    """That somebody read a reporter's contact or words, in which capacity, and what they were shown."""

    __tablename__ = "contact_read"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), index=True)
    reader_id: Mapped[UUID]
    post: Mapped[str] = mapped_column(String(20))
    phone_shown: Mapped[bool]
    at: Mapped[Instant]
