"""The demo town's activities: of all eight categories, past and to come, and who signed up for them.

What is past has been settled, so that every family with children holds points; what is to come lies ahead whenever the
town is loaded.
"""

from dataclasses import dataclass
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.moments import Moment, minutes_ahead, on_day
from beiyuan.demo.people import HOUSEHOLDS, STAFF, Employee, Household, Person
from services.events.terms import ActivityState, Category


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity. `key` is its stable name; it is brought to `state` by `organiser`, a key of the staff.

    `families` sign up in this order, each with its `party`. Where the activity took place they scanned in and out, but
    that those of `absent` never came, and those of `not_out` forgot to scan when they left. `on_paper`: nobody scanned,
    the organiser kept a list. Whose hours no scans tell were there for `minutes`, as the organiser found for `reason`.
    """

    key: str
    title: str
    category: Category
    organiser: str
    place: str
    description: str
    capacity: int
    starts: Moment
    ends: Moment
    state: ActivityState
    families: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    not_out: tuple[str, ...] = ()
    on_paper: bool = False
    minutes: int = 0
    reason: str = ""

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("activity", self.key)

    @property
    def organised_by(self) -> Employee:
        return STAFF[self.organiser]

    @property
    def households(self) -> tuple[Household, ...]:
        """Who signs up, in this order."""
        return tuple(HOUSEHOLDS[key] for key in self.families)


def party(household: Household) -> tuple[Person, ...]:
    """Whom a household brings: one adult, and the children if they may."""
    return (household.adults[0], *(household.children if household.consented else ()))


def _families(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"family-{number:02d}" for number in range(first, last + 1))


_PAST = (
    Activity(
        "stairs", "楼道清洁日", Category.VOLUNTEERING, "volunteers/organiser/1", "槐安里北区",
        "一起清理楼道小广告和堆物，工具由志愿服务队准备。",
        60, on_day(-24, "09:00"), on_day(-24, "11:00"), ActivityState.SETTLED, _families(1, 16),
        absent=("family-16",), not_out=("family-09",), minutes=90,
        reason="离开时手机没电，现场登记册上有签名。",
    ),
    Activity(
        "old-things", "旧物新生回收日", Category.ENVIRONMENT, "volunteers/organiser/1", "星桥里一区广场",
        "旧衣、旧书、废电池分类回收，孩子负责登记和称重。",
        60, on_day(-17, "14:00"), on_day(-17, "16:30"), ActivityState.SETTLED,
        _families(16, 30), on_paper=True, minutes=150, reason="户外没有信号，按现场登记册补录。",
    ),
    Activity(
        "dumplings", "给独居老人送饺子", Category.ELDER_CARE, "social-work/organiser/1", "暖檐社工站",
        "上午包饺子，中午分组送到老人家里，陪老人聊一聊。",
        50, on_day(-10, "09:30"), on_day(-10, "12:00"), ActivityState.SETTLED,
        (*_families(31, 40), "alone-01", "alone-02", "alone-03"), absent=("alone-03",),
        on_paper=True, minutes=120, reason="送餐到各家后分头结束，按带队社工的登记补录。",
    ),
    Activity(
        "fire-drill", "灭火器和疏散演练", Category.SAFETY_EDUCATION, "volunteers/organiser/2",
        "槐安里社区议事厅", "学用灭火器，从楼里演练疏散一次。",
        20, on_day(-5, "19:00"), on_day(-5, "20:00"), ActivityState.SETTLED,
        ("family-01", "family-14", "family-27", "family-33", "family-40"),
    ),
    Activity(
        "paper-cutting", "老手艺剪纸课", Category.CULTURAL_HERITAGE, "shutianli/organiser+social_worker/1",
        "书田里社区议事厅", "跟社区里的剪纸老人学窗花，作品布置楼道。",
        12, on_day(-1, "10:00"), on_day(-1, "11:30"), ActivityState.ENDED,
        ("family-05", "family-18", "family-31"), not_out=("family-18",),
    ),
    Activity(
        "tug-of-war", "小区拔河赛", Category.SPORTS_HEALTH, "tangliyuan/organiser+social_worker/1", "棠梨园小区广场",
        "以楼为队，孩子做啦啦队。",
        80, on_day(-3, "15:00"), on_day(-3, "17:00"), ActivityState.CANCELLED,
        reason="预报有大风，安全起见取消，改期另行通知。",
    ),
)  # fmt: skip

_TO_COME = (
    Activity(
        "evening-walk", "邻里健步走", Category.SPORTS_HEALTH, "chengbowan/organiser+social_worker/1", "澄波湾家园南门",
        "沿河走三公里，顺路捡拾垃圾，走完量一次血压。",
        40, minutes_ahead(20), minutes_ahead(110), ActivityState.OPEN, ("family-06", "family-19", "family-32"),
    ),
    Activity(
        "little-bakers", "小小面包师", Category.CAREER_EXPERIENCE, "social-work/organiser/2", "麦垛面包房槐安里总店",
        "和面包师傅一起揉面、整形、烤一炉小面包。",
        6, on_day(6, "14:00"), on_day(6, "16:00"), ActivityState.OPEN,
        ("family-02", "family-04", "family-07", "family-09", "family-12"),
    ),
    Activity(
        "lanterns", "做一盏纸灯笼", Category.CULTURAL_HERITAGE, "wangheli/organiser+social_worker/1", "望禾里议事厅",
        "竹篾扎骨，宣纸糊面，每家带走一盏。",
        5, on_day(8, "18:30"), on_day(8, "20:00"), ActivityState.OPEN, ("family-30", "family-01"),
    ),
    Activity(
        "weekend-sweep", "背街小巷大扫除", Category.VOLUNTEERING, "volunteers/organiser/1", "槐安里后巷",
        "清理小巷杂物和小广告，给长椅刷漆。",
        30, on_day(5, "09:00"), on_day(5, "11:00"), ActivityState.OPEN, ("family-10",),
    ),
    Activity(
        "visits", "陪爷爷奶奶用手机", Category.ELDER_CARE, "social-work/organiser/1", "暖檐社工站",
        "一对一教老人挂号、缴费、视频通话，谨防诈骗。",
        20, on_day(4, "09:30"), on_day(4, "11:30"), ActivityState.OPEN, ("family-35",),
    ),
    Activity(
        "bird-walk", "身边的鸟", Category.COMMUNITY_LEARNING, "yunshanli/organiser+social_worker/1", "云杉里小区花园",
        "跟着观鸟老师认识十种常见的鸟，学用望远镜。",
        24, on_day(9, "08:00"), on_day(9, "10:00"), ActivityState.OPEN,
    ),
    Activity(
        "stream", "河岸清洁行动", Category.ENVIRONMENT, "liudiwan/organiser+social_worker/1", "柳笛湾家园北侧河岸",
        "沿岸捡拾垃圾并分类，记录水质。",
        20, on_day(2, "09:00"), on_day(2, "11:00"), ActivityState.CLOSED, ("family-13", "family-26"),
    ),
    Activity(
        "fire-station", "走进消防站", Category.SAFETY_EDUCATION, "volunteers/organiser/2", "北苑消防救援站",
        "看消防车和装备，试穿战斗服。",
        30, on_day(12, "14:00"), on_day(12, "16:00"), ActivityState.PUBLISHED,
    ),
    Activity(
        "courier-day", "快递员的一天", Category.CAREER_EXPERIENCE, "xingqiaoli/organiser+social_worker/1", "星桥里驿站",
        "跟快递员学分拣和派送，为他们写一张感谢卡。",
        12, on_day(15, "09:00"), on_day(15, "11:00"), ActivityState.DRAFT,
    ),
    Activity(
        "history-walk", "老街寻访", Category.COMMUNITY_LEARNING, "volunteers/organiser/1", "杏雨园东巷",
        "请老住户讲院子的来历，孩子画一张地图。",
        16, on_day(16, "14:00"), on_day(16, "16:00"), ActivityState.DRAFT,
    ),
)  # fmt: skip

ACTIVITIES = {activity.key: activity for activity in (*_PAST, *_TO_COME)}
"""By key, such as `stairs`."""
