"""Routing: which unit, at which level, receives a report. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.orders.places.tables import Place, Unit
from services.orders.terms import Level

HANDLING_KINDS = frozenset({"property_company", "community", "subdistrict", "section", "district", "department"})
"""The kinds of organisation, in the identity service's words, that handle orders."""

_SECTIONS = {"section", "department"}


@dataclass(frozen=True, slots=True)
class Route:
    """Who receives a report. Without a unit it waits for a dispatcher 待受理."""

    level: Level
    unit: Unit | None


def route(
    place: Place,
    owner: Level,
    item_code: str,
    *,
    accused: bool,
    units: Iterable[Unit],
    subdistrict: Unit | None,
) -> Route:
    """Route a sub-item by its first owner (`level1_owner`).

    property: the place's property company; where there is none, or the complaint is about it (`accused`), the
    community takes over 兜底. community: the place's community. subdistrict, district: the section 科室 or department
    whose remit holds the item, else the office itself. `units` are those known; `subdistrict` is the place's own.
    """
    known = {unit.id: unit for unit in units}
    if owner is Level.PROPERTY:
        company = known.get(place.property_id) if place.property_id else None
        if company is not None and not accused:
            return Route(Level.PROPERTY, company)
        owner = Level.COMMUNITY
    if owner is Level.COMMUNITY:
        return Route(Level.COMMUNITY, known.get(place.community_id))
    office = subdistrict
    if owner is Level.DISTRICT:
        office = known.get(subdistrict.parent_id) if subdistrict and subdistrict.parent_id else None
    return Route(owner, _section(office, item_code, known.values()))


def _section(office: Unit | None, item_code: str, units: Iterable[Unit]) -> Unit | None:
    """The office's section that answers for the item; if several do, the one recorded first; if none, the office."""
    if office is None:
        return None
    sections = [
        unit
        for unit in units
        if unit.parent_id == office.id
        and unit.kind in _SECTIONS
        and unit.level is office.level
        and item_code in unit.remit
    ]
    return min(sections, key=lambda unit: unit.id, default=office)
