"""Reading the registry of merchants."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from chassis.core import clock
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.merchants.errors import MerchantNotFound
from services.points.merchants.tables import Merchant, MerchantKey, Store
from services.points.registry.errors import KeyNotFound, StoreNotFound
from services.points.registry.schemas import (
    KeyOut,
    MerchantEventOut,
    MerchantFilters,
    MerchantOut,
    Paging,
    StoreOut,
)
from services.points.registry.tables import MerchantEvent

Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=BaseModel)


async def merchant_by_id(session: AsyncSession, merchant_id: UUID) -> Merchant:
    """A merchant. Raises MerchantNotFound."""
    merchant = await session.get(Merchant, merchant_id)
    if merchant is None:
        raise MerchantNotFound
    return merchant


async def find_merchant(session: AsyncSession, merchant_id: UUID) -> Merchant | None:
    """A merchant; None where the organisation is none."""
    return await session.get(Merchant, merchant_id)


async def lock_merchant(session: AsyncSession, merchant_id: UUID) -> Merchant:
    """A merchant, locked until the transaction ends: whoever changes what is the merchant's comes here first.

    Raises MerchantNotFound.
    """
    statement = select(Merchant).where(Merchant.id == merchant_id).with_for_update(key_share=True)
    merchant = await session.scalar(statement.execution_options(populate_existing=True))
    if merchant is None:
        raise MerchantNotFound
    return merchant


async def is_mchid_taken(session: AsyncSession, mchid: str) -> bool:
    """Whether a merchant has this number."""
    return await session.scalar(select(Merchant.id).where(Merchant.mchid == mchid)) is not None


async def find_store(session: AsyncSession, merchant_id: UUID, store_id: str) -> Store | None:
    """One of a merchant's stores; None where there is no such store. Closed ones are found too."""
    return await session.get(Store, (merchant_id, store_id), populate_existing=True)


async def store_by_id(session: AsyncSession, merchant_id: UUID, store_id: str) -> Store:
    """The same. Raises StoreNotFound."""
    store = await find_store(session, merchant_id, store_id)
    if store is None:
        raise StoreNotFound
    return store


async def number_of_stores(session: AsyncSession, merchant_id: UUID) -> int:
    """How many stores a merchant has, closed ones included."""
    statement = select(func.count()).select_from(Store).where(Store.merchant_id == merchant_id)
    return (await session.scalar(statement)) or 0


async def find_key(session: AsyncSession, merchant_id: UUID, serial_no: str) -> MerchantKey | None:
    """A key of a merchant's; None where there is none of this serial number."""
    return await session.get(MerchantKey, (merchant_id, serial_no), populate_existing=True)


async def key_by_serial(session: AsyncSession, merchant_id: UUID, serial_no: str) -> MerchantKey:
    """The same. Raises KeyNotFound."""
    key = await find_key(session, merchant_id, serial_no)
    if key is None:
        raise KeyNotFound
    return key


async def list_merchants(session: AsyncSession, cursors: Cursors, filters: MerchantFilters) -> Page[MerchantOut]:
    """A page of the merchants in the order of their numbers. Raises InvalidCursor."""
    said: dict[str, Any] = {"list": "merchants", "state": filters.state, "q": filters.q}
    statement = select(Merchant)
    if filters.state is not None:
        statement = statement.where(Merchant.state == filters.state)
    if filters.q is not None:
        statement = statement.where(Merchant.name.contains(filters.q, autoescape=True))
    return await _page(session, cursors, said, filters, statement, Merchant.mchid, MerchantOut.of)


async def list_stores(session: AsyncSession, cursors: Cursors, merchant_id: UUID, paging: Paging) -> Page[StoreOut]:
    """A page of a merchant's stores in the order of their ids. Raises InvalidCursor."""
    said = {"list": "stores", "merchant": merchant_id}
    statement = select(Store).where(Store.merchant_id == merchant_id)
    return await _page(session, cursors, said, paging, statement, Store.id, StoreOut.of)


async def list_keys(session: AsyncSession, cursors: Cursors, merchant_id: UUID, paging: Paging) -> Page[KeyOut]:
    """A page of all keys that a merchant ever had, in the order of their serial numbers. Raises InvalidCursor."""
    said, at = {"list": "keys", "merchant": merchant_id}, clock.now()
    statement = select(MerchantKey).where(MerchantKey.merchant_id == merchant_id)
    return await _page(session, cursors, said, paging, statement, MerchantKey.serial_no, lambda key: KeyOut.of(key, at))


async def list_events(
    session: AsyncSession, cursors: Cursors, merchant_id: UUID, paging: Paging
) -> Page[MerchantEventOut]:
    """A page of what was changed about a merchant, the oldest first. Raises InvalidCursor."""
    said = {"list": "merchant events", "merchant": merchant_id}
    statement = select(MerchantEvent).where(MerchantEvent.merchant_id == merchant_id)
    return await _page(session, cursors, said, paging, statement, MerchantEvent.id, MerchantEventOut.of)


async def _page(
    session: AsyncSession,
    cursors: Cursors,
    said: Mapping[str, Any],
    paging: Paging,
    statement: Select[Row],
    key: InstrumentedAttribute[Any],
    show: Callable[[Row], Shown],
) -> Page[Shown]:
    """A page in the order of a unique column: text, or a UUID."""
    if after := cursors.decode(paging.cursor, said):
        last = str(after[0])
        statement = statement.where(key > (UUID(last) if key.type.python_type is UUID else last))
    rows = (await session.scalars(statement.order_by(key).limit(paging.limit + 1))).all()
    shown = rows[: paging.limit]
    more = len(rows) > paging.limit
    return Page[Any](
        items=[show(row) for row in shown],
        next_cursor=cursors.encode(said, [str(getattr(shown[-1], key.key))]) if more else None,
    )
