"""Guardians' consents: who may give and withdraw them, and what is told and kept of it."""

import asyncio
from datetime import UTC, datetime

from chassis.core.ids import new_id
from services.identity.guardianship import rules
from services.identity.guardianship.tables import Consent
from tests.identity.families import ACTIVITIES, RECORD, Someone, Street


def wanted(child: str) -> dict[str, str]:
    return {"child_id": child, "purpose": "activities", "text_version": ACTIVITIES}


async def a_family(street: Street) -> tuple[Someone, Someone, str, str]:
    """A mother, a grandmother who is no guardian, a child, and the household's id."""
    mother, grandmother = await street.couple()
    return mother, grandmother, await mother.add_child(), await mother.household_id()


async def test_anybody_can_read_what_guardians_consent_to(street: Street) -> None:
    items = (await street.identity.get("/consent-texts")).json()["items"]
    assert {item["purpose"]: item["version"] for item in items} == {"child_record": RECORD, "activities": ACTIVITIES}
    assert all("同意书" in item["text"] for item in items)


async def test_a_guardians_consent_is_shown_and_told_as_given(street: Street) -> None:
    mother, _, child, household = await a_family(street)
    answer = await mother.call("POST", "/consents", wanted(child))
    assert answer.status_code == 201
    given = answer.json()
    assert given == wanted(child) | {
        "id": given["id"],
        "given_at": given["given_at"],
        "given_by": mother.id,
        "withdrawn_at": None,
        "withdrawn_by": None,
    }
    shown = (await mother.member(child))["consents"]
    assert [consent["purpose"] for consent in shown] == ["child_record", "activities"]
    assert shown[1] == {
        "id": given["id"],
        "purpose": "activities",
        "text_version": ACTIVITIES,
        "given_at": given["given_at"],
    }
    assert (await street.flags(household))[child] == (True, True)


async def test_a_consent_that_is_in_force_is_not_given_twice(street: Street) -> None:
    mother, _, child, household = await a_family(street)
    first = await mother.consent(child)
    told = await street.told(household)
    assert await mother.consent(child) == first
    assert await street.told(household) == told


async def test_a_guardians_consent_is_not_given_by_the_child_nor_by_a_grandmother(street: Street) -> None:
    mother, grandmother, child, _ = await a_family(street)
    impostor = await street.someone("赵小宝")  # the child, with an account of its own, in its mother's household
    await mother.take_in(impostor)
    for nobody in (grandmother, impostor, street.signed_in(child)):
        assert await nobody.refused("POST", "/consents", wanted(child)) == (403, "not_guardian")
        guardians = f"/household/children/{child}/guardians"
        assert await nobody.refused("POST", guardians, {"person_id": nobody.id}) == (403, "not_guardian")
    consent = await mother.consent(child)
    for nobody in (grandmother, impostor, street.signed_in(child)):
        assert await nobody.refused("POST", f"/consents/{consent}/withdraw") == (403, "not_guardian")


async def test_a_child_decides_nothing_for_the_family(street: Street) -> None:
    mother, _, child_id, _ = await a_family(street)
    child, code = street.signed_in(child_id), await (await street.someone()).invite()
    for path, body in (
        ("/household/invitations", None),
        ("/household/leave", None),
        ("/household/join", {"code": code}),
        ("/household/children", {"name": "赵小二", "birth_date": "2020-02-02", "text_version": RECORD}),
        ("/me/delete", {"confirm": True}),
    ):
        assert await child.refused("POST", path, body) == (403, "not_an_adult"), path
    assert child_id in await mother.member_ids()


async def test_nobody_consents_for_a_child_of_another_household(street: Street) -> None:
    mother, _, child, _ = await a_family(street)
    consent, stranger = await mother.consent(child), await street.someone()
    await stranger.add_child()
    assert await stranger.refused("POST", "/consents", wanted(child)) == (404, "child_not_found")
    assert await stranger.refused("POST", "/consents", wanted(str(new_id()))) == (404, "child_not_found")
    for consent_id in (consent, str(new_id())):
        assert await stranger.refused("POST", f"/consents/{consent_id}/withdraw") == (404, "consent_not_found")


async def test_only_the_text_in_force_can_be_consented_to(street: Street) -> None:
    mother, _, child, _ = await a_family(street)
    answer = await mother.call("POST", "/consents", wanted(child) | {"text_version": "1999-01"})
    assert (answer.status_code, answer.json()["code"]) == (422, "consent_text_outdated")
    assert [error["name"] for error in answer.json()["errors"]] == ["body.text_version"]


async def test_a_consent_to_an_older_text_stands_until_the_new_one_is_consented_to(street: Street) -> None:
    mother, _, child, household = await a_family(street)
    old = await mother.consent(child)
    async with street.identity.db.transaction() as session:
        (await session.get_one(Consent, old)).text_version = "2020-01"
    assert (await street.flags(household))[child] == (True, True)
    told = len(await street.told(household))
    new = await mother.consent(child)
    assert new != old
    assert await street.rows("SELECT ended_because FROM consent WHERE id = :id", id=old) == [("renewed",)]
    assert len(await street.told(household)) == told


async def test_any_guardian_withdraws_and_the_history_is_kept(street: Street) -> None:
    mother, father, child, household = await a_family(street)
    consent = await mother.consent(child)
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    answer = await father.call("POST", f"/consents/{consent}/withdraw")
    assert answer.status_code == 200
    withdrawn = answer.json()
    assert (withdrawn["given_by"], withdrawn["withdrawn_by"]) == (mother.id, father.id)
    assert withdrawn["withdrawn_at"] >= withdrawn["given_at"]
    assert (await street.flags(household))[child] == (True, False)
    before = await street.everything()
    for guardian in (father, mother):
        assert await guardian.done("POST", f"/consents/{consent}/withdraw", {}) == withdrawn
    assert await street.everything() == before
    again = await mother.consent(child)
    assert again != consent
    assert (await street.flags(household))[child] == (True, True)
    assert len(await street.rows("SELECT 1 FROM consent WHERE child_id = :id", id=child)) == 3


async def test_without_the_consent_to_its_record_a_child_is_erased(street: Street) -> None:
    mother, _, child, household = await a_family(street)
    record = (await mother.member(child))["consents"][0]["id"]
    withdrawn = await mother.done("POST", f"/consents/{record}/withdraw")
    assert withdrawn["withdrawn_by"] == mother.id
    assert child not in await street.flags(household)
    assert await street.rows("SELECT name_sealed, birth_sealed FROM person WHERE id = :id", id=child) == [(None, None)]
    assert await mother.done("POST", f"/consents/{record}/withdraw") == withdrawn


async def test_of_ten_who_consent_at_once_there_is_one_consent(street: Street) -> None:
    mother, _, child, household = await a_family(street)
    told = len(await street.told(household))
    ids = await asyncio.gather(*(mother.consent(child) for _ in range(10)))
    assert len(set(ids)) == 1
    assert len(await street.told(household)) == told + 1


async def test_a_consent_given_and_withdrawn_at_once_is_told_as_it_ends(street: Street) -> None:
    mother, father, child, household = await a_family(street)
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    consent = await mother.consent(child)
    for _ in range(6):
        withdrawals = [who.done("POST", f"/consents/{consent}/withdraw") for who in (mother, father, mother)]
        *_, given = await asyncio.gather(*withdrawals, father.consent(child))
        living = await street.rows(
            "SELECT id::text FROM consent WHERE child_id = :id AND purpose = 'activities' AND ended_at IS NULL",
            id=child,
        )
        assert len(living) <= 1
        assert (await street.flags(household))[child] == (True, bool(living))
        consent = living[0][0] if living else given


def test_the_first_end_of_a_consent_stays() -> None:
    consent = Consent(ended_at=None)
    first, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    rules.end(consent, rules.WITHDRAWN, first, by=None)
    rules.end(consent, rules.FOURTEEN, later, by=new_id())
    assert (consent.ended_at, consent.ended_by, consent.ended_because) == (first, None, "withdrawn")
