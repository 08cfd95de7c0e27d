"""What happened in the demo town: reports, and what was done about each, one after another.

Every state that an order can be in occurs, and every reason for which one closes. What is still open was reported so
lately that none of its deadlines has passed, whenever the town is loaded.
"""

from dataclasses import dataclass
from typing import Literal

from beiyuan.demo.moments import Moment, minutes_ago, working_day

Act = Literal[
    "claim", "release", "meet", "meet by phone", "start", "resolve", "settle", "withdraw", "call", "answer", "review"
]
Answer = Literal["satisfied", "fairly", "dissatisfied", "not reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something done about an order.

    `words`: the note or the reason. `handler`: which of the unit's handlers, counted from the last. `answer`: what the
    resident said to a call-back agent, or through the private link. `drawn`: the answer is to be checked by phone.
    """

    at: Moment
    act: Act
    words: str = ""
    handler: int = 1
    answer: Answer = "satisfied"
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """A report and what was done about it. `key` is its stable name.

    `reporter` is the key of a person who is signed in; "phone:…" reports by QR code with that person's phone; a plain
    name is that of somebody from outside the town; None leaves no contact. `on_behalf_of`: whom staff enter it for.
    `unrouted`: it comes while the subdistrict's superior is not known, so that no unit is found.
    """

    key: str
    place: str
    subitem: str
    words: str
    at: Moment
    reporter: str | None
    steps: tuple[Step, ...] = ()
    on_behalf_of: str | None = None
    photo: bool = False
    unrouted: bool = False


_WAITING = (
    Story(
        "registration", "望禾里小区", "H0401", "2003年入住至今，不动产证一直办不下来，开发商已注销，不知该找哪个部门。",
        minutes_ago(45), "望禾里住户", unrouted=True,
    ),
    Story(
        "dark-stairs", "槐安里北区2号楼1单元", "P0202", "三层到五层楼道灯都不亮，晚上老人上下楼很不安全。",
        minutes_ago(25), "phone:family-40/adult-1", photo=True,
    ),
    Story(
        "lift-button", "澄波湾家园1号楼1单元电梯", "P0105", "电梯里七层的按键按不动，要先坐到八层再走下来。",
        minutes_ago(38), "family-06/adult-2",
    ),
    Story(
        "no-cleaner", "望禾里小区1号楼2单元", "P0301", "没有物业，楼道两周没人打扫了，二层有垃圾。",
        minutes_ago(50), "family-04/adult-1",
    ),
    Story(
        "slow-repairs", "竹影里小区", "P0601", "报修门禁一周了，打了三次电话都说已登记，没有人来看。",
        minutes_ago(33), "竹影里住户",
    ),
    Story(
        "roof-shed", "青砚里小区2号楼", "P0505", "顶层住户在楼顶搭了铁皮房，担心漏水也担心不安全。",
        minutes_ago(60), "family-12/adult-1",
    ),
    Story(
        "old-houses", "云杉里后院1号楼", "H0508", "平房墙体有裂缝，想了解危旧楼房改建有没有计划。",
        minutes_ago(70), "云杉里住户",
    ),
    Story(
        "lane-rubbish", "槐安里后巷", "Z0101", "巡查发现巷口堆放旧家具三件，占用步行空间。",
        minutes_ago(15), "huaianli/patrol/1", photo=True,
    ),
    Story(
        "withdrawn-parking", "星桥里一区", "P0401", "有车停在单元门口，挡住出入。",
        working_day(1, "17:40"), "family-10/adult-2",
        (Step(working_day(1, "18:05"), "withdraw", "车主已经把车开走了，谢谢。"),),
    ),
    Story(
        "withdrawn-noise", "柳笛湾家园2号楼", "P0507", "楼上装修，中午也在打孔。",
        working_day(2, "12:20"), "柳笛湾住户",
        (Step(working_day(2, "13:10"), "withdraw", "已和邻居说好，中午不再施工。"),),
    ),
)  # fmt: skip

_AT_WORK = (
    Story(
        "blocked-drain", "槐安里南区3号楼", "H0106", "一层下水道返味，厨房排水很慢，怀疑总管堵了。",
        minutes_ago(90), "family-14/adult-2", (Step(minutes_ago(72), "claim"),), photo=True,
    ),
    Story(
        "street-lamps", "晨露里小区", "P0206", "东门进来的三盏路灯不亮。",
        minutes_ago(95), "晨露里住户", (Step(minutes_ago(80), "claim", handler=2),),
    ),
    Story(
        "stored-things", "书田里西区1号楼1单元", "P0503", "一楼楼梯下堆了纸箱和旧自行车，有火灾隐患。",
        minutes_ago(110), "shutianli/organiser+social_worker/1", (Step(minutes_ago(100), "claim"),),
        on_behalf_of="family-05/adult-1",
    ),
    Story(
        "hole-in-road", "晨露公寓", "P0204", "小区主路有个坑，下雨就积水，电动车容易摔。",
        working_day(1, "09:20"), "family-15/adult-1",
        (
            Step(working_day(1, "10:05"), "claim"),
            Step(working_day(1, "14:30"), "meet", "现场查看，坑长约一米，已围挡。"),
        ),
    ),
    Story(
        "door-bell", "星桥里二区1号楼2单元", "P0203", "对讲按了没有声音，快递都要打电话。",
        working_day(1, "10:40"), "星桥里住户",
        (
            Step(working_day(1, "11:00"), "claim", handler=2),
            Step(working_day(1, "15:10"), "meet by phone", "住户白天上班，约定晚上七点后上门。", handler=2),
        ),
    ),
    Story(
        "garden", "金穗园小区", "P0307", "三号楼前的树枝伸到窗户上了，请修剪。",
        working_day(2, "08:50"), "family-08/adult-1",
        (
            Step(working_day(2, "09:30"), "claim"),
            Step(working_day(2, "16:00"), "meet", "与住户一起看过，确定修剪范围。"),
            Step(working_day(1, "09:00"), "start"),
        ),
    ),
    Story(
        "charging", "棠梨园小区", "P0407", "充电桩只有八个位置，晚上回来都排不上。",
        working_day(3, "19:10"), "棠梨园住户",
        (
            Step(working_day(2, "09:10"), "claim", handler=2),
            Step(working_day(2, "15:00"), "start", "多位居民反映同一问题，先实地清点车位。", handler=2),
        ),
    ),
    Story(
        "leaking-roof", "杏雨园二区2号楼", "H0109", "楼道窗户关不严，下雨往里潲水，修过一次还是漏。",
        working_day(5, "09:15"), "family-16/adult-1",
        (
            Step(working_day(5, "09:50"), "claim"),
            Step(working_day(5, "14:00"), "meet", "现场查看窗框变形。"),
            Step(working_day(4, "09:00"), "start"),
            Step(working_day(4, "16:30"), "resolve", "更换密封条两扇。"),
            Step(working_day(3, "10:20"), "call", answer="dissatisfied"),
        ),
    ),
)  # fmt: skip

_RESOLVED = (
    Story(
        "gate", "槐安里北区1号楼2单元", "P0201", "单元门关不上，闭门器坏了。",
        working_day(2, "11:30"), "family-01/adult-2",
        (
            Step(working_day(2, "12:10"), "claim", handler=2),
            Step(working_day(2, "15:00"), "meet", "现场确认闭门器漏油。", handler=2),
            Step(working_day(1, "15:40"), "resolve", "更换闭门器，试关二十次正常。", handler=2),
        ),
        photo=True,
    ),
    Story(
        "posters", "青砚公寓1号楼1单元", "P0305", "门厅贴满了小广告。",
        working_day(2, "13:20"), "青砚公寓住户",
        (
            Step(working_day(2, "14:00"), "claim"),
            Step(working_day(2, "14:40"), "start", "公共区域清理，无需与住户见面。"),
            Step(working_day(2, "17:10"), "resolve", "已清理并粉刷，墙面干净。"),
            Step(working_day(1, "17:00"), "call", answer="not reached"),
        ),
    ),
    Story(
        "rats", "金穗园老院1号楼", "P0306", "垃圾桶旁边晚上有老鼠。",
        working_day(3, "08:40"), "金穗园住户",
        (
            Step(working_day(3, "09:00"), "claim"),
            Step(working_day(3, "10:30"), "meet", "现场查看鼠洞两处。"),
            Step(working_day(2, "09:00"), "start"),
            Step(working_day(1, "11:00"), "resolve", "封堵鼠洞，设毒饵站三处，一周后复查。"),
            Step(working_day(1, "18:20"), "answer", drawn=True),
        ),
    ),
    Story(
        "settled-dog", "书田里东区1号楼", "P0508", "有人遛狗不拴绳，孩子害怕。",
        working_day(2, "18:00"), "family-05/adult-2",
        (
            Step(working_day(1, "09:00"), "claim", handler=2),
            Step(working_day(1, "12:10"), "settle"),
        ),
    ),
    Story(
        "parking-review", "星桥里三区", "P0402", "车位太少，晚上八点后根本停不进来，希望增加车位。",
        working_day(8, "09:05"), "family-23/adult-1",
        (
            Step(working_day(8, "09:40"), "claim"),
            Step(working_day(8, "15:00"), "meet", "到小区清点车位，与住户面谈。"),
            Step(working_day(7, "09:00"), "start"),
            Step(working_day(6, "16:00"), "resolve", "协调周边商场夜间错时停车三十个。"),
            Step(working_day(5, "10:00"), "call", answer="dissatisfied"),
            Step(working_day(4, "15:00"), "resolve", "错时车位增至四十个，发放停车指引。"),
            Step(working_day(3, "10:30"), "call", answer="dissatisfied"),
            Step(working_day(2, "16:00"), "resolve", "已列入下一年度改造需求，说明原因与时间。"),
            Step(working_day(1, "09:50"), "call", answer="dissatisfied"),
        ),
    ),
)  # fmt: skip

_CLOSED = (
    Story(
        "trapped", "槐安里南区1号楼1单元电梯", "P0101", "电梯停在五楼和六楼之间，里面有一位老人和一个孩子。",
        working_day(3, "19:20"), "family-40/adult-2",
        (
            Step(working_day(3, "19:23"), "claim"),
            Step(working_day(3, "19:32"), "meet", "到场安抚被困人员，通知维保单位。"),
            Step(working_day(3, "19:58"), "resolve", "人员安全救出，电梯停用检修。"),
            Step(working_day(2, "09:10"), "call"),
        ),
    ),
    Story(
        "rubbish", "晨露里小区", "P0302", "垃圾两天没有清运，味道很大。",
        working_day(4, "08:35"), "family-02/adult-1",
        (
            Step(working_day(4, "08:50"), "claim"),
            Step(working_day(4, "09:30"), "meet", "现场查看，清运车辆故障所致。"),
            Step(working_day(4, "11:40"), "resolve", "调派备用车辆清运完毕。"),
            Step(working_day(4, "18:30"), "answer"),
        ),
        photo=True,
    ),
    Story(
        "benches", "竹影里东巷", "Z0101", "巷子里的长椅坏了一条木板，老人坐着不稳。",
        working_day(5, "10:10"), "family-09/adult-1",
        (
            Step(working_day(5, "14:50"), "claim"),
            Step(working_day(5, "16:00"), "meet", "现场测量尺寸。"),
            Step(working_day(4, "09:00"), "start"),
            Step(working_day(3, "10:00"), "resolve", "更换木板两条并刷漆。"),
            Step(working_day(2, "10:30"), "call"),
        ),
    ),
    Story(
        "handed-over", "青砚里小区1号楼3单元", "P0202", "门口的感应灯白天亮晚上不亮。",
        working_day(4, "09:00"), "青砚里住户",
        (
            Step(working_day(4, "09:20"), "claim"),
            Step(working_day(4, "10:00"), "release", "今日外出培训，转由同事承办。"),
            Step(working_day(4, "10:15"), "claim", handler=2),
            Step(working_day(4, "11:00"), "meet", "现场测试传感器。", handler=2),
            Step(working_day(4, "14:20"), "resolve", "更换光控开关。", handler=2),
            Step(working_day(3, "09:30"), "call"),
        ),
    ),
    Story(
        "warm", "柳笛湾家园1号楼", "H0302", "次卧暖气上半截不热。",
        working_day(5, "08:45"), "family-13/adult-1",
        (
            Step(working_day(5, "09:10"), "claim"),
            Step(working_day(5, "10:40"), "meet", "入户测温，排气。"),
            Step(working_day(5, "17:00"), "resolve", "更换排气阀，测温二十一度。"),
            Step(working_day(4, "10:00"), "call", answer="fairly"),
        ),
    ),
    Story(
        "no-contact", "云杉里小区2号楼1单元", "P0301", "三楼转角有一滩油渍，容易滑倒。",
        working_day(3, "10:00"), None,
        (
            Step(working_day(3, "10:20"), "claim"),
            Step(working_day(3, "10:40"), "start", "未留联系方式，直接到现场处理。"),
            Step(working_day(3, "11:15"), "resolve", "已清洗并放置防滑垫。"),
            Step(working_day(3, "20:00"), "answer"),
        ),
    ),
    Story(
        "silent", "澄波湾家园2号楼2单元", "P0208", "二层楼梯扶手松动。",
        working_day(6, "09:30"), "澄波湾住户",
        (
            Step(working_day(6, "10:00"), "claim", handler=3),
            Step(working_day(6, "14:30"), "meet by phone", "住户不在家，电话确认位置。", handler=3),
            Step(working_day(5, "15:00"), "resolve", "扶手重新固定。", handler=3),
            Step(working_day(4, "09:40"), "call", answer="not reached"),
            Step(working_day(3, "15:20"), "call", answer="not reached"),
            Step(working_day(2, "11:10"), "call", answer="not reached"),
        ),
    ),
    Story(
        "lift-wish", "金穗园小区1号楼", "H0502", "一楼邻居不同意加装电梯，希望社区再协调。",
        working_day(9, "09:00"), "family-21/adult-1",
        (
            Step(working_day(9, "09:35"), "claim"),
            Step(working_day(9, "15:00"), "meet", "与申请住户面谈，了解分歧。"),
            Step(working_day(8, "09:00"), "start"),
            Step(working_day(7, "16:00"), "resolve", "召开第一次协商会，一层住户提出采光顾虑。"),
            Step(working_day(6, "10:00"), "call", answer="dissatisfied"),
            Step(working_day(5, "16:00"), "resolve", "请设计单位出具采光分析，再次协商。"),
            Step(working_day(4, "10:00"), "call", answer="dissatisfied"),
            Step(working_day(3, "15:30"), "resolve", "三方会议达成暂缓意见，明年再议。"),
            Step(working_day(2, "10:00"), "call", answer="dissatisfied"),
            Step(working_day(1, "14:00"), "review", "程序完整，分歧属业主自治事项，如实办结。"),
        ),
    ),
)  # fmt: skip

STORIES = {story.key: story for story in (*_WAITING, *_AT_WORK, *_RESOLVED, *_CLOSED)}
