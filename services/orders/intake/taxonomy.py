"""The taxonomy of reports: categories, items and sub-items, as versioned data in `taxonomy/`.

`example-1` is our own example of the shape that the product was commissioned with (2 categories, 11 items, 96
sub-items); what those do not cover stands outside them under 其他.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.orders.terms import Level, PlaceKind

CURRENT = "example-1"
_FOLDER = Path(__file__).parent / "taxonomy"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SubItem(_Data):
    """One kind of fault or request. `sla_hours` is its limit; `accused` names who it complains about."""

    code: str
    name: str
    level1_owner: Level
    sla_hours: int = Field(gt=0, le=2000)
    urgent: bool
    accused: Literal["property"] | None


class Item(_Data):
    code: str
    name: str
    subitems: tuple[SubItem, ...]


class Category(_Data):
    code: str
    name: str
    items: tuple[Item, ...]


class TaxonomyData(_Data):
    """The file's own shape. `outside` is what the counted sub-items do not cover."""

    note: str
    version: str
    categories: tuple[Category, ...]
    outside: Category


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """A version of the taxonomy, with its sub-items by code."""

    data: TaxonomyData
    subitems: Mapping[str, SubItem]
    item_codes: Mapping[str, str]
    """Sub-item code → code of the item that it belongs to."""

    @property
    def version(self) -> str:
        return self.data.version

    def find(self, code: str) -> SubItem | None:
        """The sub-item with this code, if there is one."""
        return self.subitems.get(code)


@cache
def load(version: str = CURRENT) -> Taxonomy:
    """A version of the taxonomy. Raises FileNotFoundError for one that never was, ValueError for a code used twice."""
    data = TaxonomyData.model_validate_json((_FOLDER / f"{version}.json").read_bytes())
    if data.version != version:
        raise ValueError(f"{version}.json says that it is {data.version}")
    subitems: dict[str, SubItem] = {}
    item_codes: dict[str, str] = {}
    for item, subitem in _walk(data):
        if subitem.code in subitems:
            raise ValueError(f"sub-item {subitem.code} stands twice in {version}.json")
        subitems[subitem.code] = subitem
        item_codes[subitem.code] = item.code
    return Taxonomy(data, subitems, item_codes)


def _walk(data: TaxonomyData) -> Iterator[tuple[Item, SubItem]]:
    for category in (*data.categories, data.outside):
        for item in category.items:
            for subitem in item.subitems:
                yield item, subitem


LIKELY: Mapping[PlaceKind, tuple[str, ...]] = {
    PlaceKind.ESTATE: ("P0204", "P0206", "P0302", "P0401", "P0205", "P0407"),
    PlaceKind.BUILDING: ("H0101", "H0102", "H0106", "P0202", "P0301", "P0503"),
    PlaceKind.ENTRANCE: ("P0201", "P0202", "P0203", "P0301", "P0503", "P0408"),
    PlaceKind.LIFT: ("P0101", "P0102", "P0103", "P0104", "P0105", "P0108"),
    PlaceKind.LANE: ("Z0101", "P0205", "P0305", "P0401", "Z0102", "P0209"),
    PlaceKind.ROOM: ("P0207", "P0301", "P0502", "P0202", "Z0103", "Z0199"),
}
"""Sub-items offered first for each kind of place (our own choice), of version `example-1`."""


@dataclass(frozen=True, slots=True)
class EmergencyNumber:
    name: str
    phone: str


EMERGENCY_NUMBERS = (
    EmergencyNumber("火警、救援", "119"),
    EmergencyNumber("急救", "120"),
    EmergencyNumber("报警", "110"),
    EmergencyNumber("燃气抢修", "96777"),
)
"""Shown before anything else: a report is no substitute for a call when somebody is in danger. 96777 is Beijing Gas."""
