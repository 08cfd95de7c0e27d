"""Deleting an account: what is personal is gone for good, and what others rely on stays."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.core.ids import new_id
from services.identity.organisations.errors import PostElsewhere
from services.identity.people.errors import PersonNotFound
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION
from services.identity.terms import Level, OrganisationKind, Role
from tests.identity.families import Someone, Street
from tests.identity.service import PHONE, Identity

CONFIRM = {"confirm": True}
ALL = {"confirm": True, "with_children": True}


async def delete(who: Someone, body: dict[str, Any] = CONFIRM) -> None:
    answer = await who.call("POST", "/me/delete", body)
    assert answer.status_code == 204, answer.text


async def test_whoever_deletes_their_account_leaves_no_name_no_phone_and_no_way_in(identity: Identity) -> None:
    tokens = await identity.sign_in()
    others = await identity.sign_in()
    actor = await identity.actor_of(tokens["access_token"])
    someone = Street(identity).signed_in(actor.id)
    await delete(someone)
    gone = await someone.call("GET", "/me")
    assert (gone.status_code, gone.json()["code"]) == (401, "person_gone")
    for session_tokens in (tokens, others):
        refreshed = await identity.post("/tokens/refresh", {"refresh_token": session_tokens["refresh_token"]})
        assert (refreshed.status_code, refreshed.json()["code"]) == (401, "refresh_invalid")
    async with identity.db.transaction() as session:
        row = (await session.execute(text("SELECT * FROM person"))).mappings().one()
        families = await session.scalars(text("SELECT ended_because FROM refresh_family"))
        accepted = await session.scalars(text("SELECT person_id FROM privacy_acceptance"))
        assert families.all() == ["deleted", "deleted"]
        assert accepted.all() == [actor.id]
    sealed = [row[name] for name in ("name_sealed", "phone_sealed", "phone_fingerprint", "birth_sealed")]
    assert (row["id"], row["state"], sealed) == (actor.id, "deleted", [None] * 4)


async def told_of(street: Street, person_id: str) -> list[Any]:
    """Who was told what of a person."""
    return await street.rows(
        "SELECT type, subscriber, data - 'occurred_at' FROM message JOIN delivery ON message_sequence = sequence "
        "WHERE message.aggregate = :aggregate ORDER BY subscriber",
        aggregate=f"person/{person_id}",
    )


def erased(person_id: str) -> list[Any]:
    """That whoever keeps anything of a person was told once to erase it."""
    return [("identity.person_deleted.v1", service, {"person_id": person_id}) for service in ("orders", "points")]


async def test_whoever_keeps_something_of_a_person_is_told_whose_it_was_by_the_id_alone(street: Street) -> None:
    someone = await street.someone()
    household = await someone.household_id()
    await delete(someone)
    assert await told_of(street, someone.id) == erased(someone.id)
    assert await street.last_told(household) == {
        "household_id": household,
        "version": 2,
        "members": [],
        "dissolved_into": None,
    }


async def test_nobody_acts_with_the_token_of_a_deleted_account(street: Street) -> None:
    mother, father = await street.couple()
    child, code = await mother.add_child(), await mother.invite()
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    consent = await father.consent(child)
    await delete(father)
    before = await street.everything()
    for method, path, body in (
        ("GET", "/me", None),
        ("POST", "/me/delete", CONFIRM),
        ("POST", "/household/invitations", None),
        ("POST", "/household/join", {"code": code}),
        ("POST", "/household/leave", None),
        ("DELETE", f"/household/members/{mother.id}", None),
        ("PATCH", f"/household/children/{child}", {"name": "赵小二"}),
        ("DELETE", f"/household/children/{child}", None),
        ("POST", f"/consents/{consent}/withdraw", None),
    ):
        answer = await father.call(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (401, "person_gone"), path
    assert await street.everything() == before


async def test_the_family_that_stays_keeps_its_children_and_their_consents(street: Street) -> None:
    mother, father = await street.couple()
    child = await father.add_child()
    consent = await father.consent(child)
    await father.done("POST", f"/household/children/{child}/guardians", {"person_id": mother.id})
    code = await father.invite()
    await delete(father)
    assert await mother.member_ids() == {mother.id, child}
    kept = await mother.member(child)
    assert kept["guardian_ids"] == [mother.id]
    assert consent in {given["id"] for given in kept["consents"]}
    assert await street.flags(await mother.household_id()) == {mother.id: (False, False), child: (True, True)}
    assert (await (await street.someone()).join(code)).json()["code"] == "invitation_invalid"


async def test_children_of_the_last_guardian_are_erased_only_if_that_is_said(street: Street) -> None:
    mother = await street.someone()
    child = await mother.add_child()
    consent = await mother.consent(child)
    household = await mother.household_id()
    for body in (CONFIRM, CONFIRM | {"with_children": False}):
        answer = await mother.call("POST", "/me/delete", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "children_would_be_erased")
        assert [error["name"] for error in answer.json()["errors"]] == ["body.with_children"]
    assert child in await mother.member_ids()
    await delete(mother, ALL)
    rows = await street.rows(
        "SELECT id::text, name_sealed, birth_sealed FROM person WHERE id IN (:child, :mother) ORDER BY id",
        child=child,
        mother=mother.id,
    )
    assert rows == [(who, None, None) for who in sorted([mother.id, child])]
    for who in (mother.id, child):
        assert await told_of(street, who) == erased(who)
    assert (await street.last_told(household))["members"] == []
    ended = await street.rows("SELECT ended_because, ended_by::text FROM consent WHERE id = :id", id=consent)
    assert ended == [("deleted", mother.id)]


@pytest.mark.parametrize("ends", ["removed", "consent withdrawn"])
async def test_of_a_child_whose_record_ends_everybody_is_told_to_erase_what_they_keep(
    street: Street, ends: str
) -> None:
    mother = await street.someone()
    child = await mother.add_child()
    if ends == "removed":
        await mother.done("DELETE", f"/household/children/{child}")
    else:
        [consent] = (await mother.member(child))["consents"]
        await mother.done("POST", f"/consents/{consent['id']}/withdraw")
    assert await told_of(street, child) == erased(child)


async def test_a_sole_guardian_does_not_leave_a_child_to_somebody_who_is_none(street: Street) -> None:
    mother, grandmother = await street.couple()
    child = await mother.add_child()
    assert await mother.refused("POST", "/me/delete", CONFIRM) == (409, "children_would_be_erased")
    await delete(mother, ALL)
    assert await grandmother.member_ids() == {grandmother.id}
    assert child not in await street.flags(await grandmother.household_id())


async def test_with_children_erases_none_who_has_another_guardian(street: Street) -> None:
    mother, father = await street.couple()
    child = await mother.add_child()
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    await delete(mother, ALL)
    assert await father.member_ids() == {father.id, child}


async def test_whoever_holds_a_post_answers_for_it_first(street: Street) -> None:
    handler = await street.someone()
    office = await street.identity.record_organisation("北苑街道", OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT)
    await street.identity.give_post(UUID(handler.id), office, Role.HANDLER)
    for body in (CONFIRM, ALL):
        assert await handler.refused("POST", "/me/delete", body) == (409, "has_post")


async def test_a_post_given_while_the_account_is_deleted_is_not_held_by_nobody(street: Street) -> None:
    office = await street.identity.record_organisation("北苑街道", OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT)
    for _ in range(5):
        someone = await street.someone()
        outcomes = await asyncio.gather(
            someone.call("POST", "/me/delete", CONFIRM),
            street.identity.give_post(UUID(someone.id), office, Role.HANDLER),
            return_exceptions=True,
        )
        posts = await street.rows("SELECT 1 FROM post WHERE person_id = :id", id=someone.id)
        deleted = getattr(outcomes[0], "status_code", None) == 204
        assert deleted != bool(posts), outcomes
        assert not isinstance(outcomes[1], PostElsewhere)
        assert deleted == isinstance(outcomes[1], PersonNotFound)


async def test_the_phone_of_a_deleted_account_registers_anew_as_somebody_new(identity: Identity) -> None:
    first = await identity.actor_of((await identity.sign_in())["access_token"])
    await delete(Street(identity).signed_in(first.id))
    code = await identity.code_for(PHONE)
    unasked = await identity.post("/tokens", {"phone": PHONE, "code": code})
    assert unasked.json()["code"] == "privacy_notice_required"
    body = {"phone": PHONE, "code": code, "privacy_notice": PRIVACY_NOTICE_VERSION, "name": "周新"}
    second = await identity.actor_of((await identity.post("/tokens", body)).json()["access_token"])
    assert (second.id == first.id, second.household_id == first.household_id) == (False, False)
    me = await Street(identity).signed_in(second.id).done("GET", "/me")
    assert (me["name"], len(me["household"]["members"])) == ("周新", 1)


async def test_whoever_signs_in_while_their_account_is_deleted_is_not_signed_in_for_good(identity: Identity) -> None:
    for number in range(6):
        phone = f"1000000020{number}"
        person = await identity.actor_of((await identity.sign_in(phone))["access_token"])
        body = {"phone": phone, "code": await identity.code_for(phone), "privacy_notice": PRIVACY_NOTICE_VERSION}
        _, tokens = await asyncio.gather(delete(Street(identity).signed_in(person.id)), identity.post("/tokens", body))
        assert tokens.status_code in {200, 503}, tokens.text
        living = await Street(identity).rows(
            "SELECT 1 FROM refresh_family WHERE person_id = :id AND ended_at IS NULL", id=str(person.id)
        )
        assert living == []


async def test_an_account_deleted_twice_at_once_is_deleted_once(street: Street) -> None:
    someone = await street.someone()
    answers = await asyncio.gather(*(someone.call("POST", "/me/delete", CONFIRM) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]
    told = await street.rows("SELECT 1 FROM message WHERE aggregate = :aggregate", aggregate=f"person/{someone.id}")
    assert len(told) == 1


async def test_a_deletion_whose_answer_was_lost_can_be_asked_for_again_and_no_other_answer_is_kept(
    street: Street,
) -> None:
    someone, husband = await street.someone(), await street.someone()
    await husband.call("POST", "/household/join", {"code": await someone.invite()}, Idempotency_Key="names-her")
    await someone.call("POST", "/household/invitations", {}, Idempotency_Key="an-invitation")
    key = {"Idempotency_Key": f"{new_id()}"}
    first = await someone.call("POST", "/me/delete", CONFIRM, **key)
    again = await someone.call("POST", "/me/delete", CONFIRM, **key)
    assert (first.status_code, again.status_code, again.headers["Idempotency-Hit"]) == (204, 204, "true")
    kept = await street.rows("SELECT status FROM request WHERE caller IN (:a, :b)", a=someone.id, b=husband.id)
    assert kept == [(204,)]


async def test_somebody_of_the_records_who_was_deleted_is_not_brought_back_by_recording_them_again(
    street: Street,
) -> None:
    staff = await street.staff()
    await delete(staff)
    await street.identity.record_person("孙督办", staff.phone, person_id=UUID(staff.id))
    assert await street.rows("SELECT state, phone_sealed FROM person WHERE id = :id", id=staff.id) == [
        ("deleted", None)
    ]
    with pytest.raises(PersonNotFound):
        await street.identity.record_household(UUID(staff.id))
