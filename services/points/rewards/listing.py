"""Lists of rewards: what is searched for, in which order, page by page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from chassis.core.paging import Cursors
from services.points.rewards.schemas import RewardFilters
from services.points.rewards.tables import Reward, RewardMerchant
from services.points.rewards.terms import RewardState, Sort, When


@dataclass(frozen=True, slots=True)
class _Order:
    """By which column, which way, and how its values stand in a cursor."""

    column: InstrumentedAttribute[Any]
    descending: bool
    written: Callable[[Any], str | int] = int
    read: Callable[[Any], Any] = int


_ORDERS: Mapping[Sort, _Order] = {
    Sort.CHEAPEST: _Order(Reward.cost, descending=False),
    Sort.DEAREST: _Order(Reward.cost, descending=True),
    Sort.NEWEST: _Order(Reward.listed_at, True, datetime.isoformat, datetime.fromisoformat),
    Sort.ENDING: _Order(Reward.ends_at, False, datetime.isoformat, datetime.fromisoformat),
}


def on_offer(filters: RewardFilters, at: datetime) -> Select[Reward]:
    """What anybody may see of what is listed: on offer now, or soon."""
    statement = select(Reward).where(Reward.state == RewardState.LISTED)
    if filters.when is When.NOW:
        statement = statement.where(Reward.starts_at <= at, at < Reward.ends_at)
    else:
        statement = statement.where(Reward.starts_at > at)
    if filters.kind is not None:
        statement = statement.where(Reward.kind == filters.kind)
    if filters.merchant is not None:
        honours = exists().where(RewardMerchant.reward_id == Reward.id, RewardMerchant.merchant_id == filters.merchant)
        statement = statement.where(honours)
    return statement if filters.q is None else statement.where(contains(filters.q))


def contains(words: str) -> ColumnElement[bool]:
    """The condition that a reward's title or description contains each of these words."""
    found = Reward.title.icontains("", autoescape=True)
    for word in words.split():
        in_either = or_(
            Reward.title.icontains(word, autoescape=True), Reward.description.icontains(word, autoescape=True)
        )
        found = found & in_either
    return found


async def page(
    session: AsyncSession,
    cursors: Cursors,
    statement: Select[Reward],
    filters: RewardFilters,
    carried: Mapping[str, Any],
) -> tuple[Sequence[Reward], str | None]:
    """The rewards after the cursor, in their order, and the cursor of the next page. Raises InvalidCursor."""
    order = _ORDERS[filters.sort]
    key = tuple_(order.column, Reward.id)
    if after := cursors.decode(filters.cursor, carried):
        last = (order.read(after[0]), UUID(str(after[1])))
        statement = statement.where(key < last if order.descending else key > last)
    ways = [column.desc() if order.descending else column.asc() for column in (order.column, Reward.id)]
    rewards = (await session.scalars(statement.order_by(*ways).limit(filters.limit + 1))).all()
    found, more = rewards[: filters.limit], len(rewards) > filters.limit
    if not more:
        return found, None
    value = getattr(found[-1], order.column.key)
    return found, cursors.encode(carried, [order.written(value), str(found[-1].id)])
