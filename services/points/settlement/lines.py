"""The uses and returns of a merchant as the ledger has them: what bills and statements are made of, whenever.

The ledger says what was posted, in which order and when; a coupon's events say where and as what; what a coupon is
worth was frozen on it when it was issued. None of this ever changes, so the same numbers always give the same lines.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import CTE, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from services.points.coupons.tables import Coupon, CouponEvent
from services.points.ledger.tables import Ledger, Transfer
from services.points.ledger.terms import TransferCode, merchant_payable
from services.points.settlement.rules import midnight
from services.points.settlement.terms import Line, Op, StoreSums
from services.points.statements.queries import numbers_between
from services.points.statements.terms import Range
from services.points.terms import LedgerName

PART = 500
"""Lines that are read at once."""


async def numbers_of(session: AsyncSession, first: date, end: date) -> Range:
    """The numbers of what was posted to the civic ledger from one day of Beijing on and before another."""
    return await numbers_between(session, LedgerName.CIVIC, midnight(first), midnight(end))


async def day_numbers(session: AsyncSession, day: date) -> Range:
    """The same of a day that is over; what is posted meanwhile is not of it, even if it is the first since then."""
    last = (await session.scalars(select(Ledger.last_sequence).where(Ledger.name == LedgerName.CIVIC))).one()
    numbers = await numbers_of(session, day, day + timedelta(days=1))
    return Range(numbers.first, min(numbers.end, last + 1))


async def in_parts(session: AsyncSession, merchant_id: UUID, numbers: Range) -> AsyncIterator[list[Line]]:
    """What was posted to a merchant's account under these numbers, in their order. No transaction stays open between
    two parts: what is past never changes, so they fit together.
    """
    while True:
        part = await _lines(session, merchant_id, numbers, PART)
        await session.commit()
        if part:
            yield part
            numbers = Range(part[-1].number + 1, numbers.end)
        if len(part) < PART:
            return


async def _lines(session: AsyncSession, merchant_id: UUID, numbers: Range, limit: int) -> list[Line]:
    """The first of them."""
    moved = _moved(merchant_id, numbers, limit)
    use, own = aliased(CouponEvent), aliased(CouponEvent)
    statement = (
        select(
            moved.c.sequence,
            moved.c.posted_at,
            use.store_id,
            Coupon.reward_id,
            Coupon.id,
            own.out_request_no,
            use.use_no,
            moved.c.sign,
            use.use_time,
            Coupon.face_fen,
            Coupon.payable_fen,
            moved.c.amount,
        )
        .select_from(moved)
        .join(use, use.transfer_id == moved.c.use_id)
        .outerjoin(own, own.transfer_id == moved.c.id)
        .join(Coupon, Coupon.id == use.coupon_id)
        .order_by(moved.c.sequence)
    )
    return [_line(*row) for row in await session.execute(statement.limit(limit))]


async def sums_by_store(session: AsyncSession, merchant_id: UUID, numbers: Range) -> list[StoreSums]:
    """What the lines of these numbers come to at each of the merchant's stores, in the order of their ids."""
    moved = _moved(merchant_id, numbers, None)
    statement = (
        select(
            CouponEvent.store_id,
            func.count().filter(moved.c.sign > 0),
            func.count().filter(moved.c.sign < 0),
            func.sum(moved.c.sign * Coupon.face_fen),
            func.sum(moved.c.sign * Coupon.payable_fen),
            func.sum(moved.c.sign * moved.c.amount),
        )
        .select_from(moved)
        .join(CouponEvent, CouponEvent.transfer_id == moved.c.use_id)
        .join(Coupon, Coupon.id == CouponEvent.coupon_id)
        .group_by(CouponEvent.store_id)
    )
    found = [StoreSums(str(store_id), *map(int, rest)) for store_id, *rest in await session.execute(statement)]
    return sorted(found)


def _moved(merchant_id: UUID, numbers: Range, limit: int | None) -> CTE:
    """Transfers to and from a merchant's account: uses, and reversals of uses. Each side is read by its index."""
    sides = [
        _side(Transfer.credit_account_id, merchant_id, TransferCode.USE, 1, numbers, limit),
        _side(Transfer.debit_account_id, merchant_id, TransferCode.REVERSAL, -1, numbers, limit),
    ]
    return union_all(*(side.subquery().select() for side in sides)).cte("moved")


def _side(
    side: InstrumentedAttribute[UUID],
    merchant_id: UUID,
    code: TransferCode,
    sign: int,
    numbers: Range,
    limit: int | None,
) -> Select[UUID, UUID, int, datetime, int, int]:
    return (
        select(
            Transfer.id,
            func.coalesce(Transfer.reverses_id, Transfer.id).label("use_id"),
            Transfer.sequence,
            Transfer.posted_at,
            literal(sign).label("sign"),
            Transfer.amount,
        )
        .where(side == merchant_payable(merchant_id).id, Transfer.code == code)
        .where(Transfer.sequence >= numbers.first, Transfer.sequence < numbers.end)
        .order_by(Transfer.sequence)
        .limit(limit)
    )


def _line(
    number: int,
    posted_at: datetime,
    store_id: str,
    stock_id: UUID,
    coupon_id: str,
    out_request_no: str | None,
    use_no: str,
    sign: int,
    use_time: datetime,
    face_fen: int,
    payable_fen: int,
    points: int,
) -> Line:
    return Line(
        number,
        posted_at,
        store_id,
        stock_id,
        coupon_id,
        out_request_no,
        use_no,
        Op.USE if sign > 0 else Op.RETURN,
        use_time,
        sign * face_fen,
        sign * payable_fen,
        sign * points,
    )
