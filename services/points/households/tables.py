"""Our copy of who belongs to which household: ids, and whether a consent is needed and alive. No names, no ages."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.tables import Base


class Household(Base):
    """A household as of `version`, which identity counts up with every change. `dissolved_into`: the one it joined."""

    __tablename__ = "household"
    __table_args__ = (
        CheckConstraint("(dissolved_into IS NULL) = (joined_after IS NULL)", name="joined_after"),
        Index(None, "dissolved_into", postgresql_where=text("joined_after IS NOT NULL")),
        Index(None, "joined_after", postgresql_where=text("joined_after IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    dissolved_into: Mapped[UUID | None]
    joined_after: Mapped[int | None]
    """The fact that was accepted last before it joined the other: from then on they are one in their caps."""


class Member(Base):
    """A member of a household. While two households change, a person may stand in both for a moment."""

    __tablename__ = "member"
    __table_args__ = (Index(None, "person_id"),)

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    child: Mapped[bool]
    """Under fourteen, and so in need of a guardian."""
    consented: Mapped[bool]
    """Whether a guardian's consent to taking part in activities is alive."""
