"""Bodies of check-ins, settlement and corrections."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from chassis.core.schema import In, Out, Text
from services.events.activities.schemas import ActivityOut
from services.events.attendance.tables import Attendance
from services.events.attendance.terms import Why
from services.events.terms import AttendanceState

Code = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]
Minutes = Annotated[int, Field(strict=True, ge=0, le=24 * 60, multiple_of=15)]
Reason = Annotated[str, Text(500)]

MEMBERS_MAX = 50
ADJUSTMENTS_MAX = 1000


class VenueCode(Out):
    """The code to show at the venue, as it is now."""

    code: str
    expires_at: datetime = Field(description="When the next code is shown. This one is taken for one more step.")


class ScanIn(In):
    """The code that the venue shows, and for whom it was scanned: all members signed up, or those named."""

    code: Code
    members: Annotated[list[UUID], Field(min_length=1, max_length=MEMBERS_MAX)] | None = None


class ScannedMember(Out):
    """Where one member stands after the scan. The first scan in and the first scan out count."""

    person_id: UUID
    state: AttendanceState
    checked_in_at: datetime | None
    checked_out_at: datetime | None


class ScanOut(Out):
    """The members that the scan was for."""

    members: list[ScannedMember]

    @classmethod
    def of(cls, attendances: Iterable[Attendance]) -> Self:
        """The members after the scan."""
        return cls(
            members=[
                ScannedMember(
                    person_id=attendance.person_id,
                    state=attendance.state,
                    checked_in_at=attendance.checked_in_at,
                    checked_out_at=attendance.checked_out_at,
                )
                for attendance in attendances
            ]
        )


class Adjustment(In):
    """The minutes of one member as the organiser saw them, instead of what the scans say: whole quarters."""

    person_id: UUID
    minutes: Minutes
    reason: Reason


class SettleIn(In):
    """What is set by hand; everybody else is verified by their scans."""

    adjustments: list[Adjustment] = Field(default_factory=list, max_length=ADJUSTMENTS_MAX)


class AttendanceOut(Out):
    """One member's attendance, as the organisers see it.

    `minutes` are the verified ones, null until then. `scanned_minutes` are what the scans give once the activity has
    ended. `why`: why it waits for review, or ended before the member checked out.
    """

    person_id: UUID
    state: AttendanceState | Literal["expected"]
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    minutes: int | None
    scanned_minutes: int | None
    adjusted: bool
    why: Why | None


class Settled(Out):
    """The activity after its settlement, and what became of everybody who was to come."""

    activity: ActivityOut
    attendance: list[AttendanceOut]


class AttendanceFilters(In):
    """From where on."""

    cursor: Annotated[str, Text(2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 100
