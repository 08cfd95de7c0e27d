"""Routing: every report reaches a unit that may handle it, and never the company that it is about."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.intake.taxonomy import load
from services.orders.places.rules import route
from services.orders.places.tables import Place, Unit
from services.orders.terms import Level, PlaceKind


def unit(number: int, kind: str, level: Level, parent: "Unit | None" = None, remit: tuple[str, ...] = ()) -> Unit:
    return Unit(
        id=UUID(int=number),
        name=f"{kind} {number}",
        kind=kind,
        level=level,
        parent_id=parent and parent.id,
        remit=[*remit],
    )


DISTRICT = unit(1, "district", Level.DISTRICT)
HOUSING = unit(2, "department", Level.DISTRICT, DISTRICT, ("H04",))
SUBDISTRICT = unit(3, "subdistrict", Level.SUBDISTRICT, DISTRICT)
REPAIRS = unit(4, "section", Level.SUBDISTRICT, SUBDISTRICT, ("H01", "H05"))
ALSO_REPAIRS = unit(5, "section", Level.SUBDISTRICT, SUBDISTRICT, ("H01",))
CLUB = unit(6, "social_organisation", Level.SUBDISTRICT, SUBDISTRICT, ("P04",))
COMMUNITY = unit(7, "community", Level.COMMUNITY, SUBDISTRICT)
COMPANY = unit(8, "property_company", Level.PROPERTY, COMMUNITY)
UNITS = [DISTRICT, HOUSING, SUBDISTRICT, REPAIRS, ALSO_REPAIRS, CLUB, COMMUNITY, COMPANY]


def place(company: Unit | None = COMPANY) -> Place:
    return Place(
        id=UUID(int=99),
        kind=PlaceKind.BUILDING,
        name="3号楼",
        community_id=COMMUNITY.id,
        property_id=company and company.id,
    )


def routed(
    code: str, *, where: Place | None = None, units: list[Unit] = UNITS, subdistrict: Unit | None = SUBDISTRICT
) -> tuple[Level, Unit | None]:
    taxonomy = load()
    subitem = taxonomy.subitems[code]
    to = route(
        where or place(),
        subitem.level1_owner,
        taxonomy.item_codes[code],
        accused=subitem.accused is not None,
        units=units,
        subdistrict=subdistrict,
    )
    return to.level, to.unit


@pytest.mark.parametrize(
    ("code", "level", "to"),
    [
        ("H0101", Level.PROPERTY, COMPANY),  # a leaking roof
        ("P0303", Level.COMMUNITY, COMMUNITY),
        ("H0105", Level.SUBDISTRICT, REPAIRS),  # a cracked wall: the section for item H01, the one recorded first
        ("P0402", Level.SUBDISTRICT, SUBDISTRICT),  # no section answers for P04, and a club does not count
        ("H0401", Level.DISTRICT, HOUSING),
        ("H0508", Level.DISTRICT, DISTRICT),
        ("P0602", Level.COMMUNITY, COMMUNITY),  # about the company
        ("P0605", Level.SUBDISTRICT, SUBDISTRICT),  # about the company
    ],
)
def test_a_report_goes_to_its_first_owner(code: str, level: Level, to: Unit) -> None:
    assert routed(code) == (level, to)


def test_where_there_is_no_company_the_community_takes_over() -> None:
    assert routed("H0101", where=place(company=None)) == (Level.COMMUNITY, COMMUNITY)


def test_a_complaint_that_would_fall_to_the_company_it_is_about_goes_to_the_community() -> None:
    to = route(place(), Level.PROPERTY, "P06", accused=True, units=UNITS, subdistrict=SUBDISTRICT)
    assert (to.level, to.unit) == (Level.COMMUNITY, COMMUNITY)


def test_a_report_that_finds_no_unit_waits_for_a_dispatcher() -> None:
    assert routed("H0105", subdistrict=None) == (Level.SUBDISTRICT, None)
    orphan = unit(3, "subdistrict", Level.SUBDISTRICT)
    assert routed("H0401", units=[orphan, COMMUNITY], subdistrict=orphan) == (Level.DISTRICT, None)


@given(st.sampled_from(sorted(load().subitems)), st.sets(st.sampled_from(range(len(UNITS)))))
def test_whatever_is_known_of_the_units_the_accused_never_gets_the_complaint(code: str, known: set[int]) -> None:
    level, to = routed(code, units=[UNITS[index] for index in sorted(known)])
    assert to is None or to.level is level
    assert to is None or to is not CLUB
    if load().subitems[code].accused:
        assert to is not COMPANY
