"""Tables of work orders, their history, and what was done to them."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from chassis.core.db import Instant
from services.orders.places.tables import Place, Unit
from services.orders.tables import Base
from services.orders.terms import ClosedWhy, Level, MeetingMode, Post, Source, State


class Order(Base):
    """A work order 工单: one matter, wherever it stands. Every change of `state` is a row of `Change`.

    `level` and `unit_id` say who handles it now, `first_unit_id` who received it first 首接. `accused_unit_id` is the
    property company that it complains about. Deadlines are absolute: `contact_by` and `due_at` from when it arrived,
    `claim_by` since it entered the pool, `callback_by` since it was resolved. `handler_id` and `claim_id` stay after
    the end: they say whose it was.
    """

    __tablename__ = "work_order"
    __table_args__ = (
        Index("ix_work_order_unit_id_state", "unit_id", "state", "id"),
        Index("ix_work_order_subdistrict_id_state", "subdistrict_id", "state", "id"),
        Index("ix_work_order_place_id", "place_id", "state"),
        Index("ix_work_order_handler_id", "handler_id", "state", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    state: Mapped[State]
    source: Mapped[Source]
    round: Mapped[int]
    changes: Mapped[int]

    place_id: Mapped[UUID] = mapped_column(ForeignKey("place.id"))
    community_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    subdistrict_id: Mapped[UUID | None]
    subitem_code: Mapped[str] = mapped_column(String(20))
    taxonomy_version: Mapped[str] = mapped_column(String(40))
    urgent: Mapped[bool]

    level: Mapped[Level]
    unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))
    first_unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))
    accused_unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))

    created_at: Mapped[Instant]
    contact_by: Mapped[Instant]
    due_at: Mapped[Instant]
    claim_by: Mapped[Instant | None]
    callback_by: Mapped[Instant | None]

    handler_id: Mapped[UUID | None]
    claim_id: Mapped[UUID | None]

    resolved_at: Mapped[Instant | None]
    awaits_check: Mapped[bool]
    """A good answer came by link and was drawn to be checked by phone before the order closes."""

    closed_at: Mapped[Instant | None]
    closed_why: Mapped[ClosedWhy | None]

    place: Mapped[Place] = relationship(lazy="raise")
    community: Mapped[Unit] = relationship(lazy="raise", foreign_keys=[community_id])
    unit: Mapped[Unit | None] = relationship(lazy="raise", foreign_keys=[unit_id])


class Change(Base):
    """History: who moved the order, when, from which state to which, and why. `sequence` counts from 1 within an order.

    `why` is a word of ours or a note by staff; a resident's words never stand here.
    """

    __tablename__ = "history"
    __table_args__ = (UniqueConstraint("order_id", "sequence"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    sequence: Mapped[int]
    at: Mapped[Instant]
    post: Mapped[Post]
    by_id: Mapped[UUID | None]
    from_state: Mapped[State | None]
    to_state: Mapped[State]
    round: Mapped[int]
    why: Mapped[str | None] = mapped_column(String(1000))


class Claimant(Base):
    """One row a handler who ever claimed: locked while they claim, so that two claims at once cannot pass the limit."""

    __tablename__ = "claimant"

    handler_id: Mapped[UUID] = mapped_column(primary_key=True)


class Claim(Base):
    """抢单: that a handler took the order, and whether in time; until they released it."""

    __tablename__ = "claim"
    __table_args__ = (
        Index("ix_claim_order_id", "order_id", "handler_id"),
        Index("uq_claim_held", "order_id", unique=True, postgresql_where=text("released_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    handler_id: Mapped[UUID]
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    in_time: Mapped[bool]
    claimed_at: Mapped[Instant]
    released_at: Mapped[Instant | None]


class Meeting(Base):
    """见面: that the handler met the resident, on site or by phone."""

    __tablename__ = "meeting"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), index=True)
    handler_id: Mapped[UUID]
    mode: Mapped[MeetingMode]
    at: Mapped[Instant]
