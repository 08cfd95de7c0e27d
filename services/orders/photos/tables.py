"""The table of photos."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.orders.tables import Base
from services.orders.terms import PhotoPurpose


class Photo(Base):
    """A photo. Its id is random and is all that is needed to attach it, once; unattached it goes after an hour."""

    __tablename__ = "photo"
    __table_args__ = (
        CheckConstraint("(order_id IS NULL) = (purpose IS NULL)", name="attached_whole"),
        Index("ix_photo_unattached", "created_at", postgresql_where=text("order_id IS NULL")),
        Index("ix_photo_device", "device", "created_at"),
        Index("ix_photo_order_id", "order_id", "sequence"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[Instant]
    device: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int]
    height: Mapped[int]
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    purpose: Mapped[PhotoPurpose | None]
    attached_at: Mapped[Instant | None]
    sequence: Mapped[int] = mapped_column(default=0)
