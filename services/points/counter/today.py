"""今日核销: what was redeemed at a store today, and what comes of it."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core import clock
from chassis.core.beijing import BEIJING, day_of
from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from services.points.counter import queries
from services.points.counter.schemas import TodayOut, TodayPaging, UseItem
from services.points.counter.terms import Counter
from services.points.coupons.life import RETURN_WITHIN
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind
from services.points.rewards.tables import Reward

_KINDS = (CouponEventKind.USED, CouponEventKind.RETURNED)


async def today_at(
    session: AsyncSession, vault: Vault, cursors: Cursors, counter: Counter, paging: TodayPaging
) -> TodayOut:
    """A page of today's uses at a store, the latest first, with the day's sums. Raises InvalidCursor.

    What was used before midnight and can still be undone is on the list too.
    """
    at = clock.now()
    midnight = datetime.combine(day_of(at), time(), BEIJING)
    said: dict[str, Any] = {"list": "today", "store": [counter.merchant_id, counter.store_id], "day": day_of(at)}
    statement = _uses(counter, since=min(midnight, at - RETURN_WITHIN))
    if after := cursors.decode(paging.cursor, said):
        last = datetime.fromisoformat(str(after[0])), str(after[1])
        statement = statement.where(tuple_(CouponEvent.at, CouponEvent.use_no) < last)
    rows = (await session.execute(statement.limit(paging.limit + 1))).all()
    shown = rows[: paging.limit]
    used, returned, face_fen, payable_fen = await _sums(session, counter, midnight)
    more = len(rows) > paging.limit
    return TodayOut(
        day=day_of(at),
        used=used,
        returned=returned,
        face_fen=face_fen,
        payable_fen=payable_fen,
        items=await _items(session, vault, counter.merchant_id, shown, at),
        next_cursor=cursors.encode(said, [shown[-1].at.isoformat(), shown[-1].use_no]) if more else None,
    )


def _uses(counter: Counter, *, since: datetime) -> Select[*tuple[Any, ...]]:
    undone = aliased(CouponEvent)
    undoes = (undone.use_no == CouponEvent.use_no) & (undone.kind == CouponEventKind.RETURNED)
    return (
        select(
            CouponEvent.coupon_id,
            CouponEvent.use_no,
            CouponEvent.at,
            CouponEvent.operator_id,
            Coupon.face_fen,
            Coupon.payable_fen,
            Reward.title,
            undone.at.label("returned_at"),
        )
        .join(Coupon, Coupon.id == CouponEvent.coupon_id)
        .join(Reward, Reward.id == Coupon.reward_id)
        .outerjoin(undone, undoes)
        .where(
            CouponEvent.merchant_id == counter.merchant_id,
            CouponEvent.store_id == counter.store_id,
            CouponEvent.kind == CouponEventKind.USED,
            CouponEvent.at >= since,
        )
        .order_by(CouponEvent.at.desc(), CouponEvent.use_no.desc())
    )


async def _sums(session: AsyncSession, counter: Counter, since: datetime) -> tuple[int, int, int, int]:
    """Of a store's events since then: uses, returns, and the fen by face and payable, uses less returns."""
    sign = case((CouponEvent.kind == CouponEventKind.USED, 1), else_=-1)
    statement = (
        select(
            func.count().filter(CouponEvent.kind == CouponEventKind.USED),
            func.count().filter(CouponEvent.kind == CouponEventKind.RETURNED),
            func.coalesce(func.sum(sign * Coupon.face_fen), 0),
            func.coalesce(func.sum(sign * Coupon.payable_fen), 0),
        )
        .join(Coupon, Coupon.id == CouponEvent.coupon_id)
        .where(
            CouponEvent.merchant_id == counter.merchant_id,
            CouponEvent.store_id == counter.store_id,
            CouponEvent.kind.in_(_KINDS),
            CouponEvent.at >= since,
        )
    )
    used, returned, face_fen, payable_fen = (await session.execute(statement)).one()
    return used, returned, int(face_fen), int(payable_fen)


async def _items(
    session: AsyncSession, vault: Vault, merchant_id: UUID, rows: Sequence[Any], at: datetime
) -> list[UseItem]:
    people = {row.operator_id for row in rows if row.operator_id}
    names = await queries.names_of_clerks(session, vault, merchant_id, people)
    return [
        UseItem(
            coupon_id=row.coupon_id,
            use_no=row.use_no,
            reward_title=row.title,
            face_fen=row.face_fen,
            payable_fen=row.payable_fen,
            used_at=row.at,
            returned_at=row.returned_at,
            returnable_until=row.at + RETURN_WITHIN if _returnable(row, at) else None,
            operator_id=row.operator_id,
            operator_name=names.get(row.operator_id),
        )
        for row in rows
    ]


def _returnable(row: Any, at: datetime) -> bool:
    return row.returned_at is None and at <= row.at + RETURN_WITHIN
