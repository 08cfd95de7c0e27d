"""People and households: who is who, who belongs together, and who may ask."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.core.client import CallRefused, ServiceClient
from chassis.core.ids import new_id
from chassis.core.keys import read_signing_key, read_trusted
from chassis.core.tokens import ServiceTokens
from services.identity.people import actions
from services.identity.people.errors import ChildWithPhone, InAnotherHousehold, PersonNotFound, PhoneTaken
from services.identity.people.terms import PersonRecord
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION
from services.identity.terms import Level, OrganisationKind, Role
from tests.identity.service import OTHER_PHONE, PHONE, Identity


async def test_a_new_resident_reads_the_privacy_notice_first_and_the_code_stays_good(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    for notice in ({}, {"privacy_notice": None}, {"privacy_notice": "1999-01"}):
        refused = await identity.post("/tokens", {"phone": PHONE, "code": code, **notice})
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, "privacy_notice_required")
        assert problem["errors"][0]["name"] == "body.privacy_notice"
        assert PRIVACY_NOTICE_VERSION in problem["errors"][0]["reason"]
        assert "/api/identity/privacy-notice" in refused.headers["Link"]
    notice = (await identity.get("/privacy-notice")).json()
    assert "隐私" in notice["text"]
    accepted = {"phone": PHONE, "code": code, "privacy_notice": notice["version"]}
    assert (await identity.post("/tokens", accepted)).status_code == 200


async def test_a_new_resident_has_a_household_of_one_and_can_say_their_name(identity: Identity) -> None:
    body = {"phone": PHONE, "code": await identity.code_for(PHONE), "privacy_notice": PRIVACY_NOTICE_VERSION}
    tokens = (await identity.post("/tokens", body | {"name": " 王小明😀 "})).json()
    me = (await identity.get("/me", token=tokens["access_token"])).json()
    assert (me["name"], me["roles"], me["organisation"]) == ("王小明😀", ["resident"], None)
    assert [(who["id"], who["name"], who["child"]) for who in me["household"]["members"]] == [
        (me["id"], "王小明😀", False)
    ]


async def test_a_new_resident_who_says_no_name_can_still_be_addressed(identity: Identity) -> None:
    tokens = await identity.sign_in()
    assert (await identity.get("/me", token=tokens["access_token"])).json()["name"] == "居民0001"


async def test_whoever_comes_back_is_the_same_person_and_need_not_accept_again(identity: Identity) -> None:
    first = await identity.actor_of((await identity.sign_in())["access_token"])
    again = await identity.post("/tokens", {"phone": PHONE, "code": await identity.code_for(PHONE), "name": "别人"})
    actor = await identity.actor_of(again.json()["access_token"])
    assert (actor.id, actor.household_id) == (first.id, first.household_id)
    me = (await identity.get("/me", token=again.json()["access_token"])).json()
    assert me["name"] == "居民0001"


async def test_an_acceptance_is_kept_with_its_version(identity: Identity) -> None:
    for _ in range(2):
        await identity.sign_in()
    async with identity.db.transaction() as session:
        kept = await session.scalars(text("SELECT version FROM privacy_acceptance"))
        assert kept.all() == [PRIVACY_NOTICE_VERSION]


async def test_two_who_register_one_phone_at_once_are_one_person(identity: Identity) -> None:
    async def register() -> UUID:
        async with identity.db.transaction() as session:
            return (await actions.register_resident(session, identity.vault, phone=PHONE, name=None)).id

    assert len(set(await asyncio.gather(*(register() for _ in range(8))))) == 1
    async with identity.db.transaction() as session:
        counts = await session.execute(text("SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM household)"))
        assert counts.one() == (1, 1)


async def test_a_family_sees_its_own_members_by_name_and_no_one_else(identity: Identity) -> None:
    father, child = await identity.record_person("赵建国", PHONE), await identity.record_person("赵小宝", child=True)
    household = await identity.record_household(father, child)
    await identity.record_household(await identity.record_person("钱多多", OTHER_PHONE))
    me = (await identity.get("/me", token=(await identity.sign_in())["access_token"])).json()
    nothing: dict[str, Any] = {"birth_date": None, "guardian_ids": [], "consents": []}
    assert me["household"] == {
        "id": str(household),
        "members": [
            {"id": str(father), "name": "赵建国", "child": False} | nothing,
            {"id": str(child), "name": "赵小宝", "child": True} | nothing,
        ],
        "invitations": [],
    }


async def test_staff_see_where_they_work_and_have_no_household_unless_they_live_here(identity: Identity) -> None:
    office = await identity.record_organisation("北苑街道", OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT)
    person = await identity.record_person("孙督办", PHONE)
    await identity.give_post(person, office, Role.SUPERVISOR)
    token = (await identity.sign_in())["access_token"]
    me = (await identity.get("/me", token=token)).json()
    assert me == {
        "id": str(person),
        "name": "孙督办",
        "roles": ["supervisor"],
        "organisation": {"id": str(office), "name": "北苑街道", "level": "subdistrict"},
        "household": None,
    }
    household = await identity.record_household(person)
    me = (await identity.get("/me", token=token)).json()
    assert (me["roles"], me["household"]["id"]) == (["resident", "supervisor"], str(household))


async def test_a_person_recorded_twice_is_there_once_as_last_recorded(identity: Identity) -> None:
    person = await identity.record_person("周一", PHONE)
    await identity.record_person("周一", PHONE, person_id=person)
    await identity.record_person("周二", OTHER_PHONE, person_id=person)
    actor = await identity.actor_of((await identity.sign_in(OTHER_PHONE))["access_token"])
    assert actor.id == person
    assert (await identity.get("/me", token=(await identity.sign_in(OTHER_PHONE))["access_token"])).json()[
        "name"
    ] == "周二"


async def test_a_phone_belongs_to_one_person_and_never_to_a_child(identity: Identity) -> None:
    await identity.record_person("周一", PHONE)
    with pytest.raises(PhoneTaken):
        await identity.record_person("周二", PHONE)
    with pytest.raises(ChildWithPhone):
        await identity.record_person("周小三", OTHER_PHONE, child=True)


async def test_people_recorded_together_share_no_phone_and_are_recorded_all_or_none(identity: Identity) -> None:
    async with identity.db.transaction() as session:
        with pytest.raises(PhoneTaken):
            await actions.record_people(
                session,
                identity.vault,
                [PersonRecord(new_id(), "周一", PHONE), PersonRecord(new_id(), "周二", PHONE)],
            )
        assert await session.scalar(text("SELECT count(*) FROM person")) == 0


async def test_nobody_belongs_to_two_households(identity: Identity) -> None:
    person = await identity.record_person("周一", PHONE)
    household = await identity.record_household(person)
    await identity.record_household(person, household_id=household)
    with pytest.raises(InAnotherHousehold):
        await identity.record_household(person)
    with pytest.raises(PersonNotFound):
        await identity.record_household(new_id())


def service_client(identity: Identity, name: str) -> ServiceClient:
    folder = identity.town.keys_dir
    return ServiceClient(
        identity.town.directory, ServiceTokens(name, read_signing_key(folder, name), read_trusted(folder))
    )


async def test_orders_can_find_who_left_a_phone_number(identity: Identity) -> None:
    person = await identity.record_person("周一", PHONE)
    household = await identity.record_household(person)
    client = service_client(identity, "orders")
    known = await client.post("identity", "/internal/people/by-phone", {"phone": PHONE})
    unknown = await client.post("identity", "/internal/people/by-phone", {"phone": OTHER_PHONE})
    await client.aclose()
    assert known == {"person_id": str(person), "household_id": str(household)}
    assert unknown == {"person_id": None, "household_id": None}


@pytest.mark.parametrize("name", ["points", "gateway", "identity"])
async def test_no_other_service_can_find_people_by_phone(identity: Identity, name: str) -> None:
    client = service_client(identity, name)
    with pytest.raises(CallRefused) as refused:
        await client.post("identity", "/internal/people/by-phone", {"phone": PHONE})
    await client.aclose()
    assert refused.value.status == 403


async def test_no_person_can_find_people_by_phone(identity: Identity) -> None:
    token = (await identity.sign_in())["access_token"]
    async with identity.client() as client:
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            answer = await client.post("/internal/people/by-phone", json={"phone": PHONE}, headers=headers)
            assert answer.status_code == 401
