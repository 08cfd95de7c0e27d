"""The demo town's organisations 单位: on the four levels 四级, and those beside them. Parents come before children."""

from dataclasses import dataclass
from uuid import UUID

from beiyuan.demo.names import stable_id
from services.identity.terms import Level, OrganisationKind


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation. `key` is its stable name; `remit` holds the codes of the taxonomy's items it answers for."""

    key: str
    name: str
    kind: OrganisationKind
    level: Level
    parent: "Organisation | None"
    remit: tuple[str, ...] = ()

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return stable_id("organisation", self.key)

    @property
    def parent_id(self) -> UUID | None:
        return self.parent.id if self.parent else None


DISTRICT = Organisation("district", "区人民政府", OrganisationKind.DISTRICT, Level.DISTRICT, None)
SUBDISTRICT = Organisation("subdistrict", "北苑街道办事处", OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT, DISTRICT)


def _department(key: str, name: str, *remit: str) -> Organisation:
    return Organisation(key, name, OrganisationKind.DEPARTMENT, Level.DISTRICT, DISTRICT, remit)


def _section(key: str, name: str, *remit: str) -> Organisation:
    return Organisation(key, name, OrganisationKind.SECTION, Level.SUBDISTRICT, SUBDISTRICT, remit)


def _community(key: str, name: str) -> Organisation:
    return Organisation(key, f"{name}社区", OrganisationKind.COMMUNITY, Level.COMMUNITY, SUBDISTRICT)


def _company(key: str, name: str) -> Organisation:
    return Organisation(key, f"{name}物业", OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY, SUBDISTRICT)


def _merchant(key: str, name: str, community: str) -> Organisation:
    return Organisation(key, name, OrganisationKind.MERCHANT, Level.PROPERTY, COMMUNITIES[community])


DEPARTMENTS = (
    _department("housing", "区住房城乡建设委", "H01", "H04", "H05"),
    _department("utilities", "区城市管理委", "H02", "H03", "P02", "P03", "Z01"),
    _department("market", "区市场监管局", "P01"),
    _department("traffic", "区交通局", "P04"),
    _department("fire", "区消防救援支队", "P05"),
    _department("civil", "区民政局", "P06"),
)

HOTLINE = _section("hotline", "接诉即办办公室", "Z01")
"""What no other section answers for is its; its staff dispatch, call back and supervise for the whole subdistrict."""

CITY_CARE = _section("city-care", "城市管理办公室", "P02", "P03", "P04")

SECTIONS = (
    HOTLINE,
    CITY_CARE,
    _section("safety", "平安建设办公室", "P05"),
    _section("communities", "社区建设办公室", "P06"),
    _section("livelihood", "民生保障办公室", "H03", "H04"),
    _section("renewal", "老旧小区改造办公室", "H01", "H05"),
    _section("facilities", "市政设施保障办公室", "H02", "P01"),
)

COMMUNITIES = {
    key: _community(key, name)
    for key, name in {
        "huaianli": "槐安里",
        "chenluli": "晨露里",
        "xingyuyuan": "杏雨园",
        "wangheli": "望禾里",
        "shutianli": "书田里",
        "chengbowan": "澄波湾",
        "yunshanli": "云杉里",
        "jinsuiyuan": "金穗园",
        "zhuyingli": "竹影里",
        "xingqiaoli": "星桥里",
        "tangliyuan": "棠梨园",
        "qingyanli": "青砚里",
        "liudiwan": "柳笛湾",
    }.items()
}

LARGEST_COMPANY = _company("linhe", "邻禾")
"""It has enough handlers to let fifty of them race for one order."""

COMPANIES = {
    company.key: company
    for company in (
        LARGEST_COMPANY,
        _company("qingyan", "青檐"),
        _company("huaixu", "槐序"),
        _company("shenan", "舍南"),
        _company("shiguang", "拾光里"),
        _company("xiaoman", "小满"),
        _company("wangshu", "望舒"),
    )
}

SOCIAL_ORGANISATIONS = (
    Organisation("volunteers", "禾苗志愿服务队", OrganisationKind.SOCIAL_ORGANISATION, Level.COMMUNITY, SUBDISTRICT),
    Organisation("social-work", "暖檐社工站", OrganisationKind.SOCIAL_ORGANISATION, Level.COMMUNITY, SUBDISTRICT),
)

MERCHANTS = {
    merchant.key: merchant
    for merchant in (
        _merchant("bakery", "麦垛面包房", "huaianli"),
        _merchant("books", "半亩书屋", "shutianli"),
        _merchant("barber", "一寸光理发", "wangheli"),
        _merchant("greengrocer", "晨摘菜铺", "jinsuiyuan"),
        _merchant("bicycles", "老轴修车行", "zhuyingli"),
        _merchant("sports-hall", "踏云运动馆", "yunshanli"),
    )
}

ORGANISATIONS = (
    DISTRICT,
    *DEPARTMENTS,
    SUBDISTRICT,
    *SECTIONS,
    *COMMUNITIES.values(),
    *COMPANIES.values(),
    *SOCIAL_ORGANISATIONS,
    *MERCHANTS.values(),
)
