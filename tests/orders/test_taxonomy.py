"""The taxonomy: what can be reported, and what a QR page offers first."""

import pytest

from services.orders.intake.taxonomy import LIKELY, load
from services.orders.terms import Level, PlaceKind


def test_the_taxonomy_has_the_shape_that_was_asked_for() -> None:
    data = load().data
    items = [item for category in data.categories for item in category.items]
    assert (len(data.categories), len(items), sum(len(item.subitems) for item in items)) == (2, 11, 96)


def test_what_the_categories_do_not_cover_can_be_reported_all_the_same() -> None:
    assert load().find("Z0199") is not None
    assert load().item_codes["Z0199"] == "Z01"


def test_a_lift_with_somebody_in_it_is_urgent_and_the_property_companys() -> None:
    trapped = load().subitems["P0101"]
    assert (trapped.urgent, trapped.sla_hours, trapped.level1_owner) == (True, 2, Level.PROPERTY)


def test_no_complaint_about_a_property_company_starts_with_it() -> None:
    accusing = [subitem for subitem in load().subitems.values() if subitem.accused]
    assert len(accusing) == 9
    assert all(subitem.level1_owner is not Level.PROPERTY for subitem in accusing)


@pytest.mark.parametrize("kind", PlaceKind)
def test_every_kind_of_place_offers_sub_items_that_exist(kind: PlaceKind) -> None:
    codes = LIKELY[kind]
    assert len(codes) == len(set(codes)) >= 4
    assert all(load().find(code) for code in codes)


def test_a_version_that_never_was_is_not_taken_for_another() -> None:
    with pytest.raises(FileNotFoundError):
        load("example-2")
