"""Reading merchants and keys; keeping nonces, and the answers to numbered requests."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import sqlstate
from services.points.merchants.errors import MerchantNotFound, NumberInProgress, RequestNotFound
from services.points.merchants.rules import NONCE_KEPT
from services.points.merchants.tables import Merchant, MerchantKey, MerchantNonce, MerchantRequest, Store
from services.points.merchants.terms import Answer, NumberKey

WAIT_SECONDS = 5
"""How long a request waits for the first one under its number."""


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
    """A merchant, locked until the transaction ends. Raises MerchantNotFound."""
    statement = select(Merchant).where(Merchant.mchid == mchid).with_for_update()
    merchant = await session.scalar(statement.execution_options(populate_existing=True))
    if merchant is None:
        raise MerchantNotFound
    return merchant


async def keys_of(session: AsyncSession, merchant_id: UUID) -> Sequence[MerchantKey]:
    """All keys that a merchant ever had."""
    statement = select(MerchantKey).where(MerchantKey.merchant_id == merchant_id).order_by(MerchantKey.serial_no)
    return (await session.scalars(statement)).all()


async def has_store(session: AsyncSession, merchant_id: UUID, store_id: str) -> bool:
    """Whether the store is one of the merchant's."""
    return await session.get(Store, (merchant_id, store_id)) is not None


async def merchant_names(session: AsyncSession, merchant_ids: Collection[UUID]) -> dict[UUID, str]:
    """The names of those of them that are on record."""
    found = await session.scalars(select(Merchant).where(Merchant.id.in_(merchant_ids)))
    return {merchant.id: merchant.name for merchant in found}


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


async def claim_number(
    session: AsyncSession, number: NumberKey, parameters_hash: bytes, coupon_id: str
) -> MerchantRequest | None:
    """Take a number in this transaction, or return the request that has it already.

    Waits up to five seconds for one that is under way elsewhere; raises NumberInProgress after that.
    """
    await session.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
    statement = (
        insert(MerchantRequest)
        .values(
            merchant_id=number.merchant_id,
            sandbox=number.sandbox,
            operation=number.operation,
            out_request_no=number.out_request_no,
            parameters_hash=parameters_hash,
            coupon_id=coupon_id,
        )
        .on_conflict_do_nothing()
        .returning(MerchantRequest.out_request_no)
    )
    try:
        claimed = await session.scalar(statement)
    except DBAPIError as error:
        if sqlstate(error) == "55P03":
            raise NumberInProgress from error
        raise
    await session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    if claimed is not None:
        return None
    earlier = await request_under(session, number)
    if earlier is None:  # it was given up this very moment
        raise NumberInProgress
    return earlier


async def request_under(session: AsyncSession, number: NumberKey) -> MerchantRequest | None:
    """The request that was made under this number, with its answer."""
    statement = select(MerchantRequest).where(*_row(number))
    request: MerchantRequest | None = await session.scalar(statement.execution_options(populate_existing=True))
    return request


async def settled_request(session: AsyncSession, number: NumberKey) -> MerchantRequest:
    """The same, once it is certain: one that is under way is waited for, five seconds at most.

    Raises RequestNotFound where there is none, NumberInProgress. The caller must not commit.
    """
    request = await request_under(session, number)
    # Whoever tries to take the number learns whether somebody else is about to.
    request = request or await claim_number(session, number, b"", "")
    if request is None:
        raise RequestNotFound
    return request


async def keep_answer(session: AsyncSession, number: NumberKey, answer: Answer, at: datetime) -> None:
    """Keep the answer in the transaction that took the number."""
    await session.execute(
        update(MerchantRequest)
        .where(*_row(number))
        .values(status=answer.status, answer=answer.body, answered_at=at)
        .execution_options(synchronize_session=False)
    )


async def give_up_number(session: AsyncSession, number: NumberKey) -> None:
    """Give a number back in the transaction that took it and goes on to commit."""
    await session.execute(delete(MerchantRequest).where(*_row(number)).execution_options(synchronize_session=False))


def _row(number: NumberKey) -> tuple[ColumnElement[bool], ...]:
    return (
        MerchantRequest.merchant_id == number.merchant_id,
        MerchantRequest.sandbox == number.sandbox,
        MerchantRequest.operation == number.operation,
        MerchantRequest.out_request_no == number.out_request_no,
    )
