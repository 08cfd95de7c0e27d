"""What is refused about rewards."""

from chassis.core.errors import Conflict, Forbidden, Invalid, NotFound


class RewardNotFound(NotFound):
    code = "reward_not_found"
    title, title_zh = "There is no such reward", "没有这个兑换项目"


class RewardNotOffered(Conflict):
    """It is not on offer yet, or no longer."""

    code = "reward_not_offered"
    title, title_zh = "This reward is not on offer now", "该项目当前不可兑换"


class OutOfStock(Conflict):
    """Nothing is left, or nothing of today's; `detail` says which."""

    code = "out_of_stock"
    title, title_zh = "Nothing is left of this reward", "已兑完"


class HouseholdLimitReached(Conflict):
    """The household has had as many of this reward as one household may have."""

    code = "household_limit_reached"
    title, title_zh = "Your household has had its share of this reward", "已达到每户兑换上限"


class NotEligible(Forbidden):
    """It is for others: families, say, or couriers.

    Identity, or whoever keeps the roll, may tell otherwise the next moment: not to be remembered.
    """

    code = "not_eligible"
    title, title_zh = "This reward is for others", "您不在该项目的兑换范围内"

    @property
    def repeats(self) -> bool:
        return False


class RewardFaulty(Invalid):
    """It cannot be offered as it is; `fields` say where."""

    code = "reward_faulty"
    title, title_zh = "The reward cannot be offered as it is", "兑换项目填写有误"


class RewardStateWrong(Conflict):
    """What is asked for is not done in this state: a listed reward is not edited, an ended one not listed."""

    code = "reward_state_wrong"
    title, title_zh = "Not in the state that the reward is in", "该项目当前状态不允许此操作"


class RewardChanged(Conflict):
    """Somebody has changed it since it was read: nobody approves what they have not seen."""

    code = "reward_changed"
    title, title_zh = "The reward was changed meanwhile; read it again", "该项目已被修改，请重新查看"


class RewardPictureNotFound(NotFound):
    code = "reward_picture_not_found"
    title, title_zh = "There is no such picture", "没有这张图片"


class TooManyPictures(Conflict):
    code = "too_many_pictures"
    title, title_zh = "A reward has six pictures at most", "每个项目最多六张图片"
