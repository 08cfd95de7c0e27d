"""Registering merchants, their stores and their keys. Every change leaves a row that says who made it."""

import secrets
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.merchants import actions as merchants
from services.points.merchants.tables import Merchant, MerchantKey, Store
from services.points.merchants.terms import MerchantState
from services.points.registry import queries, rules
from services.points.registry.errors import KeyKnown, MerchantRegistered, StoreExists, TooManyStores
from services.points.registry.schemas import KeyIn, MerchantIn, StoreIn
from services.points.registry.tables import MerchantEvent
from services.points.registry.terms import MerchantEventKind
from services.points.webhooks.announcing import Announcement, announce
from services.points.webhooks.terms import EventType

_MCHID_SMALLEST = 10**9


async def register_merchant(session: AsyncSession, actor: Actor, wanted: MerchantIn) -> Merchant:
    """Have an organisation honour coupons, under a merchant's number of its own. Raises MerchantRegistered."""
    if await queries.find_merchant(session, wanted.organisation_id) is not None:
        raise MerchantRegistered
    merchant = Merchant(
        id=wanted.organisation_id, mchid=await _free_mchid(session), name=wanted.name, state=MerchantState.ACTIVE
    )
    session.add(merchant)
    await session.flush()
    note(session, merchant.id, actor.id, MerchantEventKind.REGISTERED)
    return merchant


async def rename_merchant(session: AsyncSession, actor: Actor, merchant_id: UUID, name: str) -> Merchant:
    """Call it something else from now on. Raises MerchantNotFound."""
    merchant = await queries.lock_merchant(session, merchant_id)
    if merchant.name != name:
        merchant.name = name
        note(session, merchant_id, actor.id, MerchantEventKind.RENAMED)
    return merchant


async def set_suspended(
    session: AsyncSession, actor: Actor, merchant_id: UUID, *, suspended: bool, reason: str
) -> Merchant:
    """Have a merchant take no coupon any more, or take them again. What is so already changes nothing.

    Raises MerchantNotFound.
    """
    merchant = await queries.lock_merchant(session, merchant_id)
    state = MerchantState.SUSPENDED if suspended else MerchantState.ACTIVE
    if merchant.state is not state:
        merchant.state = state
        kind = MerchantEventKind.SUSPENDED if suspended else MerchantEventKind.RESUMED
        note(session, merchant_id, actor.id, kind, reason=reason)
    return merchant


async def add_store(session: AsyncSession, actor: Actor, merchant_id: UUID, wanted: StoreIn) -> Store:
    """Another store. Raises MerchantNotFound, StoreExists, TooManyStores."""
    rules.check_may_change(actor, merchant_id)
    await queries.lock_merchant(session, merchant_id)
    if await queries.find_store(session, merchant_id, wanted.id) is not None:
        raise StoreExists
    if await queries.number_of_stores(session, merchant_id) >= rules.STORES:
        raise TooManyStores
    store = Store(merchant_id=merchant_id, id=wanted.id, name=wanted.name, closed_at=None)
    session.add(store)
    note(session, merchant_id, actor.id, MerchantEventKind.STORE_ADDED, subject=wanted.id)
    return store


async def rename_store(session: AsyncSession, actor: Actor, merchant_id: UUID, store_id: str, name: str) -> Store:
    """Call a store something else from now on. Raises MerchantNotFound, StoreNotFound."""
    rules.check_may_change(actor, merchant_id)
    await queries.lock_merchant(session, merchant_id)
    store = await queries.store_by_id(session, merchant_id, store_id)
    if store.name != name:
        store.name = name
        note(session, merchant_id, actor.id, MerchantEventKind.STORE_RENAMED, subject=store_id)
    return store


async def set_closed(session: AsyncSession, actor: Actor, merchant_id: UUID, store_id: str, *, closed: bool) -> Store:
    """Have nothing more redeemed at a store, or have it open again. What is so already changes nothing.

    Raises MerchantNotFound, StoreNotFound.
    """
    rules.check_may_change(actor, merchant_id)
    await queries.lock_merchant(session, merchant_id)
    store = await queries.store_by_id(session, merchant_id, store_id)
    if (store.closed_at is not None) != closed:
        store.closed_at = clock.now() if closed else None
        kind = MerchantEventKind.STORE_CLOSED if closed else MerchantEventKind.STORE_REOPENED
        note(session, merchant_id, actor.id, kind, subject=store_id)
    return store


async def add_key(session: AsyncSession, actor: Actor, merchant_id: UUID, wanted: KeyIn) -> MerchantKey:
    """Put a public key on record, once, for whoever has its private half.

    Raises MerchantNotFound, KeyNotAcceptable, KeyProofWrong, KeyValidityWrong, KeyKnown, TooManyKeys.
    """
    rules.check_may_change(actor, merchant_id)
    merchant = await queries.lock_merchant(session, merchant_id)
    serial_no = rules.serial_of(wanted.public_key, wanted.algorithm)
    said = rules.statement(merchant.mchid, serial_no, sandbox=wanted.sandbox)
    rules.check_proof(wanted.public_key, wanted.algorithm, said, wanted.proof)
    not_before, not_after = rules.validity(wanted.not_before, wanted.not_after, clock.now())
    if await queries.find_key(session, merchant_id, serial_no) is not None:
        raise KeyKnown
    await merchants.record_key(
        session,
        merchant.mchid,
        serial_no=serial_no,
        algorithm=wanted.algorithm,
        public_key_pem=wanted.public_key,
        sandbox=wanted.sandbox,
        not_before=not_before,
        not_after=not_after,
    )
    note(session, merchant_id, actor.id, MerchantEventKind.KEY_ADDED, subject=serial_no)
    key = await queries.key_by_serial(session, merchant_id, serial_no)
    await _tell(session, EventType.KEY_ADDED, key)
    return key


async def revoke_key(
    session: AsyncSession, actor: Actor, merchant_id: UUID, serial_no: str, reason: str
) -> MerchantKey:
    """From now on a key is good for nothing, for good. Done again it changes nothing.

    Raises MerchantNotFound, KeyNotFound.
    """
    rules.check_may_change(actor, merchant_id)
    merchant = await queries.lock_merchant(session, merchant_id)
    key = await queries.key_by_serial(session, merchant_id, serial_no)
    if key.revoked_at is None:
        await merchants.revoke_key(session, merchant.mchid, serial_no)
        note(session, merchant_id, actor.id, MerchantEventKind.KEY_REVOKED, subject=serial_no, reason=reason)
        await _tell(session, EventType.KEY_REVOKED, key)
    return key


def note(
    session: AsyncSession,
    merchant_id: UUID,
    actor_id: UUID,
    kind: MerchantEventKind,
    *,
    subject: str | None = None,
    reason: str | None = None,
) -> None:
    """Write down who changed what, with the change."""
    event = MerchantEvent(id=new_id(), merchant_id=merchant_id, kind=kind, at=clock.now(), actor_id=actor_id)
    event.subject, event.reason = subject, reason
    session.add(event)


async def _tell(session: AsyncSession, event: EventType, key: MerchantKey) -> None:
    """Have the merchant's endpoints told, so that a key that nobody there asked for does not go unnoticed."""
    resource = {"serial_no": key.serial_no, "sandbox": key.sandbox, "not_after": key.not_after}
    await announce(session, [Announcement(key.merchant_id, event, resource, clock.now())])


async def _free_mchid(session: AsyncSession) -> str:
    """Ten random digits, the first not zero, that are no merchant's yet."""
    while True:
        mchid = str(_MCHID_SMALLEST + secrets.randbelow(9 * _MCHID_SMALLEST))
        if not await queries.is_mchid_taken(session, mchid):
            return mchid
