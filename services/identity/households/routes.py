"""HTTP of households."""

from uuid import UUID

from chassis.core import clock
from chassis.core.errors import Unavailable
from chassis.core.schema import Nothing
from chassis.web.auth import ClientAddress
from chassis.web.deps import SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.deps import SettingsDep
from services.identity.households import actions, queries
from services.identity.households.errors import (
    AlreadyMember,
    GuardianStays,
    HouseholdFull,
    HouseholdNotFound,
    InvitationInvalid,
    InvitationNotFound,
    LastAdult,
    LivesAlone,
    MemberNotFound,
    NoHousehold,
    NotAdult,
    NotEarlier,
    TooManyInvitations,
    TooManyInvitationsToday,
    TooManyWrongInvitations,
)
from services.identity.households.rules import JoinLimits
from services.identity.households.schemas import HouseholdSnapshot, InvitationOut, JoinIn, NewHousehold
from services.identity.people.errors import PersonGone
from services.identity.permissions import FromEvents, SignedIn
from services.identity.settings import IdentitySettings
from services.identity.signin.rules import is_loopback

router = Router(prefix="/api/identity/household", tags=["households"])
internal = Router(prefix="/internal/households", include_in_schema=False)


@router.post(
    "/invitations",
    status_code=201,
    responses=problems(PersonGone, NoHousehold, NotAdult, TooManyInvitations, TooManyInvitationsToday),
)
async def invite(actor: SignedIn, session: SessionDep, vault: VaultDep, body: Nothing | None = None) -> InvitationOut:
    """A code by which one person may join the household within three days. It is shown only here, and good once.

    Whoever has the code can join, sees the names in the household and acts for it, which is to spend its points as
    well: hand it on in confidence, and revoke it if it went astray. Who joined by it can be put out again; what they
    spent stays spent.
    """
    return await actions.invite(session, vault, actor.id)


@router.delete(
    "/invitations/{invitation_id}",
    status_code=204,
    responses=problems(PersonGone, NoHousehold, NotAdult, InvitationNotFound),
)
async def revoke_invitation(invitation_id: UUID, actor: SignedIn, session: SessionDep) -> None:
    """Revoke an invitation of one's household: nobody joins by it any more."""
    await actions.revoke_invitation(session, actor.id, invitation_id)


@router.post(
    "/join",
    responses=problems(
        PersonGone,
        NotAdult,
        InvitationInvalid,
        TooManyWrongInvitations,
        AlreadyMember,
        HouseholdFull,
        Unavailable,
    ),
)
async def join_household(
    body: JoinIn, actor: SignedIn, address: ClientAddress, session: SessionDep, vault: VaultDep, settings: SettingsDep
) -> NewHousehold:
    """Join the household that an invitation code names.

    The only adult of a household brings its children, points, coupons and sign-ups along; one of several adults brings
    the children whose only guardian they are. Points and coupons that were brought along are the household's: they stay
    there when one leaves it, or is put out by an adult who was there before. The access token still names the former
    household: get a new one by the refresh token at once.
    """
    await actions.join(
        session, vault, actor.id, body.code, address=address, limits=_limits(settings, is_loopback(address))
    )
    return await _new_household(session, vault, actor.id)


@router.post(
    "/leave",
    responses=problems(PersonGone, NoHousehold, NotAdult, LivesAlone, LastAdult, Unavailable),
)
async def leave_household(
    actor: SignedIn, session: SessionDep, vault: VaultDep, body: Nothing | None = None
) -> NewHousehold:
    """Leave for a household of one's own, with the children whose only guardian one is; points stay with the family.

    The access token still names the former household: get a new one by the refresh token at once.
    """
    await actions.leave(session, actor.id)
    return await _new_household(session, vault, actor.id)


@router.delete(
    "/members/{person_id}",
    status_code=204,
    responses=problems(PersonGone, NoHousehold, NotAdult, MemberNotFound, NotEarlier, GuardianStays, Unavailable),
)
async def put_out_member(person_id: UUID, actor: SignedIn, session: SessionDep) -> None:
    """Put an adult who joined later than oneself out of the household: they go on in one of their own.

    The children whose first guardian they are go with them. Points and coupons stay with the household, those that they
    brought along too; sign-ups that name them end.
    """
    await actions.put_out(session, actor.id, person_id)


@internal.get("/{household_id}", dependencies=[FromEvents], responses=problems(HouseholdNotFound))
async def show_household(household_id: UUID, session: SessionDep) -> HouseholdSnapshot:
    """The household as the latest message told it."""
    return await queries.snapshot(session, household_id)


def _limits(settings: IdentitySettings, on_this_machine: bool) -> JoinLimits:
    return JoinLimits(
        per_person=settings.wrong_invitations_per_person_hour,
        per_address=settings.wrong_invitations_per_address_hour * (settings.loopback_factor if on_this_machine else 1),
    )


async def _new_household(session: SessionDep, vault: VaultDep, person_id: UUID) -> NewHousehold:
    household = await queries.own_household(session, vault, person_id, clock.now())
    assert household is not None
    return NewHousehold(
        id=household.id, members=household.members, invitations=household.invitations, refresh_tokens=True
    )
