"""Tables of people and households."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base
from services.identity.terms import PersonState


class Person(Base):
    """Somebody. Name, phone and birth are sealed; the phone is found again by its fingerprint.

    `child`: under fourteen, as was found when the day began. The birth is kept as long as it is needed for that, and no
    longer. Of whoever was deleted nothing is left but the id, under which ledgers and cases go on.
    """

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'deleted')", name="state"),
        CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name="phone_whole"),
        CheckConstraint("(state = 'active') = (name_sealed IS NOT NULL)", name="active_with_name"),
        CheckConstraint("state = 'active' OR phone_sealed IS NULL", name="deleted_without_phone"),
        CheckConstraint("NOT child OR phone_sealed IS NULL", name="child_without_phone"),
        CheckConstraint("birth_sealed IS NULL OR (child AND state = 'active')", name="birth_of_child"),
        Index("ix_person_births", "id", postgresql_where=text("birth_sealed IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(20), default=PersonState.ACTIVE)
    child: Mapped[bool]
    name_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    birth_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    recorded_at: Mapped[Instant]


class Household(Base):
    """A family, or a person living alone: the owner of a civic wallet.

    Whoever changes its members, or what others are told of them, locks it first and counts `version` up (households by
    id, then people by id). It stays when nobody is left in it; `dissolved_into` is the household that everybody joined.
    """

    __tablename__ = "household"
    __table_args__ = (CheckConstraint("dissolved_into <> id", name="dissolved_into_other"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    recorded_at: Mapped[Instant]
    changed_at: Mapped[Instant]
    version: Mapped[int]
    dissolved_into: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"))


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
