"""Clerks of merchants' stores, and how often somebody typed a wrong invitation."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.tables import Base


class Clerk(Base):
    """Somebody who redeems coupons at one store 店员: invited, then joined by the code, until revoked.

    An invitation that was neither accepted nor revoked stands, with no code that is good, until another code is made.
    """

    __tablename__ = "merchant_clerk"
    __table_args__ = (
        ForeignKeyConstraint(["merchant_id", "store_id"], ["merchant_store.merchant_id", "merchant_store.id"]),
        CheckConstraint("(code_hash IS NULL) = (code_expires_at IS NULL)", name="code"),
        CheckConstraint("person_id IS NULL OR code_hash IS NULL", name="spent"),
        CheckConstraint("(person_id IS NULL) = (joined_at IS NULL)", name="joined"),
        CheckConstraint("(revoked_by IS NULL) = (revoked_at IS NULL)", name="revoked"),
        CheckConstraint("name_sealed IS NOT NULL OR revoked_at IS NOT NULL", name="name"),
        Index(None, "merchant_id", "id"),
        Index(
            "uq_merchant_clerk_person_id_merchant_id_store_id",
            "person_id",
            "merchant_id",
            "store_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND person_id IS NOT NULL"),
        ),
        Index("uq_merchant_clerk_code_hash", "code_hash", unique=True, postgresql_where=text("code_hash IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID]
    store_id: Mapped[str]
    name_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the manager calls them; null once they have deleted their account."""
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    code_expires_at: Mapped[datetime | None]
    invited_at: Mapped[datetime]
    person_id: Mapped[UUID | None]
    joined_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[UUID | None]


class ClerkTry(Base):
    """How many wrong invitation codes somebody typed within one clock hour."""

    __tablename__ = "clerk_try"
    __table_args__ = (CheckConstraint("wrong >= 0", name="wrong"),)

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    wrong: Mapped[int]
