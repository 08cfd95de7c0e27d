"""HTTP of children, guardians and consents."""

from uuid import UUID

from chassis.core import clock
from chassis.core.schema import Nothing
from chassis.web.deps import SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.guardianship import actions, queries
from services.identity.guardianship.errors import (
    BirthDateInvalid,
    ChildAlreadyThere,
    ChildNotFound,
    ConsentNotFound,
    ConsentTextOutdated,
    NoConsentNeeded,
    NotAnAdultMember,
    NotGuardian,
    TooManyChildren,
    TooManyGuardians,
)
from services.identity.guardianship.schemas import (
    ChildIn,
    ChildPatch,
    ConsentIn,
    ConsentOut,
    ConsentTexts,
    GuardianIn,
)
from services.identity.households import queries as households
from services.identity.households.errors import HouseholdFull, NoHousehold, NotAdult
from services.identity.households.schemas import Member
from services.identity.people.errors import PersonGone
from services.identity.permissions import SignedIn

children = Router(prefix="/api/identity/household/children", tags=["children"])
consents = Router(prefix="/api/identity", tags=["consents"])


@children.post(
    "",
    status_code=201,
    responses=problems(
        PersonGone,
        NoHousehold,
        NotAdult,
        ConsentTextOutdated,
        BirthDateInvalid,
        ChildAlreadyThere,
        TooManyChildren,
        HouseholdFull,
    ),
)
async def add_child(body: ChildIn, actor: SignedIn, session: SessionDep, vault: VaultDep) -> Member:
    """Add a child under fourteen. Whoever adds it is its guardian, and consents to its record by that.

    Taking part in activities needs another consent, to be given at `/api/identity/consents`.
    """
    child_id = await actions.add_child(session, vault, actor.id, body)
    return await households.own_member(session, vault, actor.id, child_id, clock.now())


@children.patch("/{child_id}", responses=problems(PersonGone, NoHousehold, ChildNotFound, NotGuardian))
async def rename_child(
    child_id: UUID, body: ChildPatch, actor: SignedIn, session: SessionDep, vault: VaultDep
) -> Member:
    """Correct a child's name, as a guardian of it."""
    await actions.rename_child(session, vault, actor.id, child_id, body.name)
    return await households.own_member(session, vault, actor.id, child_id, clock.now())


@children.delete(
    "/{child_id}", status_code=204, responses=problems(PersonGone, NoHousehold, ChildNotFound, NotGuardian)
)
async def remove_child(child_id: UUID, actor: SignedIn, session: SessionDep) -> None:
    """Withdraw the consent to the child's record, as a guardian of it: its name and date of birth are erased."""
    await actions.remove_child(session, actor.id, child_id)


@children.post(
    "/{child_id}/guardians",
    responses=problems(PersonGone, NoHousehold, ChildNotFound, NotGuardian, NotAnAdultMember, TooManyGuardians),
)
async def name_guardian(
    child_id: UUID, body: GuardianIn, actor: SignedIn, session: SessionDep, vault: VaultDep
) -> Member:
    """Name another adult of the household a guardian of the child, as a guardian of it."""
    await actions.name_guardian(session, actor.id, child_id, body.person_id)
    return await households.own_member(session, vault, actor.id, child_id, clock.now())


@consents.get("/consent-texts")
async def show_consent_texts() -> ConsentTexts:
    """What guardians consent to: the text in force for each purpose."""
    return queries.consent_texts()


@consents.post(
    "/consents",
    status_code=201,
    responses=problems(PersonGone, NoHousehold, ConsentTextOutdated, ChildNotFound, NotGuardian, NoConsentNeeded),
)
async def give_consent(body: ConsentIn, actor: SignedIn, session: SessionDep) -> ConsentOut:
    """Consent for a child under fourteen, as a guardian of it. Given again while in force, it is the same consent."""
    return ConsentOut.of(await actions.give_consent(session, actor.id, body))


@consents.post(
    "/consents/{consent_id}/withdraw", responses=problems(PersonGone, NoHousehold, ConsentNotFound, NotGuardian)
)
async def withdraw_consent(
    consent_id: UUID, actor: SignedIn, session: SessionDep, body: Nothing | None = None
) -> ConsentOut:
    """Withdraw a consent, as any guardian of the child; withdrawn again, nothing changes.

    Without `activities` the child's sign-ups end. Without `child_record` the child is erased, and all that hangs on it.
    """
    return ConsentOut.of(await actions.withdraw_consent(session, actor.id, consent_id))
