"""Changes to rewards."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.rewards.tables import Reward, RewardMerchant
from services.points.rewards.terms import RewardKind


async def record_reward(
    session: AsyncSession,
    reward_id: UUID,
    *,
    title: str,
    description: str,
    kind: RewardKind,
    cost: int,
    face_fen: int,
    payable_fen: int,
    stock: int,
    household_limit: int | None,
    valid_days: int,
    starts_at: datetime,
    ends_at: datetime,
    merchant_ids: Collection[UUID],
) -> Reward:
    """A reward under a given id; recorded again, it is brought up to date, but `stock` stays what is left of it.

    Coupons that were issued keep the cost and the worth of their day.
    """
    values = {
        "title": title,
        "description": description,
        "kind": kind,
        "cost": cost,
        "face_fen": face_fen,
        "payable_fen": payable_fen,
        "household_limit": household_limit,
        "valid_days": valid_days,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    fresh = insert(Reward).values(id=reward_id, stock=stock, **values)
    statement = fresh.on_conflict_do_update(index_elements=[Reward.id], set_=values).returning(Reward)
    reward = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    stale = RewardMerchant.merchant_id.not_in(merchant_ids)
    await session.execute(delete(RewardMerchant).where(RewardMerchant.reward_id == reward_id, stale))
    if merchant_ids:
        honour = [{"reward_id": reward_id, "merchant_id": merchant_id} for merchant_id in sorted(merchant_ids)]
        await session.execute(insert(RewardMerchant).values(honour).on_conflict_do_nothing())
    return reward
