"""HTTP of sign-ups 报名."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Query, Request

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, RuntimeDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.events.activities.errors import ActivityNotFound, NotOrganiser
from services.events.activities.queries import own_activity
from services.events.deps import HouseholdDep, TurnDep, household_of
from services.events.households.errors import ConsentRequired, NoHousehold, NotAMember, NotOfHousehold
from services.events.households.queries import family
from services.events.households.rules import check_reader
from services.events.permissions import MayOrganise, Resident, SignedIn
from services.events.signups import actions, queries
from services.events.signups.clients import masked_names
from services.events.signups.errors import (
    AlreadyCheckedIn,
    AlreadySignedUp,
    NoShowPause,
    SignupClosed,
    SignupNotFound,
    SignupOver,
    TooManyForActivity,
)
from services.events.signups.schemas import (
    ListedSignupOut,
    NamedMember,
    OwnSignupFilters,
    OwnSignupOut,
    SignupFilters,
    SignupIn,
    SignupOut,
)

router = Router(prefix="/api/events", tags=["sign-ups"])


class Applicants(NamedTuple):
    """Who is to be signed up, by which household."""

    household_id: UUID
    members: list[UUID]


async def _applicants(request: Request, actor: Resident, body: SignupIn) -> Applicants:
    """Identity was asked of the household if our copy did not suffice for all of these members."""
    return Applicants(await household_of(request, actor, body.members), body.members)


@router.post(
    "/activities/{activity_id}/signups",
    status_code=201,
    responses=problems(
        ActivityNotFound,
        NoHousehold,
        NotOfHousehold,
        SignupClosed,
        NotAMember,
        ConsentRequired,
        TooManyForActivity,
        AlreadySignedUp,
        NoShowPause,
    ),
)
async def sign_up(
    activity_id: UUID,
    actor: Resident,
    applicants: Annotated[Applicants, Depends(_applicants)],
    turn: TurnDep,
    session: SessionDep,
) -> SignupOut:
    """报名: sign up members of one's household, all or none; where seats do not suffice, on the waitlist 候补."""
    signup = await actions.sign_up(session, actor, applicants.household_id, activity_id, applicants.members)
    return await queries.show_new(session, signup, applicants.members)


@router.post(
    "/activities/{activity_id}/signups/{signup_id}/withdraw",
    responses=problems(ActivityNotFound, SignupNotFound, NoHousehold, NotOfHousehold, SignupOver, AlreadyCheckedIn),
)
async def withdraw_signup(
    activity_id: UUID,
    signup_id: UUID,
    actor: Resident,
    household_id: HouseholdDep,
    turn: TurnDep,
    session: SessionDep,
    body: Nothing | None = None,
) -> SignupOut:
    """退出: any adult member may; the next in the queue come in at once."""
    signup = await actions.withdraw(session, actor, household_id, activity_id, signup_id)
    return await queries.show_signup(session, signup)


async def _household_if_any(request: Request, actor: SignedIn) -> UUID | None:
    return await household_of(request, actor) if actor.household_id else None


@router.get("/signups", responses=problems(NotOfHousehold, InvalidCursor))
async def list_own_signups(
    filters: Annotated[OwnSignupFilters, Query()],
    actor: SignedIn,
    household_id: Annotated[UUID | None, Depends(_household_if_any)],
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[OwnSignupOut]:
    """The sign-ups of one's household, each with its activity; none for those who belong to no household."""
    if household_id is None:
        return Page(items=[], next_cursor=None)
    check_reader(await family(session, household_id), actor.id)
    return await queries.own_signups(session, cursors, household_id, filters)


@router.get("/activities/{activity_id}/signups", responses=problems(ActivityNotFound, NotOrganiser, InvalidCursor))
async def list_signups(
    activity_id: UUID,
    filters: Annotated[SignupFilters, Query()],
    actor: MayOrganise,
    runtime: RuntimeDep,
    cursors: CursorsDep,
) -> Page[ListedSignupOut]:
    """The sign-ups for an activity of one's organisation, in the order in which they came, with masked names."""
    async with runtime.db.transaction() as session:
        await own_activity(session, actor, activity_id)
        page = await queries.list_signups(session, cursors, activity_id, filters)
    people = [member.person_id for members in page.members.values() for member in members]
    names = await masked_names(runtime.client, people)
    return Page(
        items=[
            ListedSignupOut(
                id=signup.id,
                household_id=signup.household_id,
                state=signup.state,
                rank=signup.rank,
                passed_over=signup.passed_over,
                seats=signup.seats,
                members=[
                    NamedMember(person_id=member.person_id, name=names.get(member.person_id), child=member.child)
                    for member in page.members[signup.id]
                ],
                created_at=signup.created_at,
                changed_at=signup.changed_at,
                why=signup.why,
            )
            for signup in page.signups
        ],
        next_cursor=page.next_cursor,
    )
