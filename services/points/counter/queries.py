"""Reading clerks, and who may stand at which counter."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.counter import rules
from services.points.counter.errors import ClerkNotFound, NotAtThisCounter
from services.points.counter.schemas import ClerkOut
from services.points.counter.tables import Clerk, ClerkTry
from services.points.counter.terms import GONE, Counter, CounterRole, Place
from services.points.coupons.tables import Coupon
from services.points.merchants.tables import Merchant, Store
from services.points.merchants.terms import MerchantState
from services.points.registry.rules import MANAGER
from services.points.registry.schemas import Paging

_MOST_COUNTERS = 500


def name_context(clerk_id: UUID) -> str:
    """What a clerk's name is sealed for."""
    return f"merchant_clerk.name:{clerk_id}"


def shown(vault: Vault, clerk: Clerk) -> ClerkOut:
    """A clerk as the merchant's manager sees them."""
    return ClerkOut(
        id=clerk.id,
        store_id=clerk.store_id,
        name=_name_of(vault, clerk),
        state=rules.clerk_state(clerk, clock.now()),
        invited_at=clerk.invited_at,
        code_expires_at=clerk.code_expires_at,
        person_id=clerk.person_id,
        joined_at=clerk.joined_at,
        revoked_at=clerk.revoked_at,
    )


async def list_clerks(
    session: AsyncSession, vault: Vault, cursors: Cursors, merchant_id: UUID, paging: Paging
) -> Page[ClerkOut]:
    """A page of all who were ever invited by a merchant, in the order of their invitations. Raises InvalidCursor."""
    said: dict[str, Any] = {"list": "clerks", "merchant": merchant_id}
    statement = select(Clerk).where(Clerk.merchant_id == merchant_id)
    if after := cursors.decode(paging.cursor, said):
        statement = statement.where(Clerk.id > UUID(str(after[0])))
    clerks = (await session.scalars(statement.order_by(Clerk.id).limit(paging.limit + 1))).all()
    page = clerks[: paging.limit]
    return Page(
        items=[shown(vault, clerk) for clerk in page],
        next_cursor=cursors.encode(said, [str(page[-1].id)]) if len(clerks) > paging.limit else None,
    )


async def lock_clerk(session: AsyncSession, merchant_id: UUID, clerk_id: UUID) -> Clerk:
    """A merchant's clerk, locked until the transaction ends. Raises ClerkNotFound."""
    statement = select(Clerk).where(Clerk.id == clerk_id, Clerk.merchant_id == merchant_id).with_for_update()
    clerk = await session.scalar(statement.execution_options(populate_existing=True))
    if clerk is None:
        raise ClerkNotFound
    return clerk


async def lock_clerkships(session: AsyncSession, person_id: UUID) -> Sequence[Clerk]:
    """Wherever somebody is or was a clerk, locked until the transaction ends."""
    statement = select(Clerk).where(Clerk.person_id == person_id).order_by(Clerk.id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def lock_invitation(session: AsyncSession, code_hash: bytes) -> Clerk | None:
    """The invitation with this code, locked until the transaction ends; None where there is none."""
    statement = select(Clerk).where(Clerk.code_hash == code_hash).with_for_update()
    clerk: Clerk | None = await session.scalar(statement.execution_options(populate_existing=True))
    return clerk


async def is_code_taken(session: AsyncSession, code_hash: bytes) -> bool:
    """Whether an invitation has this code, be it good or not."""
    return await session.scalar(select(Clerk.id).where(Clerk.code_hash == code_hash)) is not None


async def works_at(session: AsyncSession, person_id: UUID, merchant_id: UUID, store_id: str) -> bool:
    """Whether somebody is an active clerk of a store."""
    statement = select(Clerk.id).where(Clerk.person_id == person_id, Clerk.revoked_at.is_(None))
    found = await session.scalar(statement.where(Clerk.merchant_id == merchant_id, Clerk.store_id == store_id))
    return found is not None


async def number_of_clerks(session: AsyncSession, merchant_id: UUID) -> int:
    """How many are invited or active at a merchant's stores."""
    statement = select(func.count()).select_from(Clerk).where(Clerk.merchant_id == merchant_id)
    return (await session.scalar(statement.where(Clerk.revoked_at.is_(None)))) or 0


async def lock_tries(session: AsyncSession, person_id: UUID) -> ClerkTry:
    """How often somebody typed a wrong code this hour, begun if need be, locked until the transaction ends."""
    statement = (
        insert(ClerkTry)
        .values(person_id=person_id, hour=clock.hour_of(clock.now()), wrong=0)
        .on_conflict_do_update(
            index_elements=[ClerkTry.person_id, ClerkTry.hour],
            set_={"wrong": ClerkTry.wrong},  # changes nothing, but locks the row and returns it
        )
        .returning(ClerkTry)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def forget_tries(session: AsyncSession) -> None:
    """Forget what was counted in hours that are over."""
    await session.execute(delete(ClerkTry).where(ClerkTry.hour <= clock.now() - rules.HOUR))


def place_of(actor: Actor, merchant_id: UUID, store_id: str) -> Place:
    """Where somebody says that they stand."""
    manages = actor.organisation_id if actor.has(MANAGER) else None
    return Place(actor.id, actor.household_id, manages, merchant_id, store_id)


async def counters_of(session: AsyncSession, actor: Actor) -> list[Counter]:
    """The counters that somebody may stand at, by the names of merchants and stores; the first few hundred."""
    managed = actor.organisation_id if actor.has(MANAGER) else None
    works_there = exists().where(
        Clerk.person_id == actor.id,
        Clerk.merchant_id == Store.merchant_id,
        Clerk.store_id == Store.id,
        Clerk.revoked_at.is_(None),
    )
    statement = select(Merchant, Store).join(Store, Store.merchant_id == Merchant.id)
    statement = statement.where(Store.closed_at.is_(None), or_(Merchant.id == managed, works_there))
    statement = statement.order_by(Merchant.name, Merchant.id, Store.name, Store.id).limit(_MOST_COUNTERS)
    return [_counter(row.Merchant, row.Store, managed) for row in await session.execute(statement)]


async def counters_at(session: AsyncSession, places: Collection[Place], *, lock: bool = False) -> dict[Place, Counter]:
    """Those of the places where whoever says so may stand.

    With `lock`, none of the clerks is revoked until the transaction ends: what they do in it was done before.
    """
    if not places:
        return {}
    clerks = await _clerks_at(session, places, lock=lock)
    statement = select(Merchant, Store).join(Store, Store.merchant_id == Merchant.id)
    named = {(place.merchant_id, place.store_id) for place in places}
    statement = statement.where(Store.closed_at.is_(None), tuple_(Store.merchant_id, Store.id).in_(named))
    rows = await session.execute(statement.execution_options(populate_existing=True))
    open_stores = {(row.Store.merchant_id, row.Store.id): (row.Merchant, row.Store) for row in rows}
    return {
        place: _counter(*found, place.manages)
        for place in places
        if (found := open_stores.get((place.merchant_id, place.store_id)))
        and (place.manages == place.merchant_id or _clerkship(place) in clerks)
    }


async def counter_at(session: AsyncSession, place: Place) -> Counter:
    """The counter where somebody stands. Raises NotAtThisCounter."""
    found = (await counters_at(session, [place])).get(place)
    if found is None:
        raise NotAtThisCounter
    return found


async def households_of_coupons(session: AsyncSession, coupon_ids: Collection[str]) -> dict[str, UUID]:
    """Whose the coupons are, for those that there are."""
    rows = await session.execute(select(Coupon.id, Coupon.household_id).where(Coupon.id.in_(coupon_ids)))
    return {row.id: row.household_id for row in rows}


async def names_of_clerks(
    session: AsyncSession, vault: Vault, merchant_id: UUID, person_ids: Collection[UUID]
) -> dict[UUID, str]:
    """What a merchant's manager calls these people, by the last invitation that they accepted."""
    statement = select(Clerk).where(Clerk.merchant_id == merchant_id, Clerk.person_id.in_(person_ids))
    clerks = await session.scalars(statement.order_by(Clerk.joined_at, Clerk.id))
    return {clerk.person_id: _name_of(vault, clerk) for clerk in clerks if clerk.person_id}


async def _clerks_at(session: AsyncSession, places: Collection[Place], *, lock: bool) -> set[tuple[UUID, UUID, str]]:
    """Of whom it is true that they are a clerk there: (person, merchant, store)."""
    columns = Clerk.person_id, Clerk.merchant_id, Clerk.store_id
    asked = {_clerkship(place) for place in places if place.manages != place.merchant_id}
    statement = select(*columns).where(Clerk.revoked_at.is_(None), tuple_(*columns).in_(asked)).order_by(Clerk.id)
    rows = await session.execute(statement.with_for_update(read=True) if lock else statement)
    return {(row.person_id, row.merchant_id, row.store_id) for row in rows}


def _name_of(vault: Vault, clerk: Clerk) -> str:
    return vault.open(clerk.name_sealed, name_context(clerk.id)) if clerk.name_sealed else GONE


def _clerkship(place: Place) -> tuple[UUID, UUID, str]:
    return place.person_id, place.merchant_id, place.store_id


def _counter(merchant: Merchant, store: Store, managed: UUID | None) -> Counter:
    return Counter(
        merchant_id=merchant.id,
        merchant_name=merchant.name,
        mchid=merchant.mchid,
        store_id=store.id,
        store_name=store.name,
        suspended=merchant.state is MerchantState.SUSPENDED,
        standing=CounterRole.MANAGER if managed == merchant.id else CounterRole.CLERK,
    )
