"""Tables of sign-ups."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.events.tables import Base
from services.events.terms import SignupState


class Signup(Base):
    """A household's sign-up 报名 for an activity: its members come in together or not at all.

    `rank` is the number it got on the waitlist 候补, which it keeps; null if it was confirmed at once.
    `passed_over` counts how often later ones got seats that did not suffice for all of its members.
    """

    __tablename__ = "signup"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats"),
        CheckConstraint("state <> 'waitlisted' OR rank IS NOT NULL", name="waitlisted_has_rank"),
        Index(None, "household_id", "id"),
        Index("uq_signup_rank", "activity_id", "rank", unique=True, postgresql_where=text("rank IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(ForeignKey("activity.id"), index=True)
    household_id: Mapped[UUID]
    by_id: Mapped[UUID]
    seats: Mapped[int]
    state: Mapped[SignupState]
    rank: Mapped[int | None]
    passed_over: Mapped[int]
    created_at: Mapped[Instant]
    changed_at: Mapped[Instant]
    why: Mapped[str | None] = mapped_column(String(40))
    """Why it ended, as a word: by_household, consent_withdrawn, left_household, activity_cancelled."""


class SignupMember(Base):
    """A member named in a sign-up. `living` as long as the sign-up is: nobody stands twice in one activity."""

    __tablename__ = "signup_member"
    __table_args__ = (
        Index("uq_signup_member_living", "activity_id", "person_id", unique=True, postgresql_where=text("living")),
    )

    signup_id: Mapped[UUID] = mapped_column(ForeignKey("signup.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    activity_id: Mapped[UUID] = mapped_column(ForeignKey("activity.id"))
    child: Mapped[bool]
    living: Mapped[bool]
