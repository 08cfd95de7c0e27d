"""HTTP of the venue's code, check-ins and check-outs, and of what the organiser does with them in the end."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.events.activities import queries as activities
from services.events.activities.errors import ActivityNotFound, ActivityOver, NotOrganiser, WrongState
from services.events.activities.schemas import ActivityOut
from services.events.attendance import actions, queries
from services.events.attendance.errors import (
    AlreadyVerified,
    AttendanceEnded,
    MemberNotSignedUp,
    NotCheckedIn,
    NotInActivity,
    NotSignedUp,
    OwnHousehold,
    TooEarly,
    TooManyVenueCodes,
    VenueCodeWrong,
)
from services.events.attendance.schemas import (
    Adjustment,
    AttendanceFilters,
    AttendanceOut,
    ScanIn,
    ScanOut,
    Settled,
    SettleIn,
    VenueCode,
)
from services.events.deps import HouseholdDep, TurnDep
from services.events.households.errors import ConsentRequired, NoHousehold, NotAMember, NotOfHousehold
from services.events.permissions import MayOrganise, Resident

router = Router(prefix="/api/events/activities/{activity_id}", tags=["attendance"])

_NOT_OURS = (ActivityNotFound, NotOrganiser)
_SCAN = (
    *(ActivityNotFound, NoHousehold, NotOfHousehold, TooEarly, ActivityOver, NotSignedUp),
    *(TooManyVenueCodes, VenueCodeWrong, MemberNotSignedUp),
)


@router.get("/venue-code", responses=problems(*_NOT_OURS))
async def show_venue_code(activity_id: UUID, actor: MayOrganise, session: SessionDep, vault: VaultDep) -> VenueCode:
    """The code to show at the venue, which changes every 15 seconds: ask again when it expires."""
    return await actions.venue_code(session, vault, actor, activity_id)


@router.post("/check-ins", responses=problems(*_SCAN, NotAMember, ConsentRequired, AttendanceEnded))
async def check_in(
    activity_id: UUID,
    body: ScanIn,
    actor: Resident,
    household_id: HouseholdDep,
    turn: TurnDep,
    session: SessionDep,
    vault: VaultDep,
) -> ScanOut:
    """签到: the family is here, all of its members signed up or those named; from half an hour before the start.

    The first scan of each member counts: scanning again gives the same answer.
    """
    return ScanOut.of(await actions.check_in(session, vault, actor, household_id, activity_id, body))


@router.post("/check-outs", responses=problems(*_SCAN, NotCheckedIn))
async def check_out(
    activity_id: UUID,
    body: ScanIn,
    actor: Resident,
    household_id: HouseholdDep,
    turn: TurnDep,
    session: SessionDep,
    vault: VaultDep,
) -> ScanOut:
    """签退: the family leaves, all of its members who are here or those named. Again, the first scan counts."""
    return ScanOut.of(await actions.check_out(session, vault, actor, household_id, activity_id, body))


@router.post("/end", responses=problems(*_NOT_OURS, WrongState, TooEarly))
async def end_activity(
    activity_id: UUID, actor: MayOrganise, session: SessionDep, body: Nothing | None = None
) -> ActivityOut:
    """The activity is over, perhaps before its schedule; nobody checks in or out any more."""
    return await activities.show_activity(session, await actions.end(session, actor, activity_id), clock.now())


@router.post("/settle", responses=problems(*_NOT_OURS, WrongState, NotInActivity, OwnHousehold, AlreadyVerified))
async def settle_activity(
    activity_id: UUID, actor: MayOrganise, session: SessionDep, body: SettleIn | None = None
) -> Settled:
    """结算: the hours of everybody who checked out are verified, others as adjusted; they become points.

    Whoever did not check out, and the organiser's own household, wait in review. Settling again verifies what was left:
    another organiser settles for this one's household.
    """
    activity = await actions.settle(session, actor, activity_id, body.adjustments if body else [])
    return await queries.settled(session, activity, clock.now())


@router.post("/corrections", responses=problems(*_NOT_OURS, WrongState, NotInActivity, OwnHousehold))
async def correct_attendance(
    activity_id: UUID, body: Adjustment, actor: MayOrganise, session: SessionDep
) -> AttendanceOut:
    """更正: other minutes for one member of a settled activity. The points are taken back and credited anew."""
    activity = await actions.correct(session, actor, activity_id, body)
    return await queries.attendance_out(session, activity, body.person_id)


@router.get("/attendance", responses=problems(*_NOT_OURS, InvalidCursor))
async def list_attendance(
    activity_id: UUID,
    filters: Annotated[AttendanceFilters, Query()],
    actor: MayOrganise,
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[AttendanceOut]:
    """Who was to come, who came when, and whose hours were verified; for organisers of the organisation."""
    return await queries.list_attendance(session, cursors, actor, activity_id, filters)
