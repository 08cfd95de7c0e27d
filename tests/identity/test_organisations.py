"""Organisations and posts, and what the other services are told of them."""

from typing import Any

import pytest
from sqlalchemy import text

from chassis.core.ids import new_id
from services.identity.organisations.errors import OrganisationNotFound, PostElsewhere
from services.identity.people.errors import PersonNotFound
from services.identity.terms import Level, OrganisationKind, Role
from tests.identity.service import PHONE, Identity

COMMUNITY = (OrganisationKind.COMMUNITY, Level.COMMUNITY)
COMPANY = (OrganisationKind.PROPERTY_COMPANY, Level.PROPERTY)


async def told(identity: Identity) -> list[tuple[str, str, dict[str, Any]]]:
    """What was published: to whom, about what, and the data without its time."""
    async with identity.db.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT subscriber, message.aggregate, data - 'occurred_at' FROM message "
                "JOIN delivery ON message_sequence = sequence ORDER BY sequence"
            )
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def test_orders_are_told_of_an_organisation_and_of_every_change_once(identity: Identity) -> None:
    community = await identity.record_organisation("帅府社区", *COMMUNITY)
    company = await identity.record_organisation("和谐物业", *COMPANY, parent_id=community, remit=["lift", "heating"])
    recorded = {
        "id": str(company),
        "name": "和谐物业",
        "kind": "property_company",
        "level": "property",
        "parent_id": str(community),
        "remit": ["heating", "lift"],
    }
    assert (await told(identity))[1:] == [("orders", f"organisation/{company}", recorded)]
    more: dict[str, Any] = {"organisation_id": company, "parent_id": community}
    await identity.record_organisation("和谐物业", *COMPANY, remit=["lift", "heating", "lift"], **more)
    assert len(await told(identity)) == 2
    await identity.record_organisation("和谐物业", *COMPANY, remit=["lift"], **more)
    assert (await told(identity))[2][2] == recorded | {"remit": ["lift"]}


async def test_an_organisation_is_not_recorded_under_one_that_is_not_there(identity: Identity) -> None:
    with pytest.raises(OrganisationNotFound):
        await identity.record_organisation("和谐物业", *COMPANY, parent_id=new_id())
    assert await told(identity) == []


async def test_a_post_given_twice_is_held_once_and_never_in_two_places(identity: Identity) -> None:
    one, other = [await identity.record_organisation(name, *COMPANY) for name in ("甲物业", "乙物业")]
    person = await identity.record_person("李四", PHONE)
    for role in (Role.HANDLER, Role.HANDLER, Role.PATROL):
        await identity.give_post(person, one, role)
    with pytest.raises(PostElsewhere):
        await identity.give_post(person, other, Role.HANDLER)
    async with identity.db.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM post")) == 2


async def test_a_post_needs_a_person_and_an_organisation(identity: Identity) -> None:
    person = await identity.record_person("李四", PHONE)
    with pytest.raises(OrganisationNotFound):
        await identity.give_post(person, new_id(), Role.HANDLER)
    with pytest.raises(PersonNotFound):
        await identity.give_post(new_id(), new_id(), Role.HANDLER)
