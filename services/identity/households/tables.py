"""Tables of invitations. No code lies here in the clear."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base


class Invitation(Base):
    """That whoever knows the code may join the household, once. `ended_at`: it was revoked, or its maker went away."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("(used_at IS NULL) = (used_by IS NULL)", name="used_whole"),
        CheckConstraint("used_at IS NULL OR ended_at IS NULL", name="used_or_ended"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # a keyed hash: codes are short enough to guess
    created_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(index=True)
    used_at: Mapped[Instant | None]
    used_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[Instant | None]


class JoinTries(Base):
    """How many wrong codes one person, or one client address, offered within one clock hour."""

    __tablename__ = "join_tries"
    __table_args__ = (CheckConstraint("wrong >= 0", name="wrong"),)

    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # a keyed hash of the person or address
    hour: Mapped[Instant] = mapped_column(primary_key=True, index=True)
    wrong: Mapped[int]
