"""HTTP of people."""

from chassis.core import clock
from chassis.web.deps import SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.households import queries as households
from services.identity.people import queries
from services.identity.people.errors import PersonGone
from services.identity.people.schemas import MaskedNames, Me, NamesQuery, PersonFound, PhoneQuery
from services.identity.permissions import FromEventsOrPoints, FromOrders, SignedIn

router = Router(prefix="/api/identity", tags=["people"])
internal = Router(prefix="/internal/people", include_in_schema=False)


@router.get("/me", responses=problems(PersonGone))
async def show_me(actor: SignedIn, session: SessionDep, vault: VaultDep) -> Me:
    """Who is signed in: their name, roles, organisation, and household with its members, guardians and consents.

    Only a child's guardians are shown its date of birth.
    """
    household = await households.own_household(session, vault, actor.id, clock.now())
    return await queries.me(session, vault, actor.id, household)


@internal.post("/by-phone", dependencies=[FromOrders])
async def find_person_by_phone(query: PhoneQuery, session: SessionDep, vault: VaultDep) -> PersonFound:
    """The person of a verified phone number, so that a report left without signing in is theirs too."""
    return await queries.find_person(session, vault, query.phone)


@internal.post("/masked-names", dependencies=[FromEventsOrPoints])
async def show_masked_names(query: NamesQuery, session: SessionDep, vault: VaultDep) -> MaskedNames:
    """What these people are called, as others may see it (张*)."""
    return MaskedNames(names=await queries.masked_names(session, vault, query.person_ids))
