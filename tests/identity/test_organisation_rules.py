"""Where organisations may stand, without a database."""

from uuid import uuid4

import pytest

from services.identity.organisations import rules
from services.identity.organisations.errors import OrganisationFixed, OrganisationMisplaced, PostElsewhere
from services.identity.organisations.tables import Organisation
from services.identity.organisations.terms import NewPost
from services.identity.terms import Level, OrganisationKind, Role


def organisation(kind: OrganisationKind, level: Level) -> Organisation:
    return Organisation(id=uuid4(), name="北苑", kind=kind, level=level, parent_id=None, remit=[])


DISTRICT = organisation(OrganisationKind.DISTRICT, Level.DISTRICT)
OFFICE = organisation(OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT)
SECTION = organisation(OrganisationKind.SECTION, Level.SUBDISTRICT)
COMMUNITY = organisation(OrganisationKind.COMMUNITY, Level.COMMUNITY)


@pytest.mark.parametrize(
    ("kind", "level", "parent"),
    [
        (OrganisationKind.DISTRICT, Level.DISTRICT, None),
        (OrganisationKind.DEPARTMENT, Level.DISTRICT, DISTRICT),
        (OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT, DISTRICT),
        (OrganisationKind.SECTION, Level.SUBDISTRICT, OFFICE),
        (OrganisationKind.COMMUNITY, Level.COMMUNITY, OFFICE),
        (OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY, COMMUNITY),
        (OrganisationKind.MERCHANT, Level.COMMUNITY, OFFICE),
        (OrganisationKind.SOCIAL_ORGANISATION, Level.SUBDISTRICT, OFFICE),
    ],
)
def test_the_four_levels_can_be_recorded(kind: OrganisationKind, level: Level, parent: Organisation | None) -> None:
    rules.check_place(kind, level, parent)


@pytest.mark.parametrize(
    ("kind", "level", "parent"),
    [
        (OrganisationKind.PROPERTY_COMPANY, Level.COMMUNITY, OFFICE),
        (OrganisationKind.COMMUNITY, Level.COMMUNITY, COMMUNITY),
        (OrganisationKind.SECTION, Level.SUBDISTRICT, SECTION),
        (OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT, OFFICE),
        (OrganisationKind.DISTRICT, Level.DISTRICT, OFFICE),
        (OrganisationKind.DISTRICT, Level.DISTRICT, DISTRICT),
    ],
)
def test_no_organisation_stands_at_a_wrong_level_or_under_its_equal(
    kind: OrganisationKind, level: Level, parent: Organisation
) -> None:
    with pytest.raises(OrganisationMisplaced):
        rules.check_place(kind, level, parent)


def test_a_community_never_turns_into_a_property_company() -> None:
    with pytest.raises(OrganisationFixed):
        rules.check_same_nature(COMMUNITY, OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY)
    rules.check_same_nature(COMMUNITY, OrganisationKind.COMMUNITY, Level.COMMUNITY)


def test_a_remit_is_told_in_one_order() -> None:
    assert rules.remit_of(["sanitation", "heating", "sanitation"]) == ["heating", "sanitation"]


def test_nobody_holds_posts_in_two_organisations() -> None:
    person = uuid4()
    handler, patrol = (NewPost(person, OFFICE.id, role) for role in (Role.HANDLER, Role.PATROL))
    elsewhere = NewPost(person, SECTION.id, Role.HANDLER)
    rules.check_one_organisation([handler, patrol], {person: OFFICE.id})
    rules.check_one_organisation([handler, NewPost(uuid4(), SECTION.id, Role.HANDLER)], {})
    for posts, present in (([elsewhere], {person: OFFICE.id}), ([handler, elsewhere], {})):
        with pytest.raises(PostElsewhere):
            rules.check_one_organisation(posts, present)
