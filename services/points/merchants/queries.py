"""Reading merchants and keys; keeping nonces, and the answers to numbered requests."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Select, and_, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.merchants.errors import MerchantNotFound
from services.points.merchants.rules import NONCE_KEPT
from services.points.merchants.tables import (
    Merchant,
    MerchantKey,
    MerchantNonce,
    MerchantRequest,
    SandboxCoupon,
    Store,
)
from services.points.merchants.terms import NumberKey, Operation


async def merchant_and_key(
    session: AsyncSession, mchid: str, serial_no: str
) -> tuple[Merchant, MerchantKey] | tuple[None, None]:
    """The merchant and its key of this serial number, good or not; nothing where there is no such key."""
    statement = (
        select(Merchant, MerchantKey)
        .join(MerchantKey, MerchantKey.merchant_id == Merchant.id)
        .where(Merchant.mchid == mchid, MerchantKey.serial_no == serial_no)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else (None, None)


async def lock_merchant(session: AsyncSession, mchid: str) -> Merchant:
    """A merchant, locked until the transaction ends; the ledgers' writer waits for nothing. Raises MerchantNotFound."""
    statement = select(Merchant).where(Merchant.mchid == mchid).with_for_update(key_share=True)
    merchant = await session.scalar(statement.execution_options(populate_existing=True))
    if merchant is None:
        raise MerchantNotFound
    return merchant


async def keys_of(session: AsyncSession, merchant_id: UUID) -> Sequence[MerchantKey]:
    """All keys that a merchant ever had."""
    statement = select(MerchantKey).where(MerchantKey.merchant_id == merchant_id).order_by(MerchantKey.serial_no)
    return (await session.scalars(statement)).all()


async def stores_among(session: AsyncSession, named: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Those of (merchant, store) that are an open store of the merchant's."""
    statement = select(Store.merchant_id, Store.id).where(Store.closed_at.is_(None))
    statement = statement.where(tuple_(Store.merchant_id, Store.id).in_(named))
    return {(row.merchant_id, row.id) for row in await session.execute(statement)}


async def merchant_names(session: AsyncSession, merchant_ids: Collection[UUID]) -> dict[UUID, str]:
    """The names of those of them that are on record."""
    found = await session.scalars(select(Merchant).where(Merchant.id.in_(merchant_ids)))
    return {merchant.id: merchant.name for merchant in found}


async def settled_before(session: AsyncSession, merchant_ids: Collection[UUID]) -> dict[UUID, date]:
    """Uses that were posted before this day (in Beijing) are settled with these merchants; none where it is missing."""
    if not merchant_ids:
        return {}
    statement = select(Merchant.id, Merchant.settled_before).where(
        Merchant.id.in_(merchant_ids), Merchant.settled_before.is_not(None)
    )
    return {merchant_id: day for merchant_id, day in await session.execute(statement) if day is not None}


async def keep_nonce(session: AsyncSession, merchant_id: UUID, serial_no: str, nonce: str, at: datetime) -> bool:
    """Remember a nonce; False where it is remembered already. Of several who come at once, one is told True."""
    statement = (
        insert(MerchantNonce)
        .values(merchant_id=merchant_id, serial_no=serial_no, nonce=nonce, seen_at=at)
        .on_conflict_do_update(
            index_elements=[MerchantNonce.merchant_id, MerchantNonce.serial_no, MerchantNonce.nonce],
            set_={"seen_at": at},
            where=MerchantNonce.seen_at <= at - NONCE_KEPT,
        )
        .returning(MerchantNonce.nonce)
    )
    return await session.scalar(statement) is not None


async def forget_nonces(session: AsyncSession, *, seen_until: datetime) -> None:
    """Forget the nonces that came by then."""
    await session.execute(delete(MerchantNonce).where(MerchantNonce.seen_at <= seen_until))


async def requests_under(session: AsyncSession, numbers: Collection[NumberKey]) -> dict[NumberKey, MerchantRequest]:
    """The requests that were made under these numbers, with their answers.

    Who holds the civic ledger's lock, as whoever answers under a number does, learns of all there are.
    """
    names = MerchantRequest.merchant_id, MerchantRequest.sandbox, MerchantRequest.operation
    wanted = [(each.merchant_id, each.sandbox, each.operation, each.out_request_no) for each in numbers]
    statement = select(MerchantRequest).where(tuple_(*names, MerchantRequest.out_request_no).in_(wanted))
    found = await session.scalars(statement.execution_options(populate_existing=True))
    return {request.number: request for request in found}


async def keep_answers(session: AsyncSession, requests: Collection[MerchantRequest]) -> None:
    """Keep answers in the transaction that carried out what they tell of."""
    session.add_all(requests)
    await session.flush()


async def sandbox_coupon(session: AsyncSession, merchant_id: UUID, coupon_id: str) -> SandboxCoupon | None:
    """A merchant's own coupon to try with."""
    statement = select(SandboxCoupon).where(SandboxCoupon.id == coupon_id, SandboxCoupon.merchant_id == merchant_id)
    found: SandboxCoupon | None = await session.scalar(statement.execution_options(populate_existing=True))
    return found


async def lock_sandbox_coupons(session: AsyncSession, coupon_ids: Collection[str]) -> dict[str, SandboxCoupon]:
    """Those of them that there are, whose ever, locked in the order of their ids until the transaction ends."""
    statement = select(SandboxCoupon).where(SandboxCoupon.id.in_(coupon_ids)).order_by(SandboxCoupon.id)
    found = await session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    return {coupon.id: coupon for coupon in found}


async def sandbox_coupons_since(session: AsyncSession, merchant_id: UUID, since: datetime) -> int:
    """How many a merchant has had since then."""
    statement = select(func.count()).where(SandboxCoupon.merchant_id == merchant_id, SandboxCoupon.issued_at > since)
    return int(await session.scalar(statement) or 0)


async def sandbox_done(
    session: AsyncSession, merchant_id: UUID, since: datetime, until: datetime, *, limit: int
) -> Sequence[MerchantRequest]:
    """The first uses and returns of a merchant's that were answered with a yes in the sandbox in a span of time."""
    statement = _done_in_sandbox(merchant_id, Operation.USE, Operation.RETURN).where(
        MerchantRequest.answered_at >= since, MerchantRequest.answered_at < until
    )
    order = MerchantRequest.answered_at, MerchantRequest.operation, MerchantRequest.out_request_no
    return (await session.scalars(statement.order_by(*order).limit(limit))).all()


async def sandbox_uses(
    session: AsyncSession, merchant_id: UUID, coupon_ids: Collection[str]
) -> Sequence[MerchantRequest]:
    """The uses of these coupons of the sandbox, whenever they were."""
    statement = _done_in_sandbox(merchant_id, Operation.USE).where(MerchantRequest.coupon_id.in_(coupon_ids))
    return (await session.scalars(statement)).all()


def _done_in_sandbox(merchant_id: UUID, *operations: Operation) -> Select[MerchantRequest]:
    return select(MerchantRequest).where(
        MerchantRequest.merchant_id == merchant_id,
        MerchantRequest.sandbox,
        MerchantRequest.operation.in_(operations),
        MerchantRequest.status == 200,
    )


async def delete_sandbox(session: AsyncSession, *, until: datetime) -> None:
    """Forget what was tried until then: coupons that were issued, and numbers that were answered."""
    await session.execute(delete(SandboxCoupon).where(SandboxCoupon.issued_at <= until))
    tried = and_(MerchantRequest.sandbox, MerchantRequest.answered_at <= until)
    await session.execute(delete(MerchantRequest).where(tried))
