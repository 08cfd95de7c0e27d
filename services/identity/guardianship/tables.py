"""Tables of guardians and consents: ids, versions and times. What has ended is kept, to show who consented to what."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base


class Guardianship(Base):
    """监护: who acts for a child, from when to when. A guardian is an adult of the child's own household."""

    __tablename__ = "guardianship"
    __table_args__ = (
        CheckConstraint("child_id <> guardian_id", name="guardian_is_other"),
        Index(
            "uq_guardianship_living", "child_id", "guardian_id", unique=True, postgresql_where=text("ended_at IS NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    child_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    began_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]


class Consent(Base):
    """A guardian's consent to one purpose: which text, when, and by whom; likewise when and why it ended.

    `ended_by` is null where nobody withdrew it: the child turned fourteen.
    """

    __tablename__ = "consent"
    __table_args__ = (
        CheckConstraint("purpose IN ('child_record', 'activities')", name="purpose"),
        CheckConstraint("(ended_at IS NULL) = (ended_because IS NULL)", name="ended_whole"),
        CheckConstraint("ended_at IS NOT NULL OR ended_by IS NULL", name="ended_by_whole"),
        Index("uq_consent_living", "child_id", "purpose", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_consent_child_id", "child_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    child_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    purpose: Mapped[str] = mapped_column(String(20))
    text_version: Mapped[str] = mapped_column(String(40))
    given_at: Mapped[Instant]
    given_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[Instant | None]
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    ended_because: Mapped[str | None] = mapped_column(String(20))
