"""What is in a household's reach, and what it is about to lose."""

from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import day_of
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.coupons.queries import redeemed
from services.points.coupons.schemas import CouponOut
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.households.queries import household_of, members_of
from services.points.outlook.schemas import ExpiringSoon, OutlookPaging, WithinReach
from services.points.rewards import listing, rules
from services.points.rewards.queries import rolls_of, shown
from services.points.rewards.schemas import RewardFilters, RewardOut
from services.points.rewards.tables import Reward
from services.points.statements.queries import expiring, own_accounts
from services.points.statements.schemas import ExpiringOut
from services.points.terms import LedgerName

COUPONS_SHOWN = 100


async def within_reach(
    session: AsyncSession, cursors: Cursors, actor: Actor, paging: OutlookPaging
) -> Page[WithinReach]:
    """A page of what the actor could redeem now, the cheapest first. What the household has had its share of is left
    out, so a page may hold less than was asked for. Raises InvalidCursor.
    """
    at, carried = clock.now(), {"list": "within_reach"}
    filters = RewardFilters(cursor=paging.cursor, limit=paging.limit)
    household_id = await household_of(session, actor)
    if household_id is None:
        return Page(items=[], next_cursor=None)
    members = (await members_of(session, [household_id])).get(household_id, {})
    if members.get(actor.id, True):  # a guardian redeems for a child, and who is not known yet may be one
        return Page(items=[], next_cursor=None)
    redeemer = rules.redeemer_of(members, (await rolls_of(session, [actor.id]))[actor.id])
    [wallet] = await own_accounts(session, actor, LedgerName.CIVIC)
    statement = listing.on_offer(filters, at).where(
        Reward.cost <= wallet.available,
        Reward.stock > 0,
        or_(Reward.daily_stock.is_(None), Reward.day.is_distinct_from(day_of(at)), Reward.taken < Reward.daily_stock),
        Reward.audience.in_(rules.audiences_of(redeemer)),
    )
    rewards, next_cursor = await listing.page(session, cursors, statement, filters, carried)
    since = {reward.id: rules.period_start(reward.limit_period, at) for reward in rewards if reward.household_limit}
    had = await redeemed(session, since, [household_id])
    most = {
        reward.id: min(
            wallet.available // reward.cost, rules.may_have(reward, had.get((reward.id, household_id), 0), at)
        )
        for reward in rewards
    }
    obtainable = [reward for reward in rewards if most[reward.id] > 0]
    items = [WithinReach(reward=out, at_most=most[out.id]) for out in await shown(session, obtainable, RewardOut)]
    return Page(items=items, next_cursor=next_cursor)


async def expiring_soon(session: AsyncSession, actor: Actor, days: int) -> ExpiringSoon:
    """What of the actor's household expires within so many days."""
    at = clock.now()
    until = at + timedelta(days=days)
    lots = [
        lot
        for wallet in await own_accounts(session, actor, LedgerName.CIVIC)
        for lot in await expiring(session, wallet.account)
        if at < lot[0] <= until
    ]
    household_id = await household_of(session, actor)
    statement = (
        select(Coupon)
        .options(joinedload(Coupon.reward))
        .where(
            Coupon.household_id == household_id,
            Coupon.state == CouponState.EFFECTIVE,
            Coupon.expires_at > at,
            Coupon.expires_at <= until,
        )
        .order_by(Coupon.expires_at, Coupon.id)
        .limit(COUPONS_SHOWN + 1)
    )
    coupons = (await session.scalars(statement)).all()
    return ExpiringSoon(
        until=until,
        points=[ExpiringOut.of(*lot) for lot in lots],
        coupons=[CouponOut.of(coupon, at) for coupon in coupons[:COUPONS_SHOWN]],
        more_coupons=len(coupons) > COUPONS_SHOWN,
    )
