"""Tables of attendance."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.events.tables import Base
from services.events.terms import AttendanceState


class Attendance(Base):
    """That one member took part in one activity: the first scan in, the first scan out."""

    __tablename__ = "attendance"
    __table_args__ = (
        UniqueConstraint("activity_id", "person_id"),
        CheckConstraint("checked_out_at IS NULL OR checked_out_at >= checked_in_at", name="out_after_in"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(ForeignKey("activity.id"))
    signup_id: Mapped[UUID] = mapped_column(ForeignKey("signup.id"), index=True)
    person_id: Mapped[UUID] = mapped_column(index=True)
    household_id: Mapped[UUID]
    state: Mapped[AttendanceState]
    checked_in_at: Mapped[Instant | None]
    checked_out_at: Mapped[Instant | None]
    why: Mapped[str | None] = mapped_column(String(40))
    """Why it is in review or ended early, as a word: no_check_out, own_household, consent_withdrawn."""


class Verification(Base):
    """核实: that staff found so many minutes to be true. A correction withdraws it and makes another; none is edited.

    `minutes` are a multiple of fifteen. `adjusted`: set by hand, with a reason, not taken from the scans.
    """

    __tablename__ = "verification"
    __table_args__ = (
        CheckConstraint("minutes >= 0 AND minutes % 15 = 0", name="quarters"),
        CheckConstraint("NOT adjusted OR reason IS NOT NULL", name="adjusted_with_reason"),
        Index("uq_verification_standing", "attendance_id", unique=True, postgresql_where=text("withdrawn_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    attendance_id: Mapped[UUID] = mapped_column(ForeignKey("attendance.id"))
    minutes: Mapped[int]
    adjusted: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(500))
    verified_by: Mapped[UUID]
    verified_at: Mapped[Instant]
    withdrawn_at: Mapped[Instant | None]


class VenueTries(Base):
    """Wrong venue codes offered by one household for one activity within one clock hour."""

    __tablename__ = "venue_tries"

    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[Instant] = mapped_column(primary_key=True, index=True)
    wrong: Mapped[int]
