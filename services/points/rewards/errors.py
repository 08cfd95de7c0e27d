"""What is refused about rewards."""

from chassis.core.errors import Conflict, NotFound


class RewardNotFound(NotFound):
    code = "reward_not_found"
    title, title_zh = "There is no such reward", "没有这个兑换项目"


class RewardNotOffered(Conflict):
    """It is not on offer yet, or no longer."""

    code = "reward_not_offered"
    title, title_zh = "This reward is not on offer now", "该项目当前不可兑换"


class OutOfStock(Conflict):
    code = "out_of_stock"
    title, title_zh = "Nothing is left of this reward", "已兑完"


class HouseholdLimitReached(Conflict):
    """The household has had as many of this reward as one household may have."""

    code = "household_limit_reached"
    title, title_zh = "Your household has had its share of this reward", "已达到每户兑换上限"
