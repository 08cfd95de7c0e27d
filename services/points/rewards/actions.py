"""Changes to rewards that the installation and coupons make; administrators' are in `catalogue`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from services.points.rewards import queries
from services.points.rewards.tables import Reward, RewardMerchant
from services.points.rewards.terms import Audience, LimitPeriod, RewardKind, RewardState


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
    daily_stock: int | None = None,
    limit_period: LimitPeriod = LimitPeriod.EVER,
    audience: Audience = Audience.EVERYONE,
    refund_on_expiry: bool = False,
    store_ids: Mapping[UUID, Collection[str]] | None = None,
) -> Reward:
    """A reward under a given id, listed at once: for an installation's first ones, which no administrator wrote.

    Recorded again, it is brought up to date, but `stock` stays what is left of it. `store_ids` are the stores in which
    a merchant honours it, where it is not all of them. Coupons that were issued keep the cost and the worth of their
    day.
    """
    values = {
        "title": title,
        "description": description,
        "kind": kind,
        "cost": cost,
        "face_fen": face_fen,
        "payable_fen": payable_fen,
        "daily_stock": daily_stock,
        "household_limit": household_limit,
        "limit_period": limit_period,
        "audience": audience,
        "refund_on_expiry": refund_on_expiry,
        "valid_days": valid_days,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    born = {"state": RewardState.LISTED, "listed_at": clock.now(), "version": 0, "stock": stock, "taken": 0}
    fresh = insert(Reward).values(id=reward_id, **born, **values)
    statement = fresh.on_conflict_do_update(index_elements=[Reward.id], set_=values).returning(Reward)
    reward = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    await set_merchants(session, reward_id, {id_: (store_ids or {}).get(id_, ()) for id_ in merchant_ids})
    return reward


async def set_merchants(session: AsyncSession, reward_id: UUID, stores: Mapping[UUID, Collection[str]]) -> None:
    """These merchants honour the reward, in these stores (in all where none is named), and no others."""
    stale = RewardMerchant.merchant_id.not_in(stores)
    await session.execute(delete(RewardMerchant).where(RewardMerchant.reward_id == reward_id, stale))
    if stores:
        rows = [
            {"reward_id": reward_id, "merchant_id": merchant_id, "store_ids": sorted(stores[merchant_id])}
            for merchant_id in sorted(stores)
        ]
        fresh = insert(RewardMerchant).values(rows)
        keys = [RewardMerchant.reward_id, RewardMerchant.merchant_id]
        await session.execute(
            fresh.on_conflict_do_update(index_elements=keys, set_={"store_ids": fresh.excluded.store_ids})
        )


async def put_back(session: AsyncSession, numbers: Mapping[UUID, int]) -> None:
    """So many pieces of each reward can be had again, by others too. What was taken today stays taken: a day's share is
    not given out twice. The caller holds the civic ledger's lock.
    """
    for reward_id, reward in (await queries.lock_rewards(session, numbers)).items():
        reward.stock += numbers[reward_id]
    await session.flush()
