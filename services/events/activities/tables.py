"""Tables of activities."""

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.events.tables import Base
from services.events.terms import ActivityState, Category


class Activity(Base):
    """An activity 活动 of an organisation. Whoever takes or frees a seat, or moves its state, locks its row.

    `taken` counts the seats (persons) of confirmed sign-ups. `last_rank` is the last number given on the waitlist.
    """

    __tablename__ = "activity"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("capacity > 0 AND taken BETWEEN 0 AND capacity", name="seats"),
        CheckConstraint("state <> 'running'", name="running_is_derived"),
        Index(None, "starts_at", "id"),
        Index(None, "state", "ends_at"),
        Index(None, "organisation_id", "starts_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID]
    organiser_id: Mapped[UUID]
    title: Mapped[str] = mapped_column(String(100))
    category: Mapped[Category]
    description: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(String(200))
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    capacity: Mapped[int]
    taken: Mapped[int]
    last_rank: Mapped[int]
    state: Mapped[ActivityState]
    created_at: Mapped[Instant]
    published_at: Mapped[Instant | None]
    """When everybody could see it first; null as long as it has been a draft or in review alone."""
    ended_at: Mapped[Instant | None]
    """When it really ended: by the organiser, perhaps before the schedule, or by the clock."""


class ActivityChange(Base):
    """History: who moved an activity from which state to which, when and why. `by_id` is null for the clock."""

    __tablename__ = "activity_change"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(index=True)
    at: Mapped[Instant]
    by_id: Mapped[UUID | None]
    from_state: Mapped[ActivityState | None]
    to_state: Mapped[ActivityState]
    why: Mapped[str | None] = mapped_column(String(500))


class OrganisationSetting(Base):
    """What an organisation chose. Without a row: no review before publication."""

    __tablename__ = "organisation_setting"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    review_before_publication: Mapped[bool]
