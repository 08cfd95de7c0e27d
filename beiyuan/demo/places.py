"""The demo town's places, each with a QR code: estates 小区 and what is in them, lanes 背街小巷, public rooms."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.organisations import COMMUNITIES, COMPANIES, Organisation
from services.orders.terms import PlaceKind


@dataclass(frozen=True, slots=True)
class Place:
    """A place. Its name says the whole of where it is, and is its stable key."""

    name: str
    kind: PlaceKind
    community: Organisation
    company: Organisation | None = None
    parent: "Place | None" = None

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("place", self.name)

    @property
    def qr_code(self) -> str:
        """What its poster carries."""
        return names.qr_code(self.name)


@dataclass(frozen=True, slots=True)
class _Estate:
    """`company` None: nobody manages it, and the community takes over 兜底."""

    name: str
    company: str | None
    buildings: int
    entrances: int
    lifts: bool = False


_ESTATES = {
    "huaianli": (_Estate("槐安里南区", "linhe", 4, 2, lifts=True), _Estate("槐安里北区", "linhe", 3, 3)),
    "chenluli": (_Estate("晨露里小区", "linhe", 3, 3), _Estate("晨露公寓", "qingyan", 1, 2, lifts=True)),
    "xingyuyuan": (_Estate("杏雨园一区", "linhe", 3, 3), _Estate("杏雨园二区", "shenan", 3, 3)),
    "wangheli": (_Estate("望禾里小区", None, 3, 3),),
    "shutianli": (_Estate("书田里东区", "huaixu", 2, 4), _Estate("书田里西区", None, 2, 3)),
    "chengbowan": (_Estate("澄波湾家园", "linhe", 3, 2, lifts=True),),
    "yunshanli": (_Estate("云杉里小区", "qingyan", 4, 3), _Estate("云杉里后院", None, 1, 2)),
    "jinsuiyuan": (_Estate("金穗园小区", "huaixu", 3, 3), _Estate("金穗园老院", None, 1, 3)),
    "zhuyingli": (_Estate("竹影里小区", "shiguang", 3, 3),),
    "xingqiaoli": (
        _Estate("星桥里一区", "shiguang", 2, 3),
        _Estate("星桥里二区", "shiguang", 2, 3),
        _Estate("星桥里三区", "xiaoman", 2, 2, lifts=True),
    ),
    "tangliyuan": (_Estate("棠梨园小区", "xiaoman", 4, 3),),
    "qingyanli": (_Estate("青砚里小区", "wangshu", 3, 3), _Estate("青砚公寓", "wangshu", 1, 2, lifts=True)),
    "liudiwan": (_Estate("柳笛湾家园", "wangshu", 3, 2, lifts=True), _Estate("柳笛湾北院", None, 1, 2)),
}

_LANES = ("东巷", "西巷", "后巷")
_TWO_LANES = ("wangheli", "chengbowan", "zhuyingli", "tangliyuan")
"""Communities with two back lanes; the others have three: 35 in all, as many as the subdistrict patrols."""


def _places() -> Iterator[Place]:
    for key, community in COMMUNITIES.items():
        for estate in _ESTATES[key]:
            yield from _of_estate(estate, community)
        home = community.name.removesuffix("社区")
        for lane in _LANES[: 2 if key in _TWO_LANES else 3]:
            yield Place(f"{home}{lane}", PlaceKind.LANE, community)
        yield Place(f"{community.name}议事厅", PlaceKind.ROOM, community)


def _of_estate(plan: _Estate, community: Organisation) -> Iterator[Place]:
    company = COMPANIES[plan.company] if plan.company else None
    estate = Place(plan.name, PlaceKind.ESTATE, community, company)
    yield estate
    for building_number in range(1, plan.buildings + 1):
        building = Place(f"{plan.name}{building_number}号楼", PlaceKind.BUILDING, community, company, estate)
        yield building
        for entrance_number in range(1, plan.entrances + 1):
            name = f"{building.name}{entrance_number}单元"
            entrance = Place(name, PlaceKind.ENTRANCE, community, company, building)
            yield entrance
            if plan.lifts:
                yield Place(f"{name}电梯", PlaceKind.LIFT, community, company, entrance)


PLACES = {place.name: place for place in _places()}
"""By name; a parent comes before what is in it."""
