"""Inviting, joining and leaving: who ends up where, with whom, and what the others are told."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.client import CallRefused
from chassis.core.ids import new_id
from services.identity.households.actions import sweep
from services.identity.households.terms import CODE_ALPHABET
from services.identity.terms import Level, OrganisationKind, Role
from tests.identity.families import Someone, Street
from tests.identity.service import Identity, start
from tests.identity.test_people import service_client
from tests.town import Town

WRONG = "AAAAAAAA"
LEAVE = "/household/leave"


async def test_an_invitation_is_a_short_code_that_is_easy_to_read_out_and_kept_as_a_hash(street: Street) -> None:
    mother = await street.someone()
    answer = await mother.call("POST", "/household/invitations", {})
    assert answer.status_code == 201
    made = answer.json()
    assert len(made["code"]) == 8
    assert set(made["code"]) <= set(CODE_ALPHABET)
    assert set(CODE_ALPHABET).isdisjoint("0O1IL2Z5S8B")
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < lifetime <= timedelta(days=3)
    assert (await mother.household())["invitations"] == [
        {"id": made["id"], "created_by": mother.id, "expires_at": made["expires_at"]}
    ]
    row = await street.rows("SELECT invitation::text, code_hash FROM invitation WHERE id = :id", id=made["id"])
    assert made["code"] not in row[0][0]
    assert len(row[0][1]) == 32


async def test_whoever_joins_belongs_to_the_family_and_their_tokens_say_so_once_refreshed(identity: Identity) -> None:
    street = Street(identity)
    mother = await street.someone()
    tokens = await identity.sign_in()
    guest = street.signed_in((await identity.actor_of(tokens["access_token"])).id)
    joined = await guest.join(await mother.invite())
    assert joined.status_code == 200
    household = joined.json()
    assert household["refresh_tokens"] is True
    assert household["id"] == await mother.household_id() == await guest.household_id()
    assert {member["id"] for member in household["members"]} == {mother.id, guest.id}
    refreshed = await identity.post("/tokens/refresh", {"refresh_token": tokens["refresh_token"]})
    assert str((await identity.actor_of(refreshed.json()["access_token"])).household_id) == household["id"]


@pytest.mark.parametrize("spelling", ["{}", " {} ", "lower", "spaced", "wide"])
async def test_a_code_may_be_typed_as_people_type(street: Street, spelling: str) -> None:
    mother, guest = await street.someone(), await street.someone()
    code = await mother.invite()
    typed = {
        "lower": code.lower(),
        "spaced": f"{code[:4]}-{code[4:6]} {code[6:]}",
        "wide": "".join(chr(ord(letter) + 0xFEE0) for letter in code),
    }.get(spelling, spelling.format(code))
    assert (await guest.join(typed)).status_code == 200


async def test_who_joins_with_children_brings_them_and_the_household_dissolves_into_the_other(street: Street) -> None:
    mother, father = await street.someone(), await street.someone()
    child = await father.add_child()
    consent = await father.consent(child)
    old, new = await father.household_id(), await mother.household_id()
    open_code = await father.invite()
    await mother.take_in(father)
    assert await mother.member_ids() == {mother.id, father.id, child}
    brought = await father.member(child)
    assert brought["guardian_ids"] == [father.id]
    assert consent in {kept["id"] for kept in brought["consents"]}
    assert await street.last_told(old) == {
        "household_id": old,
        "version": (await street.told(old))[-1]["version"],
        "members": [],
        "dissolved_into": new,
    }
    told = await street.last_told(new)
    assert told["dissolved_into"] is None
    assert await street.flags(new) == {
        mother.id: (False, False),
        father.id: (False, False),
        child: (True, True),
    }
    assert (await (await street.someone()).join(open_code)).json()["code"] == "invitation_invalid"


async def test_one_of_several_adults_comes_alone_and_the_others_stay_as_they_were(street: Street) -> None:
    mother, uncle = await street.couple()
    child = await mother.add_child()
    neighbour = await street.someone()
    old, new = await mother.household_id(), await neighbour.household_id()
    await neighbour.take_in(uncle)
    assert set(await street.flags(old)) == {mother.id, child}
    assert (await street.last_told(old))["dissolved_into"] is None
    assert set(await street.flags(new)) == {neighbour.id, uncle.id}


async def test_staff_without_a_household_join_one(street: Street) -> None:
    mother, colleague = await street.someone(), await street.staff()
    assert await colleague.refused("POST", "/household/invitations") == (409, "no_household")
    assert await colleague.refused("POST", LEAVE) == (409, "no_household")
    await mother.take_in(colleague)
    assert set(await street.flags(await mother.household_id())) == {mother.id, colleague.id}


async def test_a_forwarded_code_lets_one_in_and_gives_them_no_say_over_the_children(street: Street) -> None:
    mother = await street.someone()
    child = await mother.add_child()
    code = await mother.invite()
    neighbour, grandmother = await street.someone(), await street.someone()
    assert (await neighbour.join(code)).status_code == 200
    late = await grandmother.join(code)
    assert (late.status_code, late.json()["code"]) == (422, "invitation_invalid")
    assert [error["name"] for error in late.json()["errors"]] == ["body.code"]
    assert (await neighbour.member(child))["birth_date"] is None
    assert await neighbour.refused("DELETE", f"/household/children/{child}") == (403, "not_guardian")
    assert neighbour.id in await mother.member_ids()  # the family sees who came


async def test_of_two_who_use_one_code_at_once_one_joins(street: Street) -> None:
    mother = await street.someone()
    for _ in range(3):
        code, guests = await mother.invite(), [await street.someone() for _ in range(4)]
        answers = await asyncio.gather(*(guest.join(code) for guest in guests))
        assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
    assert len(await mother.member_ids()) == 4
    await street.last_told(await mother.household_id())


async def test_two_who_join_each_other_at_once_end_up_together(street: Street) -> None:
    for _ in range(5):
        one, other = await street.someone(), await street.someone()
        child = await other.add_child()
        codes = await one.invite(), await other.invite()
        answers = await asyncio.gather(one.join(codes[1]), other.join(codes[0]))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert {answer.json().get("code") for answer in answers} == {None, "already_member"}
        assert await one.member_ids() == await other.member_ids() == {one.id, other.id, child}
        await street.last_told(await one.household_id())


async def test_three_who_join_in_a_circle_at_once_do_not_wait_for_ever(street: Street) -> None:
    for _ in range(3):
        circle = [await street.someone() for _ in range(3)]
        codes = [await who.invite() for who in circle]
        answers = await asyncio.gather(
            *(who.join(code) for who, code in zip(circle, codes[1:] + codes[:1], strict=True))
        )
        assert {answer.status_code for answer in answers} <= {200, 409, 422, 503}
        assert 200 in {answer.status_code for answer in answers}
        for who in circle:
            assert who.id in await street.flags(await who.household_id())


async def test_one_who_joins_two_households_at_once_is_in_one_of_them(street: Street) -> None:
    guest, hosts = await street.staff(), [await street.someone() for _ in range(3)]
    codes = [await host.invite() for host in hosts]
    answers = await asyncio.gather(*(guest.join(code) for code in codes))
    assert {answer.status_code for answer in answers} <= {200, 503}
    homes = [guest.id in await street.flags(await host.household_id()) for host in hosts]
    assert homes.count(True) == 1


async def test_a_code_is_good_for_three_days_and_only_as_long_as_its_maker_stands_by_it(street: Street) -> None:
    mother, father = await street.couple()
    guest = await street.someone()
    old, revoked, left = await mother.invite(), await mother.invite(), await father.invite()
    shown = (await father.household())["invitations"]
    await father.done("DELETE", f"/household/invitations/{shown[1]['id']}")
    await father.done("POST", LEAVE)
    for code in (revoked, left):
        assert (await guest.join(code)).json()["code"] == "invitation_invalid"
    with clock.frozen(datetime.now(UTC) + timedelta(days=3)):
        assert (await guest.join(old)).json()["code"] == "invitation_invalid"
    assert (await guest.join(old)).status_code == 200


async def test_nobody_revokes_the_invitations_of_others(street: Street) -> None:
    mother, stranger = await street.someone(), await street.someone()
    code = await mother.invite()
    invitation = (await mother.household())["invitations"][0]["id"]
    for path in (f"/household/invitations/{invitation}", f"/household/invitations/{new_id()}"):
        assert await stranger.refused("DELETE", path) == (404, "invitation_not_found")
    assert (await stranger.join(code)).status_code == 200


async def test_a_household_has_five_open_invitations_and_makes_twenty_a_day(street: Street) -> None:
    mother = await street.someone()
    for _ in range(5):
        await mother.invite()
    assert await mother.refused("POST", "/household/invitations") == (409, "too_many_invitations")
    for _ in range(15):
        first = (await mother.household())["invitations"][0]["id"]
        await mother.done("DELETE", f"/household/invitations/{first}")
        await mother.invite()
    first = (await mother.household())["invitations"][0]["id"]
    await mother.done("DELETE", f"/household/invitations/{first}")
    assert await mother.refused("POST", "/household/invitations") == (429, "too_many_invitations_today")


async def test_a_household_has_twenty_members_at_most(street: Street) -> None:
    mother = await street.someone()
    for number in range(10):
        await mother.add_child(f"赵小{number}")
    family = [await street.someone() for _ in range(8)]
    await mother.take_in(*family)
    two = await street.someone()
    await two.add_child()
    code = await mother.invite()
    answer = await two.join(code)
    assert (answer.status_code, answer.json()["code"]) == (409, "household_full")
    assert (await (await street.someone()).join(code)).status_code == 200
    assert len(await mother.member_ids()) == 20
    assert (await two.join(await mother.invite())).json()["code"] == "household_full"


async def test_ones_own_code_lets_nobody_in_again(street: Street) -> None:
    mother, father = await street.couple()
    for who in (mother, father):
        assert (await who.join(await mother.invite())).json()["code"] == "already_member"


async def guesses(who: Someone, times: int) -> list[int]:
    return [(await who.join(WRONG)).status_code for _ in range(times)]


async def test_a_person_who_guesses_is_stopped_wherever_they_guess_from(empty_town: Town) -> None:
    street = Street(await start(empty_town, wrong_invitations_per_person_hour=3))
    guesser, mother = await street.someone(), await street.someone()
    code = await mother.invite()
    at = datetime.now(UTC).replace(minute=20)
    with clock.frozen(at):
        assert await guesses(guesser, 3) == [422] * 3
        guesser.address = "198.18.0.1"
        refused = await guesser.join(code)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_wrong_invitations")
        assert refused.headers["Retry-After"] == str(int(2400 - at.second - at.microsecond / 1e6) + 1)
    with clock.frozen(at + timedelta(hours=1)):
        assert (await guesser.join(code)).status_code == 200


async def test_an_address_that_guesses_is_stopped_whoever_guesses_there(empty_town: Town) -> None:
    street = Street(await start(empty_town, wrong_invitations_per_address_hour=4))
    crowd = [await street.someone() for _ in range(5)]
    mother = await street.someone()
    for who in crowd:
        who.address = "2001:db8:1:2::" + str(crowd.index(who))  # one subscriber's network
    code = await mother.invite()
    with clock.frozen(datetime.now(UTC).replace(minute=20)):
        answers = await asyncio.gather(*(who.join(WRONG) for who in crowd))
        assert sorted(answer.status_code for answer in answers) == [422] * 4 + [429]
        assert (await crowd[0].join(code)).status_code == 429
        mother.address = crowd[0].address = "198.18.7.7"
        assert (await crowd[0].join(code)).status_code == 200


async def test_what_was_tried_is_forgotten_after_an_hour_and_past_invitations_after_a_month(identity: Identity) -> None:
    street = Street(identity)
    at = clock.now().replace(minute=20)
    with clock.frozen(at):  # tries are counted by the hour of the clock
        mother = await street.someone()
        await guesses(mother, 1)
        await mother.invite()
    counts = "SELECT (SELECT count(*) FROM join_tries), (SELECT count(*) FROM invitation)"
    for after, left in ((0, (2, 1)), (2 / 24, (0, 1)), (34, (0, 0))):
        async with identity.db.transaction() as session:
            await sweep(session, at + timedelta(days=after))
        assert await street.rows(counts) == [left]


async def test_whoever_leaves_has_a_household_of_their_own_and_the_family_keeps_its_own(street: Street) -> None:
    mother, father = await street.couple()
    child = await mother.add_child()
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    consent = await father.consent(child)
    family = await mother.household_id()
    left = await father.call("POST", LEAVE)
    assert left.status_code == 200
    alone = left.json()
    assert (alone["refresh_tokens"], [member["id"] for member in alone["members"]]) == (True, [father.id])
    assert alone["id"] not in {family, None}
    assert await street.flags(alone["id"]) == {father.id: (False, False)}
    assert await street.flags(family) == {mother.id: (False, False), child: (True, True)}
    kept = await mother.member(child)
    assert kept["guardian_ids"] == [mother.id]
    assert consent in {given["id"] for given in kept["consents"]}
    assert await father.refused("POST", f"/consents/{consent}/withdraw") == (404, "consent_not_found")
    await mother.done("POST", f"/consents/{consent}/withdraw")
    assert (await street.flags(family))[child] == (True, False)


async def test_nobody_leaves_a_child_without_its_guardian(street: Street) -> None:
    mother, grandmother = await street.couple()
    child, neighbour = await mother.add_child(), await street.someone()
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": grandmother.id})
    await mother.done("POST", LEAVE)
    assert await grandmother.refused("POST", LEAVE) == (409, "last_adult")
    await neighbour.take_in(grandmother)
    assert await neighbour.member_ids() == {neighbour.id, grandmother.id, child}


@pytest.mark.parametrize("way", ["leave", "join"])
async def test_a_parent_goes_with_the_children_whose_only_guardian_they_are(street: Street, way: str) -> None:
    grandmother, mother = await street.couple()
    own, shared, others = [await mother.add_child(f"赵小{number}") for number in range(2)] + [
        await grandmother.add_child("钱小小")
    ]
    await mother.consent(own)
    await mother.done("POST", f"/household/children/{shared}/guardians", {"person_id": grandmother.id})
    if way == "leave":
        await mother.done("POST", LEAVE)
    else:
        await (await street.someone()).take_in(mother)
    assert await grandmother.member_ids() == {grandmother.id, shared, others}
    assert (await grandmother.member(shared))["guardian_ids"] == [grandmother.id]
    assert {own} == await mother.member_ids() & {own, shared, others}
    came = await mother.member(own)
    assert (came["guardian_ids"], len(came["consents"])) == ([mother.id], 2)
    assert (await street.flags(await mother.household_id()))[own] == (True, True)


async def test_whoever_is_alone_cannot_leave(street: Street) -> None:
    assert await (await street.someone()).refused("POST", LEAVE) == (409, "lives_alone")


async def test_two_parents_who_leave_at_once_do_not_both_leave_the_child(street: Street) -> None:
    mother, father = await street.couple()
    child = await mother.add_child()
    await mother.done("POST", f"/household/children/{child}/guardians", {"person_id": father.id})
    answers = await asyncio.gather(mother.call("POST", LEAVE), father.call("POST", LEAVE))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_household_is_told_to_events_and_points_from_its_founding_on(street: Street) -> None:
    mother = await street.someone()
    household = await mother.household_id()
    assert await street.last_told(household) == {
        "household_id": household,
        "version": 1,
        "members": [{"person_id": mother.id, "child": False, "consented": False}],
        "dissolved_into": None,
    }
    subscribers = await street.rows(
        "SELECT subscriber FROM delivery WHERE aggregate = :aggregate ORDER BY 1", aggregate=f"household/{household}"
    )
    assert subscribers == [("events",), ("points",)]
    recorded = await street.identity.record_household(await street.identity.record_person("孙一"))
    await street.identity.record_household(household_id=recorded)
    assert (await street.last_told(str(recorded)))["version"] == 1


async def test_events_can_ask_for_a_household_as_it_was_last_told(street: Street) -> None:
    mother, _ = await street.couple()
    await mother.consent(await mother.add_child())
    household = await mother.household_id()
    client = service_client(street.identity, "events")
    asked = await client.get("identity", f"/internal/households/{household}")
    assert asked == (await street.told(household))[-1]
    with pytest.raises(CallRefused) as unknown:
        await client.get("identity", f"/internal/households/{new_id()}")
    await client.aclose()
    assert (unknown.value.status, unknown.value.code) == (404, "household_not_found")


@pytest.mark.parametrize("name", ["points", "orders", "gateway"])
async def test_no_other_service_can_ask_for_a_household(street: Street, name: str) -> None:
    client = service_client(street.identity, name)
    with pytest.raises(CallRefused) as refused:
        await client.get("identity", f"/internal/households/{await (await street.someone()).household_id()}")
    await client.aclose()
    assert refused.value.status == 403


@pytest.mark.parametrize("name", ["events", "points"])
async def test_events_and_points_can_show_people_by_masked_names(street: Street, name: str) -> None:
    one, gone = await street.someone("欧阳建国"), await street.someone()
    await gone.done("POST", "/me/delete", {"confirm": True})
    client = service_client(street.identity, name)
    asked = {"person_ids": [one.id, gone.id, str(new_id())]}
    named = await client.post("identity", "/internal/people/masked-names", asked)
    with pytest.raises(CallRefused) as too_many:
        await client.post("identity", "/internal/people/masked-names", {"person_ids": [one.id] * 201})
    await client.aclose()
    assert named == {"names": [{"person_id": one.id, "name": "欧***"}]}
    assert [field.name for field in too_many.value.fields] == ["body.person_ids"]


@pytest.mark.parametrize("name", ["orders", "gateway"])
async def test_no_other_service_can_ask_for_names(street: Street, name: str) -> None:
    client = service_client(street.identity, name)
    with pytest.raises(CallRefused) as refused:
        await client.post("identity", "/internal/people/masked-names", {"person_ids": []})
    await client.aclose()
    assert refused.value.status == 403


async def test_what_an_access_token_says_of_the_household_opens_nothing(street: Street) -> None:
    mother, stranger = await street.someone(), await street.someone()
    child = await mother.add_child()
    assert child not in str(await stranger.done("GET", "/me"))
    office = await street.identity.record_organisation("北苑街道", OrganisationKind.SUBDISTRICT, Level.SUBDISTRICT)
    colleague = await street.staff()
    await street.identity.give_post(UUID(colleague.id), office, Role.ADMINISTRATOR)
    assert await colleague.refused("DELETE", f"/household/children/{child}") == (409, "no_household")
