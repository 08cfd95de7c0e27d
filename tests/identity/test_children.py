"""Children and their guardians: who may add, see, rename and remove a child, and what is left of it afterwards."""

from datetime import date, datetime, time, timedelta
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.identity.guardianship import actions as guardianship
from services.identity.guardianship.jobs import jobs, let_come_of_age
from services.identity.guardianship.terms import ChildCare
from services.identity.people.actions import record_person
from services.identity.people.rules import is_under_fourteen
from services.identity.terms import ConsentPurpose
from tests.identity.families import ACTIVITIES, RECORD, Someone, Street, years_ago

CHILDREN = "/household/children"


async def test_whoever_adds_a_child_is_its_guardian_and_consents_to_its_record(street: Street) -> None:
    mother = await street.someone()
    body = {"name": " 赵小宝 ", "birth_date": years_ago(8), "text_version": RECORD}
    answer = await mother.call("POST", CHILDREN, body)
    assert answer.status_code == 201
    child = answer.json()
    consent = child["consents"][0]
    assert child == {
        "id": child["id"],
        "name": "赵小宝",
        "child": True,
        "birth_date": years_ago(8),
        "guardian_ids": [mother.id],
        "consents": [
            {
                "id": consent["id"],
                "purpose": "child_record",
                "text_version": RECORD,
                "given_at": consent["given_at"],
            }
        ],
    }
    assert await mother.member(child["id"]) == child
    assert await street.flags(await mother.household_id()) == {mother.id: (False, False), child["id"]: (True, False)}


async def test_a_childs_birthday_is_shown_to_its_guardians_alone(street: Street) -> None:
    mother, father = await street.couple()
    child = await mother.add_child()
    seen = await father.member(child)
    assert (seen["name"], seen["birth_date"], seen["guardian_ids"]) == ("赵小宝", None, [mother.id])
    assert (await mother.member(child))["birth_date"] == years_ago(8)
    await mother.done("POST", f"{CHILDREN}/{child}/guardians", {"person_id": father.id})
    assert (await father.member(child))["birth_date"] == years_ago(8)


async def test_whoever_is_no_guardian_does_not_find_out_a_childs_birthday_by_trying_to_add_it(street: Street) -> None:
    mother, guest = await street.couple()
    await mother.add_child("赵小宝", years_ago(8))
    for birth in (years_ago(8), years_ago(9)):
        body = {"name": "赵小宝", "birth_date": birth, "text_version": RECORD}
        assert await guest.refused("POST", CHILDREN, body) == (409, "child_already_there")


@pytest.mark.parametrize(
    ("birth", "accepted"),
    [("2012-11-23", False), ("2012-11-24", True), ("2026-11-23", True), ("2026-11-24", False), ("1900-01-01", False)],
)
async def test_a_child_is_under_fourteen_by_the_day_in_beijing(street: Street, birth: str, accepted: bool) -> None:
    mother = await street.someone()
    body = {"name": "赵小宝", "birth_date": birth, "text_version": RECORD}
    for hour in (0, 23):
        with clock.frozen(datetime(2026, 11, 23, hour, 30, tzinfo=BEIJING)):
            answer = await mother.call("POST", CHILDREN, body | {"name": f"赵{hour}"})
        assert answer.status_code == (201 if accepted else 422), answer.text
        if not accepted:
            assert answer.json()["code"] == "birth_date_invalid"
            assert [error["name"] for error in answer.json()["errors"]] == ["body.birth_date"]


def test_who_was_born_on_a_leap_day_is_fourteen_on_the_first_of_march() -> None:
    assert is_under_fourteen(date(2012, 2, 29), date(2026, 2, 28))
    assert not is_under_fourteen(date(2012, 2, 29), date(2026, 3, 1))


async def test_a_guardian_consents_to_the_text_in_force_and_no_other(street: Street) -> None:
    mother = await street.someone()
    for version in ("1999-01", ""):
        body = {"name": "赵小宝", "birth_date": years_ago(8), "text_version": version}
        answer = await mother.call("POST", CHILDREN, body)
        assert answer.status_code == 422
        assert [error["name"] for error in answer.json()["errors"]] == ["body.text_version"]
    assert await mother.member_ids() == {mother.id}


async def test_a_household_has_ten_children_at_most_and_each_of_them_once(street: Street) -> None:
    mother, father = await street.couple()
    for number in range(10):
        await mother.add_child(f"赵小{number}")
    one_more = {"name": "赵小宝", "birth_date": years_ago(8), "text_version": RECORD}
    assert await father.refused("POST", CHILDREN, one_more) == (409, "too_many_children")
    first = next(who["id"] for who in (await mother.household())["members"] if who["name"] == "赵小0")
    await mother.done("DELETE", f"{CHILDREN}/{first}")
    again = one_more | {"name": "赵小1"}
    assert await father.refused("POST", CHILDREN, again) == (409, "child_already_there")
    await father.done("POST", CHILDREN, one_more)


async def test_a_guardian_corrects_a_childs_name_and_nobody_else_does(street: Street) -> None:
    mother, grandmother = await street.couple()
    stranger = await street.someone()
    child = await mother.add_child()
    path, body = f"{CHILDREN}/{child}", {"name": "赵大宝"}
    assert await grandmother.refused("PATCH", path, body) == (403, "not_guardian")
    assert await stranger.refused("PATCH", path, body) == (404, "child_not_found")
    assert await mother.refused("PATCH", f"{CHILDREN}/{new_id()}", body) == (404, "child_not_found")
    assert await mother.refused("PATCH", f"{CHILDREN}/{mother.id}", body) == (403, "not_guardian")
    assert (await mother.done("PATCH", path, body))["name"] == "赵大宝"
    assert (await grandmother.member(child))["name"] == "赵大宝"


async def test_a_child_that_a_guardian_removes_is_erased_and_what_was_consented_to_is_still_known(
    street: Street,
) -> None:
    mother, grandmother = await street.couple()
    child = await mother.add_child()
    await mother.consent(child)
    path = f"{CHILDREN}/{child}"
    assert await grandmother.refused("DELETE", path) == (403, "not_guardian")
    assert await (await street.someone()).refused("DELETE", path) == (404, "child_not_found")
    await mother.done("DELETE", path)
    assert child not in await mother.member_ids()
    assert child not in await street.flags(await mother.household_id())
    assert await street.rows("SELECT state, child, name_sealed, birth_sealed FROM person WHERE id = :id", id=child) == [
        ("deleted", False, None, None)
    ]
    kept = await street.rows(
        "SELECT purpose, given_by::text, ended_by::text, ended_because FROM consent WHERE child_id = :id ORDER BY id",
        id=child,
    )
    assert kept == [(purpose, mother.id, mother.id, "withdrawn") for purpose in ("child_record", "activities")]
    assert await mother.refused("DELETE", path) == (404, "child_not_found")


async def test_a_guardian_names_another_adult_of_the_household_and_nobody_else(street: Street) -> None:
    mother, father = await street.couple()
    stranger = await street.someone()
    child, sibling = await mother.add_child("赵一"), await mother.add_child("赵二")
    path = f"{CHILDREN}/{child}/guardians"
    for nobody in (stranger.id, sibling, child, str(new_id())):
        answer = await mother.call("POST", path, {"person_id": nobody})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_an_adult_member")
        assert [error["name"] for error in answer.json()["errors"]] == ["body.person_id"]
    assert await father.refused("POST", path, {"person_id": father.id}) == (403, "not_guardian")
    assert await stranger.refused("POST", path, {"person_id": stranger.id}) == (404, "child_not_found")
    for _ in range(2):
        named = await mother.done("POST", path, {"person_id": father.id})
        assert named["guardian_ids"] == sorted([mother.id, father.id])
    assert (await father.done("PATCH", f"{CHILDREN}/{child}", {"name": "赵三"}))["name"] == "赵三"


async def test_a_child_has_six_guardians_at_most(street: Street) -> None:
    mother = await street.someone()
    adults = [await street.someone() for _ in range(6)]
    await mother.take_in(*adults)
    path = f"{CHILDREN}/{await mother.add_child()}/guardians"
    for adult in adults[:5]:
        await mother.done("POST", path, {"person_id": adult.id})
    assert await mother.refused("POST", path, {"person_id": adults[5].id}) == (409, "too_many_guardians")


async def come_of_age(street: Street, today: date) -> None:
    with clock.frozen(datetime(today.year, today.month, today.day, 0, 10, tzinfo=BEIJING)):
        await let_come_of_age(street.identity.runtime, today, batch=1)


async def a_child_of_thirteen(street: Street) -> tuple[Someone, str, date]:
    """A guardian, the child, and its fourteenth birthday."""
    mother = await street.someone()
    birthday = clock.today() + timedelta(days=3)
    if (birthday.month, birthday.day) == (2, 29):
        birthday += timedelta(days=1)
    child = await mother.add_child(birth_date=birthday.replace(year=birthday.year - 14).isoformat())
    return mother, child, birthday


async def test_a_child_turns_fourteen_on_its_birthday_and_stays_in_the_family(street: Street) -> None:
    mother, child, birthday = await a_child_of_thirteen(street)
    younger = await mother.add_child("赵小小")
    consents = [await mother.consent(child), await mother.consent(younger)]
    household = await mother.household_id()
    await come_of_age(street, birthday - timedelta(days=1))
    assert (await street.flags(household))[child] == (True, True)
    told = len(await street.told(household))
    for _ in range(2):
        await come_of_age(street, birthday)
        assert len(await street.told(household)) == told + 1
    assert await street.flags(household) == {
        mother.id: (False, False),
        child: (False, False),
        younger: (True, True),
    }
    grown = await mother.member(child)
    assert (grown["child"], grown["birth_date"], grown["consents"]) == (False, None, [])
    assert (grown["name"], grown["guardian_ids"]) == ("赵小宝", [mother.id])
    assert await street.rows("SELECT birth_sealed FROM person WHERE id = :id", id=child) == [(None,)]
    ended = await street.rows("SELECT ended_by, ended_because FROM consent WHERE id = :id", id=consents[0])
    assert ended == [(None, "fourteen")]
    body = {"child_id": child, "purpose": "activities", "text_version": ACTIVITIES}
    assert await mother.refused("POST", "/consents", body) == (409, "no_consent_needed")


async def test_somebody_of_fourteen_without_a_phone_is_not_left_behind_alone(street: Street) -> None:
    mother, child, birthday = await a_child_of_thirteen(street)
    await come_of_age(street, birthday)
    assert await mother.refused("POST", "/household/leave") == (409, "last_adult")
    assert await mother.refused("POST", "/me/delete", {"confirm": True}) == (409, "children_would_be_erased")
    neighbour = await street.someone()
    await neighbour.take_in(mother)
    assert await neighbour.member_ids() == {neighbour.id, mother.id, child}
    await mother.done("DELETE", f"{CHILDREN}/{child}")
    assert await neighbour.member_ids() == {neighbour.id, mother.id}


async def test_a_recorded_child_of_no_household_turns_fourteen_too(street: Street) -> None:
    identity, today = street.identity, clock.today()
    child = new_id()
    async with identity.db.transaction() as session:
        born = date.fromisoformat(years_ago(13))
        await record_person(session, identity.vault, child, name="赵小宝", child=True, birth_date=born)
    assert [job.cron for job in jobs.declared] == ["10 16 * * *"]  # ten past midnight in Beijing
    with clock.frozen(datetime.combine(today + timedelta(days=400), time(0, 10), BEIJING)):
        await jobs.declared[0].function(identity.runtime)
    assert await street.rows("SELECT child, birth_sealed FROM person WHERE id = :id", id=str(child)) == [(False, None)]


async def test_recording_guardians_and_consents_again_changes_nothing_even_after_they_ended(street: Street) -> None:
    mother, father = await street.couple()
    child = await mother.add_child()
    household = await mother.household_id()

    async def record() -> None:
        async with street.identity.db.transaction() as session:
            care = ChildCare((UUID(father.id),), {ConsentPurpose.ACTIVITIES: UUID(father.id)})
            await guardianship.record_care(session, UUID(household), {UUID(child): care})

    for _ in range(2):
        await record()
    seen = await mother.member(child)
    assert seen["guardian_ids"] == sorted([mother.id, father.id])
    assert [consent["purpose"] for consent in seen["consents"]] == ["child_record", "activities"]
    assert (await street.flags(household))[child] == (True, True)
    await mother.done("POST", f"/consents/{seen['consents'][1]['id']}/withdraw")
    await record()
    assert (await street.flags(household))[child] == (True, False)
    await mother.done("DELETE", f"{CHILDREN}/{child}")
    await record()
    assert child not in await mother.member_ids()
