"""Facts about hours that were verified. They hold ids and minutes; of the activity its title, of nobody a name."""

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field

from chassis.core.messages import Message
from services.events.activities.tables import Activity
from services.events.attendance.tables import Attendance, Verification
from services.events.terms import Category


class AttendanceFact(Message):
    """What is common to the facts of one member's attendance."""

    to: ClassVar[tuple[str, ...]] = ("points",)

    verification_id: UUID
    attendance_id: UUID
    activity_id: UUID

    @property
    def aggregate(self) -> str:
        return f"attendance/{self.attendance_id}"


class AttendanceVerified(AttendanceFact):
    """核实: so many minutes of this person were found to be true; they are credited to this household.

    `occurred_at` is when the hours began, or the activity's end for somebody who was never scanned.
    """

    type: ClassVar[str] = "events.attendance_verified.v1"

    activity_title: Annotated[str, Field(min_length=1, max_length=100)]
    category: Category
    organisation_id: UUID
    person_id: UUID
    household_id: UUID
    minutes: Annotated[int, Field(gt=0, le=14 * 24 * 60, multiple_of=15)]  # no activity takes longer than a fortnight

    @classmethod
    def of(cls, verification: Verification, attendance: Attendance, activity: Activity, took_part_at: datetime) -> Self:
        """The fact of a verification of more than no minutes."""
        return cls(
            occurred_at=took_part_at,
            verification_id=verification.id,
            attendance_id=attendance.id,
            activity_id=activity.id,
            activity_title=activity.title,
            category=activity.category,
            organisation_id=activity.organisation_id,
            person_id=attendance.person_id,
            household_id=attendance.household_id,
            minutes=verification.minutes,
        )


class AttendanceWithdrawn(AttendanceFact):
    """更正: that verification no longer counts. Where other hours were found instead, their fact follows."""

    type: ClassVar[str] = "events.attendance_withdrawn.v1"

    @classmethod
    def of(cls, verification: Verification, attendance: Attendance, at: datetime) -> Self:
        """The withdrawal of a verification that was told."""
        return cls(
            occurred_at=at,
            verification_id=verification.id,
            attendance_id=attendance.id,
            activity_id=attendance.activity_id,
        )
