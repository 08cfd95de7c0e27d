"""The demo town's rewards 回馈: what civic points buy, and who honours it."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.merchants import MERCHANTS, Merchant

Kind = Literal["goods", "service", "place", "honour"]
Period = Literal["ever", "day", "week", "month", "year"]
Audience = Literal["everyone", "families", "families_with_children"]


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward. `key` is its stable name; money in fen; `limit`: how many a household may have, None for any number.

    `face_fen` is what the coupon is worth to the family, `payable_fen` what the merchant is paid for it. `limit` counts
    within `period`; `a_day` is how many there are each day; `refund`: unused, its points come back.
    """

    key: str
    title: str
    description: str
    kind: Kind
    cost: int
    stock: int
    limit: int | None
    face_fen: int
    payable_fen: int
    honoured_by: tuple[str, ...]
    valid_days: int = 60
    period: Period = "ever"
    a_day: int | None = None
    audience: Audience = "everyone"
    refund: bool = False

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("reward", self.key)

    @property
    def merchants(self) -> tuple[Merchant, ...]:
        return tuple(MERCHANTS[key] for key in self.honoured_by)


_REWARDS = (
    Reward(
        "small-voucher", "邻里小礼券三元", "六家参与商家都可用，不找零。",
        "goods", 12, 2000, None, 300, 270, ("bakery", "books", "barber", "greengrocer", "bicycles", "sports-hall"),
    ),
    Reward(
        "roll", "全麦小面包一个", "当日现烤，凭券到店领取。",
        "goods", 15, 500, None, 600, 480, ("bakery",),
    ),
    Reward(
        "vegetables", "时令青菜两斤", "当天到货的青菜任选一种。",
        "goods", 20, 300, 2, 800, 640, ("greengrocer",), period="month", a_day=20, refund=True,
    ),
    Reward(
        "cake-lesson", "亲子烘焙课一次", "周六上午，一名儿童由一名大人陪同，材料已含。",
        "service", 24, 5, 1, 3000, 2000, ("bakery",), audience="families_with_children", refund=True,
    ),
    Reward(
        "bicycle-check", "自行车检修一次", "刹车、链条、胎压检查，换件另计。",
        "service", 36, 120, 2, 2000, 1500, ("bicycles",),
    ),
    Reward(
        "neighbours-voucher", "邻里通用券十元", "任一参与商家可用，不找零。",
        "goods", 40, 400, 10, 1000, 900, ("bakery", "books", "barber", "greengrocer", "bicycles", "sports-hall"),
    ),
    Reward(
        "reading-tea", "读书茶点一份", "书屋的一壶茶，或面包房的一份点心。",
        "goods", 48, 100, 4, 1800, 1400, ("books", "bakery"),
    ),
    Reward(
        "haircut", "理发一次", "成人或儿童剪发，无需预约。",
        "service", 60, 150, 4, 3000, 2400, ("barber",),
    ),
    Reward(
        "home-haircut", "老人上门理发一次", "为行动不便的老人上门理发，请提前一天约时间。",
        "service", 72, 40, 2, 4500, 4000, ("barber",), 90,
    ),
    Reward(
        "court", "羽毛球场地一小时", "工作日白天，球拍可借。",
        "service", 96, 80, 4, 5000, 3500, ("sports-hall",),
    ),
    Reward(
        "picture-books", "绘本借阅季卡", "三个月内每次可借三本。",
        "service", 120, 60, 1, 6000, 4000, ("books",), 30,
    ),
    Reward(
        "harvest-box", "丰收果蔬箱", "应季蔬菜水果约十斤，可送到小区门口。",
        "goods", 240, 24, 1, 9800, 8000, ("greengrocer",),
    ),
    Reward(
        "paper-cutting", "剪纸小课堂名额", "周日上午，一家两人，纸和剪刀已备好，凭券入场。",
        "place", 60, 16, 1, 4000, 3000, ("books",), period="month", audience="families", refund=True,
    ),
    Reward(
        "badge", "志愿家庭徽章", "刻有家庭姓氏的搪瓷徽章，在书屋领取。",
        "honour", 150, 100, 1, 0, 0, ("books",), 180,
    ),
    Reward(
        "plaque", "年度志愿家庭铭牌", "家庭名字列入北苑志愿墙一年，在书屋领取同款铭牌。",
        "honour", 480, 10, 1, 0, 0, ("books",), 180,
    ),
)  # fmt: skip

REWARDS = {reward.key: reward for reward in _REWARDS}
"""By key, such as `small-voucher`, which is the cheapest and honoured by every merchant."""
