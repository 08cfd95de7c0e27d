"""Tables of signing in. No code and no token lies here in the clear."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.identity.tables import Base


class SignInCode(Base):
    """What is going on at one phone: its latest code, the wrong tries at it, and when codes were sent.

    One row a phone, known or not: whoever sends, tries or uses a code locks it, so no limit can be raced.
    """

    __tablename__ = "sign_in_code"
    __table_args__ = (CheckConstraint("wrong_tries >= 0", name="wrong_tries"),)

    phone_fingerprint: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)  # null once used
    expires_at: Mapped[Instant] = mapped_column(index=True)
    wrong_tries: Mapped[int]
    sent_at: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))  # of the last hour only


class AddressCount(Base):
    """How often one client address did one thing within one clock hour."""

    __tablename__ = "address_count"
    __table_args__ = (CheckConstraint("uses >= 0", name="uses"),)

    address_fingerprint: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20), primary_key=True)
    hour: Mapped[Instant] = mapped_column(primary_key=True, index=True)
    uses: Mapped[int]


class RefreshFamily(Base):
    """The refresh tokens that followed from one sign-in, of which only the one of `generation` is good.

    The tokens themselves follow from the id and a key (see rules.py), so that none is stored.
    """

    __tablename__ = "refresh_family"
    __table_args__ = (CheckConstraint("generation >= 0", name="generation"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    generation: Mapped[int]
    rotated_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(index=True)
    ended_at: Mapped[Instant | None]
    ended_because: Mapped[str | None] = mapped_column(String(20))
