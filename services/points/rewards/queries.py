"""Reading and locking rewards."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.merchants.queries import merchant_names
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.schemas import MerchantRef, RewardOut, RewardPaging
from services.points.rewards.tables import Reward, RewardMerchant


async def list_rewards(session: AsyncSession, cursors: Cursors, paging: RewardPaging) -> Page[RewardOut]:
    """A page of what is on offer now, the cheapest first. Raises InvalidCursor."""
    filters = {"list": "rewards"}
    at = clock.now()
    statement = select(Reward).where(Reward.starts_at <= at, at < Reward.ends_at)
    if after := cursors.decode(paging.cursor, filters):
        statement = statement.where(tuple_(Reward.cost, Reward.id) > (int(after[0]), UUID(str(after[1]))))
    statement = statement.order_by(Reward.cost, Reward.id).limit(paging.limit + 1)
    rewards = (await session.scalars(statement)).all()
    shown = rewards[: paging.limit]
    more = len(rewards) > paging.limit
    return Page(
        items=await _shown(session, shown),
        next_cursor=cursors.encode(filters, [shown[-1].cost, str(shown[-1].id)]) if more else None,
    )


async def reward_detail(session: AsyncSession, reward_id: UUID) -> RewardOut:
    """A reward, on offer or not. Raises RewardNotFound."""
    reward = await session.get(Reward, reward_id)
    if reward is None:
        raise RewardNotFound
    [shown] = await _shown(session, [reward])
    return shown


async def lock_rewards(session: AsyncSession, reward_ids: Collection[UUID]) -> dict[UUID, Reward]:
    """Those of the rewards that there are, locked in the order of their ids until the transaction ends.

    Lock the ledger first.
    """
    statement = select(Reward).where(Reward.id.in_(reward_ids)).order_by(Reward.id).with_for_update()
    rewards = await session.scalars(statement.execution_options(populate_existing=True))
    return {reward.id: reward for reward in rewards}


async def honoured(
    session: AsyncSession, reward_ids: Collection[UUID], merchant_ids: Collection[UUID]
) -> set[tuple[UUID, UUID]]:
    """Which of the rewards' coupons which of the merchants take: (reward, merchant)."""
    statement = select(RewardMerchant.reward_id, RewardMerchant.merchant_id)
    statement = statement.where(RewardMerchant.reward_id.in_(reward_ids), RewardMerchant.merchant_id.in_(merchant_ids))
    return {(row.reward_id, row.merchant_id) for row in await session.execute(statement)}


async def _shown(session: AsyncSession, rewards: Sequence[Reward]) -> list[RewardOut]:
    ids = [reward.id for reward in rewards]
    statement = select(RewardMerchant).where(RewardMerchant.reward_id.in_(ids)).order_by(RewardMerchant.merchant_id)
    honours = (await session.scalars(statement)).all()
    names = await merchant_names(session, {row.merchant_id for row in honours})
    merchants = defaultdict[UUID, list[MerchantRef]](list)
    for row in honours:
        if row.merchant_id in names:
            merchants[row.reward_id].append(MerchantRef(id=row.merchant_id, name=names[row.merchant_id]))
    return [RewardOut.of(reward, merchants[reward.id]) for reward in rewards]
