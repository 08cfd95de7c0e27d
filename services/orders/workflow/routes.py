"""HTTP of work orders."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.orders.deps import SettingsDep
from services.orders.permissions import MayDispatch, MayHandle, SignedIn
from services.orders.photos.errors import PhotoUnknown
from services.orders.places.errors import UnitUnknown
from services.orders.workflow import actions, queries
from services.orders.workflow.errors import (
    ClaimLimitReached,
    NotHandler,
    OrderAlreadyClaimed,
    OrderNotFound,
    OwnReport,
    UnitAccused,
    WrongState,
)
from services.orders.workflow.schemas import (
    MeetIn,
    OrderDetail,
    OrderFilters,
    OrderOut,
    PoolIn,
    ReleaseIn,
    ResolveIn,
    StartIn,
)

router = Router(prefix="/api/orders", tags=["orders"])


@router.get("", responses=problems(InvalidCursor))
async def list_orders(
    filters: Annotated[OrderFilters, Query()], actor: SignedIn, session: SessionDep, cursors: CursorsDep
) -> Page[OrderOut]:
    """The orders that the caller may see, newest first.

    Handlers: the pool of their unit, and their own. Dispatchers: their unit's. Supervisors: their subdistrict's.
    Call-back agents: what waits for a call-back. Auditors: all. And everybody: what they reported; `owner=me` gives
    that alone, and with `open=true` what of it is not yet done.
    """
    return await queries.list_orders(session, cursors, actor, filters)


# Only what looks like an id, so that `GET /api/orders/photos` is a wrong method and not a malformed id.
@router.get("/{order_id:uuid}", responses=problems(OrderNotFound))
async def show_order(order_id: UUID, actor: SignedIn, session: SessionDep) -> OrderDetail:
    """One order with its history, for those who may see it."""
    return await queries.order_detail(session, actor, order_id)


@router.post("/{order_id}/pool", responses=problems(OrderNotFound, WrongState, UnitUnknown, UnitAccused))
async def pool_order(order_id: UUID, body: PoolIn, actor: MayDispatch, session: SessionDep) -> OrderOut:
    """Send an order that found no unit by itself to one."""
    return OrderOut.of(await actions.pool_order(session, actor, order_id, body.unit_id))


@router.post(
    "/{order_id}/claim",
    responses=problems(OrderNotFound, OrderAlreadyClaimed, WrongState, OwnReport, ClaimLimitReached),
)
async def claim_order(
    order_id: UUID, actor: MayHandle, session: SessionDep, settings: SettingsDep, body: Nothing | None = None
) -> OrderOut:
    """抢单: take a pooled order; of all who try at once, one wins and the others get 409."""
    return OrderOut.of(await actions.claim_order(session, actor, order_id, limit=settings.open_claims_per_handler))


@router.post("/{order_id}/release", responses=problems(OrderNotFound, NotHandler, WrongState))
async def release_order(order_id: UUID, body: ReleaseIn, actor: MayHandle, session: SessionDep) -> OrderOut:
    """Give the order back to the pool."""
    return OrderOut.of(await actions.release_order(session, actor, order_id, body.reason))


@router.post("/{order_id}/meet", responses=problems(OrderNotFound, NotHandler, WrongState))
async def meet_resident(order_id: UUID, body: MeetIn, actor: MayHandle, session: SessionDep) -> OrderOut:
    """见面: the resident was met, on site or, with a note on why, by phone."""
    return OrderOut.of(await actions.meet_resident(session, actor, order_id, body))


@router.post("/{order_id}/start", responses=problems(OrderNotFound, NotHandler, WrongState))
async def start_work(order_id: UUID, actor: MayHandle, session: SessionDep, body: StartIn | None = None) -> OrderOut:
    """Work begins; where there was nobody to meet, with the reason."""
    return OrderOut.of(await actions.start_work(session, actor, order_id, body.reason if body else None))


@router.post("/{order_id}/resolve", responses=problems(OrderNotFound, NotHandler, WrongState, PhotoUnknown))
async def resolve_order(order_id: UUID, body: ResolveIn, actor: MayHandle, session: SessionDep) -> OrderOut:
    """The work is done: a note for the resident, and photos that prove it. The call-back follows."""
    return OrderOut.of(await actions.resolve_order(session, actor, order_id, body))
