"""店员: clerks of a merchant's stores over HTTP, for the merchant's managers and for those whom they invite."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.counter import actions, queries
from services.points.counter.errors import (
    AlreadyClerk,
    ClerkJoined,
    ClerkNotFound,
    InvitationWrong,
    TooManyClerks,
    TooManyInvitationTries,
)
from services.points.counter.schemas import ClerkIn, ClerkOut, CounterOut, CountersOut, InvitationOut, JoinIn
from services.points.counter.tables import Clerk
from services.points.merchants.errors import MerchantNotFound
from services.points.permissions import MaySeeMerchants, MaySeeToMerchants, SignedIn
from services.points.registry.errors import StoreNotFound
from services.points.registry.rules import check_may_see
from services.points.registry.schemas import Paging

clerks = Router(prefix="/api/points/merchants/{merchant_id}/clerks", tags=["clerks"])
joining = Router(prefix="/api/points/counter", tags=["counter"])


@clerks.get("", responses=problems(MerchantNotFound, InvalidCursor))
async def list_clerks(
    merchant_id: UUID,
    paging: Annotated[Paging, Query()],
    actor: MaySeeMerchants,
    session: SessionDep,
    vault: VaultDep,
    cursors: CursorsDep,
) -> Page[ClerkOut]:
    """店员名单: all who were ever invited, in the order of their invitations."""
    check_may_see(actor, merchant_id)
    return await queries.list_clerks(session, vault, cursors, merchant_id, paging)


@clerks.post("", status_code=201, responses=problems(MerchantNotFound, StoreNotFound, TooManyClerks))
async def invite_clerk(
    merchant_id: UUID,
    body: ClerkIn,
    actor: MaySeeToMerchants,
    session: SessionDep,
    vault: VaultDep,
    response: Response,
) -> InvitationOut:
    """邀请店员: a code of eight digits for one person and one store, good once and for 24 hours."""
    response.headers["Cache-Control"] = "no-store"
    return _invitation(vault, *await actions.invite(session, vault, actor, merchant_id, body))


@clerks.post("/{clerk_id}/invite", responses=problems(MerchantNotFound, ClerkNotFound, ClerkJoined))
async def invite_clerk_again(
    merchant_id: UUID,
    clerk_id: UUID,
    actor: MaySeeToMerchants,
    session: SessionDep,
    vault: VaultDep,
    response: Response,
) -> InvitationOut:
    """重发邀请码: another code; the one before is good for nothing any more."""
    response.headers["Cache-Control"] = "no-store"
    return _invitation(vault, *await actions.invite_again(session, vault, actor, merchant_id, clerk_id))


@clerks.post("/{clerk_id}/revoke", responses=problems(MerchantNotFound, ClerkNotFound))
async def revoke_clerk(
    merchant_id: UUID, clerk_id: UUID, actor: MaySeeToMerchants, session: SessionDep, vault: VaultDep
) -> ClerkOut:
    """停用店员: from this moment they do nothing more at the counter."""
    return queries.shown(vault, await actions.revoke(session, actor, merchant_id, clerk_id))


@joining.post("/join", responses=problems(InvitationWrong, TooManyInvitationTries, AlreadyClerk))
async def join_counter(body: JoinIn, actor: SignedIn, session: SessionDep, vault: VaultDep) -> CounterOut:
    """加入门店: become the clerk whom an invitation was made for. Five wrong codes an hour are borne."""
    return CounterOut.of(await actions.join(session, vault, actor, body.code))


@joining.get("/stores")
async def list_counters(actor: SignedIn, session: SessionDep) -> CountersOut:
    """我的门店: the counters that one may stand at: as a clerk, or as the merchant's manager."""
    return CountersOut(items=[CounterOut.of(counter) for counter in await queries.counters_of(session, actor)])


def _invitation(vault: VaultDep, clerk: Clerk, code: str) -> InvitationOut:
    shown = queries.shown(vault, clerk)
    assert shown.code_expires_at is not None, "it has just been given a code"
    return InvitationOut(clerk=shown, code=code, code_expires_at=shown.code_expires_at)
