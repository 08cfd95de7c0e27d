"""Tables of organisations and posts."""

from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base


class Organisation(Base):
    """A property company, community, section, department …, at one of the four levels, under its parent.

    `remit` holds the codes of the taxonomy's items that it answers for.
    """

    __tablename__ = "organisation"
    __table_args__ = (
        CheckConstraint("level IN ('property', 'community', 'subdistrict', 'district')", name="level"),
        CheckConstraint("parent_id <> id", name="parent_is_other"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(40))
    level: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    remit: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    recorded_at: Mapped[Instant]
    changed_at: Mapped[Instant]


class Post(Base):
    """A role that a person holds in an organisation."""

    __tablename__ = "post"
    __table_args__ = (UniqueConstraint("person_id", "organisation_id", "role"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    given_at: Mapped[Instant]
