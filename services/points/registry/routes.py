"""商户登记: merchants, their stores and keys over HTTP, for administrators and the merchants' managers."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.merchants.errors import KeyNotAcceptable, MerchantNotFound, TooManyKeys
from services.points.permissions import MayAdminister, MayReadLedger, MaySeeMerchants, MaySeeToMerchants
from services.points.registry import actions, queries, rules
from services.points.registry.errors import (
    KeyKnown,
    KeyNotFound,
    KeyProofWrong,
    KeyValidityWrong,
    MerchantRegistered,
    StoreExists,
    StoreNotFound,
    TooManyStores,
)
from services.points.registry.schemas import (
    KeyIn,
    KeyOut,
    MerchantEventOut,
    MerchantFilters,
    MerchantIn,
    MerchantOut,
    NameIn,
    Paging,
    ReasonIn,
    StoreIn,
    StoreOut,
)

router = Router(prefix="/api/points/merchants", tags=["merchants on record"])

AnyStoreId = Annotated[str, Path(max_length=40, pattern="^[^\\x00]*$")]
SerialNo = Annotated[str, Path(max_length=100, pattern="^[^\\x00]*$")]
PagingQuery = Annotated[Paging, Query()]


@router.get("", responses=problems(InvalidCursor))
async def list_merchants(
    filters: Annotated[MerchantFilters, Query()], actor: MayReadLedger, session: SessionDep, cursors: CursorsDep
) -> Page[MerchantOut]:
    """商户名录: the merchants in the order of their numbers."""
    return await queries.list_merchants(session, cursors, filters)


@router.post("", status_code=201, responses=problems(MerchantRegistered))
async def register_merchant(body: MerchantIn, actor: MayAdminister, session: SessionDep) -> MerchantOut:
    """登记商户: an organisation gets a merchant's number, and may have stores, keys and clerks from now on."""
    return MerchantOut.of(await actions.register_merchant(session, actor, body))


@router.get("/{merchant_id}", responses=problems(MerchantNotFound))
async def show_merchant(merchant_id: UUID, actor: MaySeeMerchants, session: SessionDep) -> MerchantOut:
    """One merchant. Managers see their own."""
    rules.check_may_see(actor, merchant_id)
    return MerchantOut.of(await queries.merchant_by_id(session, merchant_id))


@router.patch("/{merchant_id}", responses=problems(MerchantNotFound))
async def rename_merchant(merchant_id: UUID, body: NameIn, actor: MayAdminister, session: SessionDep) -> MerchantOut:
    """Call a merchant something else."""
    return MerchantOut.of(await actions.rename_merchant(session, actor, merchant_id, body.name))


@router.post("/{merchant_id}/suspend", responses=problems(MerchantNotFound))
async def suspend_merchant(merchant_id: UUID, body: ReasonIn, actor: MayAdminister, session: SessionDep) -> MerchantOut:
    """停用: the merchant takes no coupon from now on, at no till and no counter. What it is owed stays owed."""
    return MerchantOut.of(await actions.set_suspended(session, actor, merchant_id, suspended=True, reason=body.reason))


@router.post("/{merchant_id}/resume", responses=problems(MerchantNotFound))
async def resume_merchant(merchant_id: UUID, body: ReasonIn, actor: MayAdminister, session: SessionDep) -> MerchantOut:
    """恢复: the merchant takes coupons again."""
    return MerchantOut.of(await actions.set_suspended(session, actor, merchant_id, suspended=False, reason=body.reason))


@router.get("/{merchant_id}/events", responses=problems(MerchantNotFound, InvalidCursor))
async def list_merchant_events(
    merchant_id: UUID, paging: PagingQuery, actor: MaySeeMerchants, session: SessionDep, cursors: CursorsDep
) -> Page[MerchantEventOut]:
    """变更记录: who changed what about a merchant, its stores, keys and clerks, the oldest first."""
    rules.check_may_see(actor, merchant_id)
    return await queries.list_events(session, cursors, merchant_id, paging)


@router.get("/{merchant_id}/stores", responses=problems(MerchantNotFound, InvalidCursor))
async def list_stores(
    merchant_id: UUID, paging: PagingQuery, actor: MaySeeMerchants, session: SessionDep, cursors: CursorsDep
) -> Page[StoreOut]:
    """门店: a merchant's stores, closed ones included."""
    rules.check_may_see(actor, merchant_id)
    return await queries.list_stores(session, cursors, merchant_id, paging)


@router.post("/{merchant_id}/stores", status_code=201, responses=problems(MerchantNotFound, StoreExists, TooManyStores))
async def add_store(merchant_id: UUID, body: StoreIn, actor: MaySeeToMerchants, session: SessionDep) -> StoreOut:
    """Another store, under an id of the merchant's own."""
    return StoreOut.of(await actions.add_store(session, actor, merchant_id, body))


@router.patch("/{merchant_id}/stores/{store_id}", responses=problems(MerchantNotFound, StoreNotFound))
async def rename_store(
    merchant_id: UUID, store_id: AnyStoreId, body: NameIn, actor: MaySeeToMerchants, session: SessionDep
) -> StoreOut:
    """Call a store something else."""
    return StoreOut.of(await actions.rename_store(session, actor, merchant_id, store_id, body.name))


@router.post("/{merchant_id}/stores/{store_id}/close", responses=problems(MerchantNotFound, StoreNotFound))
async def close_store(
    merchant_id: UUID, store_id: AnyStoreId, actor: MaySeeToMerchants, session: SessionDep
) -> StoreOut:
    """关店: from now on nothing is redeemed there, by no till and no clerk."""
    return StoreOut.of(await actions.set_closed(session, actor, merchant_id, store_id, closed=True))


@router.post("/{merchant_id}/stores/{store_id}/reopen", responses=problems(MerchantNotFound, StoreNotFound))
async def reopen_store(
    merchant_id: UUID, store_id: AnyStoreId, actor: MaySeeToMerchants, session: SessionDep
) -> StoreOut:
    """The store is open again, with the clerks that it had."""
    return StoreOut.of(await actions.set_closed(session, actor, merchant_id, store_id, closed=False))


@router.get("/{merchant_id}/keys", responses=problems(MerchantNotFound, InvalidCursor))
async def list_keys(
    merchant_id: UUID, paging: PagingQuery, actor: MaySeeMerchants, session: SessionDep, cursors: CursorsDep
) -> Page[KeyOut]:
    """密钥: all keys that a merchant ever had, with their state."""
    rules.check_may_see(actor, merchant_id)
    return await queries.list_keys(session, cursors, merchant_id, paging)


@router.post(
    "/{merchant_id}/keys",
    status_code=201,
    responses=problems(MerchantNotFound, KeyNotAcceptable, KeyProofWrong, KeyValidityWrong, KeyKnown, TooManyKeys),
)
async def add_key(merchant_id: UUID, body: KeyIn, actor: MaySeeToMerchants, session: SessionDep) -> KeyOut:
    """登记公钥: at most two of a kind (live, sandbox) are not over at a time: the one in use and its successor.

    To change over: register the new one, sign with it, revoke the old one. `proof` shows that the private half is at
    hand.
    """
    return KeyOut.of(await actions.add_key(session, actor, merchant_id, body), clock.now())


@router.post("/{merchant_id}/keys/{serial_no}/revoke", responses=problems(MerchantNotFound, KeyNotFound))
async def revoke_key(
    merchant_id: UUID, serial_no: SerialNo, body: ReasonIn, actor: MaySeeToMerchants, session: SessionDep
) -> KeyOut:
    """吊销: from this moment nothing signed by the key is taken, for good."""
    key = await actions.revoke_key(session, actor, merchant_id, serial_no, body.reason)
    return KeyOut.of(key, clock.now())
