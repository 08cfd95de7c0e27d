"""Rewards, and their coupons' codes. Coupons are redeemed in `redemption` and used in `use`.

The order of locks: the civic ledger, where something is posted; the counts of wrong codes, the merchants' before the
coupons'; rewards and coupons.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from services.points.rewards import queries, rules
from services.points.rewards.tables import Coupon, Reward, RewardMerchant
from services.points.rewards.terms import RewardKind, WrongCodeSubject


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


async def judge_code(session: AsyncSession, vault: Vault, code: str, merchant_id: UUID, at: datetime) -> Coupon:
    """The coupon whose code is shown to a merchant at `at`, whatever its state. The coupon itself is not locked.

    Raises CouponCodeMalformed; TooManyWrongCodes, whatever the code is worth; CouponCodeWrong (a CouponNotFound) where
    the code never was right or the merchant does not honour the coupon, which is counted: the caller must commit the
    transaction; CouponCodeStale where it was right within the last ten minutes. Until the transaction ends no other
    code of this merchant or this coupon is judged, so the limits cannot be raced.
    """
    coupon_id, otp = rules.read_code(code)
    subjects = [(WrongCodeSubject.MERCHANT, str(merchant_id)), (WrongCodeSubject.COUPON, coupon_id)]
    counts = await queries.lock_wrong_codes(session, subjects, rules.hour_of(at))
    coupon = await queries.find_coupon_for_merchant(session, coupon_id, merchant_id)
    rules.check_code(counts.values(), queries.open_secret(vault, coupon) if coupon else None, otp, at)
    assert coupon is not None, "a code is right for a coupon alone"
    return coupon


async def hand_over_coupons(session: AsyncSession, household_id: UUID, into: UUID) -> None:
    """The coupons of a household that was dissolved belong to the one it joined, used ones too.

    The caller holds the civic ledger's lock.
    """
    await session.execute(
        update(Coupon)
        .where(Coupon.household_id == household_id)
        .values(household_id=into)
        .execution_options(synchronize_session=False)
    )


async def sweep(session: AsyncSession, at: datetime) -> None:
    """Forget the counts of wrong codes that no decision after `at` can need."""
    await queries.delete_wrong_codes(session, of_hours_until=at - rules.HOUR)
