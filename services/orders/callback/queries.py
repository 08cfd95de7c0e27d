"""Reading the tries to learn what residents say."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.orders.callback.tables import Callback
from services.orders.workflow.tables import Order


async def fruitless_tries(session: AsyncSession, order: Order) -> Sequence[datetime]:
    """When call-back agents failed to reach the resident since the order was resolved."""
    statement = select(Callback.at).where(
        Callback.order_id == order.id, Callback.contacted.is_(False), Callback.at >= order.resolved_at
    )
    return (await session.scalars(statement)).all()


async def last_answer(session: AsyncSession, order_id: UUID) -> Callback:
    """What the resident said last."""
    statement = (
        select(Callback)
        .where(Callback.order_id == order_id, Callback.contacted.is_(True))
        .order_by(Callback.id.desc())
        .limit(1)
    )
    return (await session.scalars(statement)).one()


async def callbacks_of(session: AsyncSession, order_id: UUID) -> Sequence[Callback]:
    """Every try to learn what the resident says, from the first on."""
    statement = select(Callback).where(Callback.order_id == order_id).order_by(Callback.id)
    return (await session.scalars(statement)).all()
