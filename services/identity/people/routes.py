"""HTTP of people."""

from chassis.web.deps import SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.people import queries
from services.identity.people.errors import PersonGone
from services.identity.people.schemas import Me, PersonFound, PhoneQuery
from services.identity.permissions import FromOrders, SignedIn

router = Router(prefix="/api/identity", tags=["people"])
internal = Router(prefix="/internal/people", include_in_schema=False)


@router.get("/me", responses=problems(PersonGone))
async def show_me(actor: SignedIn, session: SessionDep, vault: VaultDep) -> Me:
    """Who is signed in: their name, roles, organisation, and household with its members."""
    return await queries.me(session, vault, actor.id)


@internal.post("/by-phone", dependencies=[FromOrders])
async def find_person_by_phone(query: PhoneQuery, session: SessionDep, vault: VaultDep) -> PersonFound:
    """The person of a verified phone number, so that a report left without signing in is theirs too."""
    return await queries.find_person(session, vault, query.phone)
