"""Tables of people and households."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base
from services.identity.terms import PersonState


class Person(Base):
    """Somebody. Name and phone are sealed; the phone is found again by its fingerprint."""

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'deleted')", name="state"),
        CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name="phone_whole"),
        CheckConstraint("state = 'active' OR phone_sealed IS NULL", name="deleted_without_phone"),
        CheckConstraint("NOT child OR phone_sealed IS NULL", name="child_without_phone"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(20), default=PersonState.ACTIVE)
    child: Mapped[bool]
    name_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    recorded_at: Mapped[Instant]


class Household(Base):
    """A family, or a person living alone: the owner of a civic wallet."""

    __tablename__ = "household"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    recorded_at: Mapped[Instant]


class Membership(Base):
    """Who belongs to which household: nobody to more than one."""

    __tablename__ = "membership"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    joined_at: Mapped[Instant]


class PrivacyAcceptance(Base):
    """That a person accepted a version of the privacy notice 隐私告知, and when."""

    __tablename__ = "privacy_acceptance"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    version: Mapped[str] = mapped_column(String(40), primary_key=True)
    accepted_at: Mapped[Instant]
