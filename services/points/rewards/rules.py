"""What may be redeemed by whom, and what may be done to a reward when. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from chassis.core.beijing import BEIJING, day_of
from services.points.rewards.errors import HouseholdLimitReached, NotEligible, OutOfStock, RewardNotOffered
from services.points.rewards.tables import Reward
from services.points.rewards.terms import Audience, LimitPeriod, RewardState


@dataclass(frozen=True, slots=True)
class Redeemer:
    """What is known of who would redeem: how many members their household has, how many of these are children, and the
    rolls that they themselves stand on.
    """

    members: int = 0
    children: int = 0
    rolls: frozenset[Audience] = frozenset()


def state_at(reward: Reward, at: datetime) -> RewardState:
    """A reward's state: one that is listed has ended when its time is over, whether or not anybody said so."""
    if reward.state is RewardState.LISTED and at >= reward.ends_at:
        return RewardState.ENDED
    return reward.state


def is_offered(reward: Reward, at: datetime) -> bool:
    """Whether it can be redeemed as far as time goes."""
    return reward.state is RewardState.LISTED and reward.starts_at <= at < reward.ends_at


def left(reward: Reward, at: datetime) -> int:
    """How many can be redeemed today, as far as the stock goes."""
    if reward.daily_stock is None:
        return reward.stock
    return max(0, min(reward.stock, reward.daily_stock - taken_today(reward, at)))


def taken_today(reward: Reward, at: datetime) -> int:
    """How many were redeemed today, in Beijing."""
    return reward.taken if reward.day == day_of(at) else 0


def take(reward: Reward, at: datetime) -> None:
    """One piece less, of all and of today's."""
    today = day_of(at)
    if reward.day != today:
        reward.day, reward.taken = today, 0
    reward.stock -= 1
    reward.taken += 1


def audiences_of(redeemer: Redeemer) -> set[Audience]:
    """What somebody may redeem, by whom it is for."""
    found = {Audience.EVERYONE, *redeemer.rolls}
    if redeemer.members > 1:
        found.add(Audience.FAMILIES)
    if redeemer.children > 0:
        found.add(Audience.FAMILIES_WITH_CHILDREN)
    return found


def redeemer_of(members: Mapping[UUID, bool], rolls: frozenset[Audience]) -> Redeemer:
    """Who somebody is, from the members of their household (each a child or not) and the rolls that they stand on."""
    return Redeemer(len(members), sum(members.values()), rolls)


def may_have(reward: Reward, redeemed_already: int, at: datetime) -> int:
    """How many more a household that has had so many may redeem now, as far as its share and the stock go."""
    share = left(reward, at) if reward.household_limit is None else reward.household_limit - redeemed_already
    return max(0, min(left(reward, at), share))


def may_be_had(reward: Reward, at: datetime) -> bool:
    """Whether anybody at all can redeem it now."""
    return is_offered(reward, at) and left(reward, at) > 0


def check_to_be_had(reward: Reward, at: datetime) -> None:
    """The same; raises RewardNotOffered, OutOfStock."""
    if not is_offered(reward, at):
        raise RewardNotOffered
    if reward.stock <= 0:
        raise OutOfStock
    if left(reward, at) <= 0:
        raise OutOfStock("All of today's pieces are gone; there are more tomorrow.")


def check_redeemable(reward: Reward, redeemed_already: int, redeemer: Redeemer) -> None:
    """Whether somebody may have one of a reward that is to be had (`check_to_be_had`), whose household has had so many
    within its period. Raises NotEligible, HouseholdLimitReached.
    """
    if reward.audience not in audiences_of(redeemer):
        raise NotEligible
    if reward.household_limit is not None and redeemed_already >= reward.household_limit:
        raise HouseholdLimitReached


def period_start(period: LimitPeriod, at: datetime) -> datetime | None:
    """When the period began in which a household's coupons count together; None for all of time."""
    day = day_of(at)
    match period:
        case LimitPeriod.EVER:
            return None
        case LimitPeriod.DAY:
            first = day
        case LimitPeriod.WEEK:
            first = day - timedelta(days=day.weekday())
        case LimitPeriod.MONTH:
            first = day.replace(day=1)
        case LimitPeriod.YEAR:
            first = date(day.year, 1, 1)
    return datetime.combine(first, time(), BEIJING).astimezone(UTC)


def takes(
    honoured: Mapping[tuple[UUID, UUID], Collection[str]], reward_id: UUID, merchant_id: UUID, store_id: str
) -> bool:
    """Whether a merchant takes a reward's coupons in this store, by what `queries.honoured` has found."""
    stores = honoured.get((reward_id, merchant_id))
    return stores is not None and (not stores or store_id in stores)
