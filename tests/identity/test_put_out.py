"""Putting out again whoever is not welcome: who may, who goes with them, and what cannot keep them in."""

import asyncio
from uuid import UUID

from chassis.core.ids import new_id
from tests.identity.families import Someone, Street


def member(person_id: str) -> str:
    return f"/household/members/{person_id}"


async def name_guardian(by: Someone, child: str, guardian: Someone) -> None:
    await by.done("POST", f"/household/children/{child}/guardians", {"person_id": guardian.id})


async def test_whoever_came_by_a_forwarded_code_is_put_out_again_and_can_neither_see_nor_invite_any_more(
    street: Street,
) -> None:
    mother, stranger = await street.someone(), await street.someone()
    child = await mother.add_child()
    await mother.consent(child)
    await mother.take_in(stranger)
    code, family = await stranger.invite(), await mother.household_id()
    await mother.done("DELETE", member(stranger.id))
    assert await mother.member_ids() == {mother.id, child}
    assert await stranger.member_ids() == {stranger.id}
    assert await street.flags(family) == {mother.id: (False, False), child: (True, True)}
    assert await street.flags(await stranger.household_id()) == {stranger.id: (False, False)}
    assert (await street.last_told(family))["dissolved_into"] is None, "points stay with the family"
    assert (await (await street.someone()).join(code)).json()["code"] == "invitation_invalid"
    assert await mother.refused("DELETE", member(stranger.id)) == (404, "member_not_found")


async def test_nobody_puts_out_who_was_there_before_nor_themselves_nor_anybody_of_another_household(
    street: Street,
) -> None:
    mother, stranger = await street.couple()
    child, neighbour = await mother.add_child(), await street.someone()
    for who in (mother, stranger):
        assert await stranger.refused("DELETE", member(who.id)) == (403, "not_earlier")
    for nobody in (child, neighbour.id, str(new_id())):
        assert await mother.refused("DELETE", member(nobody)) == (404, "member_not_found")
    assert await neighbour.refused("DELETE", member(stranger.id)) == (404, "member_not_found")
    assert await (await street.staff()).refused("DELETE", member(mother.id)) == (409, "no_household")


async def test_those_who_were_recorded_together_do_not_put_out_one_another(street: Street) -> None:
    one, other = await street.staff(), await street.staff()
    await street.identity.record_household(UUID(one.id), UUID(other.id))
    assert await one.refused("DELETE", member(other.id)) == (403, "not_earlier")
    assert await other.refused("DELETE", member(one.id)) == (403, "not_earlier")


async def test_children_go_with_whoever_added_them_whomever_else_they_named_a_guardian(street: Street) -> None:
    mother, stranger, accomplice = [await street.someone() for _ in range(3)]
    await mother.take_in(stranger)
    accomplice_code = await stranger.invite()
    assert (await accomplice.join(accomplice_code)).status_code == 200
    one, two = await stranger.add_child("吴一"), await accomplice.add_child("吴二")
    for child, first, second in ((one, stranger, accomplice), (two, accomplice, stranger)):
        await name_guardian(first, child, second)
        await name_guardian(first, child, mother)
    await mother.done("DELETE", member(stranger.id))
    assert await stranger.member_ids() == {stranger.id, one}
    assert (await stranger.member(one))["guardian_ids"] == [stranger.id]
    await mother.done("DELETE", member(accomplice.id))
    assert await accomplice.member_ids() == {accomplice.id, two}
    assert (await accomplice.member(two))["guardian_ids"] == [accomplice.id]
    assert await mother.member_ids() == {mother.id}


async def test_a_parent_is_not_parted_from_the_child_whose_guardian_the_other_parent_made_them(street: Street) -> None:
    father, mother = await street.couple()
    child = await father.add_child()
    await name_guardian(father, child, mother)
    assert await father.refused("DELETE", member(mother.id)) == (409, "guardian_stays")
    assert (await mother.member(child))["guardian_ids"] == sorted([father.id, mother.id])


async def test_two_who_are_put_out_by_the_first_at_once_are_both_gone(street: Street) -> None:
    mother, one, other = [await street.someone() for _ in range(3)]
    await mother.take_in(one, other)
    answers = await asyncio.gather(
        mother.call("DELETE", member(one.id)),
        mother.call("DELETE", member(other.id)),
        one.call("DELETE", member(other.id)),
    )
    assert {answer.status_code for answer in answers} <= {204, 404, 503}
    assert await mother.member_ids() == {mother.id}
    for who in (one, other):
        assert await who.member_ids() == {who.id}
        assert set(await street.flags(await who.household_id())) == {who.id}
    await street.last_told(await mother.household_id())
