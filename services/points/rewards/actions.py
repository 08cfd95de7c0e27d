"""Rewards, and using their coupons. Whoever posts locks the civic ledger first, then rewards and coupons.

How they are redeemed stands in `redemption`.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from services.points.ledger import actions as ledger
from services.points.ledger.core.commands import Transfer
from services.points.ledger.queries import lock_ledgers
from services.points.ledger.terms import TransferCode, coupon_liability, merchant_payable
from services.points.rewards import queries, rules
from services.points.rewards.errors import CouponCodeStale, CouponCodeWrong, CouponNotFound
from services.points.rewards.rules import Verdict
from services.points.rewards.tables import Coupon, CouponEvent, Reward, RewardMerchant
from services.points.rewards.terms import CouponEventKind, CouponState, RewardKind, WrongCodeSubject
from services.points.terms import LedgerName


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

    Raises CouponCodeMalformed; TooManyWrongCodes, looking at nothing; CouponCodeWrong (a CouponNotFound) where the
    code never was right or the merchant does not honour the coupon, which is counted: the caller must commit the
    transaction; CouponCodeStale where it was right within the last ten minutes. Until the transaction ends no other
    code of this merchant or this coupon is judged, so the limits cannot be raced.
    """
    coupon_id, otp = rules.read_code(code)
    hour = rules.hour_of(at)
    counts = [
        await queries.lock_wrong_codes(session, WrongCodeSubject.MERCHANT, str(merchant_id), hour),
        await queries.lock_wrong_codes(session, WrongCodeSubject.COUPON, coupon_id, hour),
    ]
    for count in counts:
        rules.check_may_try(count, at)
    coupon, verdict = None, Verdict.WRONG
    try:
        coupon = await queries.coupon_for_merchant(session, coupon_id, merchant_id)
        verdict = rules.judge(otp, queries.open_secret(vault, coupon), at)
    except CouponNotFound:
        pass
    if coupon is None or verdict is Verdict.WRONG:
        for count in counts:
            count.wrong += 1
        await session.flush()
        raise CouponCodeWrong
    if verdict is Verdict.STALE:
        raise CouponCodeStale
    return coupon


async def use_coupon(
    session: AsyncSession,
    coupon: Coupon,
    *,
    merchant_id: UUID,
    mchid: str,
    store_id: str,
    use_time: datetime,
    out_trade_no: str | None,
) -> Coupon:
    """Spend a coupon at a merchant: its points become what the merchant is owed, in the caller's transaction.

    Takes the ledger's lock, then the coupon's, and judges the coupon as it then is. `use_time` is what the till says;
    what counts is our own clock. Raises CouponNotFound where the merchant does not honour it, CouponUsed, CouponLocked,
    CouponExpired, having written nothing.
    """
    await lock_ledgers(session, [LedgerName.CIVIC])
    at = clock.now()
    coupon = await queries.lock_coupon(session, coupon.id)
    if not await queries.is_honoured(session, coupon.reward_id, merchant_id) and coupon.used_by != merchant_id:
        raise CouponNotFound
    rules.check_usable(coupon, at)
    number = len(await queries.events_of(session, coupon.id)) + 1
    use_no = rules.use_no(coupon, number)
    posted = await ledger.post(
        session,
        Transfer(
            debit=coupon_liability(),
            credit=merchant_payable(merchant_id),
            amount=coupon.cost,
            code=TransferCode.USE,
            reference=f"coupon/{coupon.id}/use/{use_no}",
            occurred_at=at,
        ),
    )
    coupon.state = CouponState.USED
    coupon.used_at, coupon.used_by, coupon.mchid, coupon.store_id = at, merchant_id, mchid, store_id
    coupon.use_time, coupon.use_no = use_time, use_no
    assert posted.transfer is not None, "a transfer was asked for"
    event = CouponEvent.of(coupon, number, CouponEventKind.USED, posted.transfer.id, at)
    event.merchant_id, event.mchid, event.store_id = merchant_id, mchid, store_id
    event.use_time, event.out_trade_no, event.use_no = use_time, out_trade_no, use_no
    session.add(event)
    await session.flush()
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
