"""HTTP of deleting an account."""

from chassis.core.errors import Unavailable
from chassis.web.deps import SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.deletion import actions
from services.identity.deletion.errors import ChildrenWouldBeErased, HasPost
from services.identity.deletion.schemas import DeleteIn
from services.identity.households.errors import NotAdult
from services.identity.people.errors import PersonGone
from services.identity.permissions import SignedIn

router = Router(prefix="/api/identity/me", tags=["people"])


@router.post(
    "/delete", status_code=204, responses=problems(PersonGone, NotAdult, HasPost, ChildrenWouldBeErased, Unavailable)
)
async def delete_account(body: DeleteIn, actor: SignedIn, session: SessionDep) -> None:
    """注销: erase one's name and phone for good, here and in one's reports. Points stay with the household.

    No token is good any more in this service; elsewhere the access token in hand runs out within ten minutes. The phone
    may register anew, as somebody new.
    """
    await actions.delete_account(session, actor.id, with_children=body.with_children)
