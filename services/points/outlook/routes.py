"""HTTP of what a household could get and is about to lose, for its members."""

from typing import Annotated

from fastapi import Query

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.outlook import queries
from services.points.outlook.schemas import ExpiringSoon, Horizon, OutlookPaging, WithinReach
from services.points.permissions import SignedIn

outlook = Router(prefix="/api/points/outlook", tags=["rewards"])


@outlook.get("/rewards", responses=problems(InvalidCursor))
async def list_within_reach(
    paging: Annotated[OutlookPaging, Query()], actor: SignedIn, session: SessionDep, cursors: CursorsDep
) -> Page[WithinReach]:
    """我能兑什么: what one's household could redeem this moment, the cheapest first: it is on offer and for them, the
    points suffice, pieces are left, and the household has not had its share. A page may hold less than `limit`.
    """
    return await queries.within_reach(session, cursors, actor, paging)


@outlook.get("/expiring")
async def show_expiring_soon(
    horizon: Annotated[Horizon, Query()], actor: SignedIn, session: SessionDep
) -> ExpiringSoon:
    """将过期: points and coupons of one's household that expire within so many days (thirty, if it is not said)."""
    return await queries.expiring_soon(session, actor, horizon.days)
