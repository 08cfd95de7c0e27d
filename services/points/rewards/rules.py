"""What may be redeemed. Pure."""

from datetime import datetime

from services.points.rewards.errors import HouseholdLimitReached, OutOfStock, RewardNotOffered
from services.points.rewards.tables import Reward


def check_redeemable(reward: Reward, redeemed_already: int, at: datetime) -> None:
    """Whether a household that has had so many of a reward may have one more.

    Raises RewardNotOffered, HouseholdLimitReached, OutOfStock.
    """
    if not reward.starts_at <= at < reward.ends_at:
        raise RewardNotOffered
    if reward.household_limit is not None and redeemed_already >= reward.household_limit:
        raise HouseholdLimitReached
    if reward.stock <= 0:
        raise OutOfStock
