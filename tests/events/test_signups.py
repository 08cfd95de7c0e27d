"""Signing up as a household, all or none, and withdrawing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.events.terms import SignupState
from tests.events.service import Events
from tests.town import actor

NOON = datetime(2026, 5, 4, 4, tzinfo=UTC)


async def test_a_family_signs_up_and_has_its_seats(events: Events) -> None:
    family, activity_id = await events.family(2, True), await events.opened(capacity=4)
    signup = await events.sign_up(activity_id, family)
    assert (signup["state"], signup["rank"], signup["ahead"], signup["seats"]) == ("confirmed", None, 0, 3)
    assert {member["person_id"] for member in signup["members"]} == {str(one) for one in family.everybody}
    shown = await events.show(activity_id)
    assert (shown["taken"], shown["free"], shown["full"], shown["waitlisted"]) == (3, 1, False, 0)
    await events.check_seats(activity_id)


async def test_without_room_for_all_the_whole_family_waits_and_is_told_its_place(events: Events) -> None:
    activity_id = await events.opened(capacity=3)
    await events.sign_up(activity_id, await events.family(2))
    for place in (1, 2):
        signup = await events.sign_up(activity_id, await events.family(2))
        assert (signup["state"], signup["rank"], signup["ahead"]) == ("waitlisted", place, place - 1)
    shown = await events.show(activity_id)
    assert (shown["taken"], shown["free"], shown["waitlisted"]) == (2, 1, 2)
    await events.check_seats(activity_id)


async def test_a_withdrawal_lets_the_next_in_and_shortens_the_queue(events: Events) -> None:
    activity_id = await events.opened(capacity=2)
    families = [await events.family(2) for _ in range(3)]
    first, second, third = [await events.sign_up(activity_id, family) for family in families]
    answer = await events.withdraw(first, families[0].signed_in(families[0].adults[1]))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["why"]) == ("withdrawn", "by_household")
    assert (await events.stored(second)).state is SignupState.CONFIRMED
    [own] = (await events.get("/signups", families[2].actor, owner="me")).json()["items"]
    assert (own["id"], own["state"], own["rank"], own["ahead"]) == (third["id"], "waitlisted", 2, 0)
    await events.check_seats(activity_id)


async def test_who_needs_more_seats_than_are_free_is_passed_over_and_keeps_the_rank(events: Events) -> None:
    activity_id = await events.opened(capacity=3)
    one, two = await events.family(1), await events.family(2)
    leaving, staying = await events.sign_up(activity_id, one), await events.sign_up(activity_id, two)
    big, small, last = [await events.family(size) for size in (3, 1, 1)]
    waits, fits, stays = [await events.sign_up(activity_id, family) for family in (big, small, last)]
    await events.withdraw(leaving, one.actor)
    passed, let_in, behind = [await events.stored(signup) for signup in (waits, fits, stays)]
    assert (passed.state, passed.rank, passed.passed_over) == (SignupState.WAITLISTED, 1, 1)
    assert (let_in.state, let_in.rank) == (SignupState.CONFIRMED, 2)
    assert (behind.state, behind.rank, behind.passed_over) == (SignupState.WAITLISTED, 3, 0)
    await events.withdraw(staying, two.actor)
    assert (await events.stored(stays)).state is SignupState.CONFIRMED
    assert (await events.stored(waits)).passed_over == 2
    await events.withdraw(fits, small.actor)
    await events.withdraw(stays, last.actor)
    assert (await events.stored(waits)).state is SignupState.CONFIRMED, "in the end the big family comes in"
    await events.check_seats(activity_id)


async def test_a_newcomer_takes_seats_that_suffice_for_nobody_who_waits_and_that_is_recorded(events: Events) -> None:
    activity_id = await events.opened(capacity=3)
    await events.sign_up(activity_id, await events.family(2))
    waits = await events.sign_up(activity_id, await events.family(2))
    newcomer = await events.sign_up(activity_id, await events.family(1))
    assert (waits["state"], newcomer["state"]) == ("waitlisted", "confirmed")
    assert (await events.stored(waits)).passed_over == 1
    await events.check_seats(activity_id)


async def test_one_leaving_family_may_make_room_for_several(events: Events) -> None:
    activity_id = await events.opened(capacity=4)
    big = await events.family(4)
    leaving = await events.sign_up(activity_id, big)
    waiting = [await events.sign_up(activity_id, await events.family(size)) for size in (2, 3, 2, 1)]
    await events.withdraw(leaving, big.actor)
    states = [(await events.stored(signup)).state.value for signup in waiting]
    assert states == ["confirmed", "waitlisted", "confirmed", "waitlisted"]
    await events.check_seats(activity_id)


async def test_a_family_larger_than_the_activity_is_told_so_and_does_not_wait_for_ever(events: Events) -> None:
    activity_id = await events.opened(capacity=2)
    refused = await events.try_sign_up(activity_id, await events.family(3))
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_for_activity")
    assert [error["name"] for error in refused.json()["errors"]] == ["body.members"]
    assert await events.signups(activity_id) == []


# All or none ----------------------------------------------------------------------------------------------------------


async def test_a_child_of_another_family_is_not_taken_along_and_nobody_is_signed_up(events: Events) -> None:
    family, other = await events.family(1, True), await events.family(1, True)
    activity_id = await events.opened()
    refused = await events.try_sign_up(activity_id, family, [*family.everybody, other.child])
    assert (refused.status_code, refused.json()["code"]) == (422, "not_a_member")
    assert [error["name"] for error in refused.json()["errors"]] == ["body.members.2"]
    assert await events.signups(activity_id) == []


async def test_a_child_without_a_guardians_consent_is_not_signed_up_nor_its_family(events: Events) -> None:
    family, activity_id = await events.family(1, True, False), await events.opened()
    refused = await events.try_sign_up(activity_id, family)
    assert (refused.status_code, refused.json()["code"]) == (422, "consent_required")
    assert [error["name"] for error in refused.json()["errors"]] == ["body.members.2"]
    assert await events.signups(activity_id) == []
    assert (await events.sign_up(activity_id, family, family.everybody[:2]))["state"] == "confirmed"


async def test_nobody_stands_twice_in_one_activity(events: Events) -> None:
    family, activity_id = await events.family(2, True), await events.opened()
    await events.sign_up(activity_id, family, family.adults[:1])
    refused = await events.try_sign_up(activity_id, family)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_signed_up")
    assert [error["name"] for error in refused.json()["errors"]] == ["body.members.0"]
    more = await events.sign_up(activity_id, family, family.everybody[1:])
    assert more["seats"] == 2
    await events.check_seats(activity_id)


async def test_somebody_who_changed_households_does_not_stand_twice(events: Events) -> None:
    old, new = await events.family(2), await events.family(1)
    activity_id, person = await events.opened(), old.adults[1]
    await events.sign_up(activity_id, old)
    new.adults.append(person)
    new.change()
    await events.tell(new)  # the message of the old household is still on its way
    refused = await events.try_sign_up(activity_id, new)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_signed_up")


async def test_who_withdrew_may_sign_up_again_at_the_end_of_the_queue(events: Events) -> None:
    activity_id, family = await events.opened(capacity=1), await events.family()
    first = await events.sign_up(activity_id, family)
    waits = await events.sign_up(activity_id, await events.family())
    await events.withdraw(first, family.actor)
    again = await events.sign_up(activity_id, family)
    assert (again["state"], again["rank"], again["ahead"]) == ("waitlisted", 2, 0)
    assert (await events.stored(waits)).state is SignupState.CONFIRMED


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ([], "body.members"),
        (["nobody"], "body.members.0"),
        ([str(UUID(int=1)), str(UUID(int=1))], "body.members"),
        ([str(UUID(int=number)) for number in range(21)], "body.members"),
        ("everybody", "body.members"),
    ],
    ids=["none", "no-id", "twice", "too-many", "no-list"],
)
async def test_bad_input_names_its_field(events: Events, members: object, field: str) -> None:
    family, activity_id = await events.family(), await events.opened()
    refused = await events.post(f"/activities/{activity_id}/signups", family.actor, {"members": members})
    assert refused.status_code == 422
    assert [error["name"] for error in refused.json()["errors"]] == [field]


# When and by whom -----------------------------------------------------------------------------------------------------


async def test_sign_up_is_possible_only_while_the_activity_is_open(events: Events) -> None:
    family, activity_id = await events.family(), await events.published()
    refused = await events.try_sign_up(activity_id, family)
    assert (refused.status_code, refused.json()["code"]) == (409, "signup_closed")
    await events.act(activity_id, "open")
    await events.act(activity_id, "close")
    assert (await events.try_sign_up(activity_id, family)).json()["code"] == "signup_closed"
    assert (await events.try_sign_up(await events.draft(), family)).json()["code"] == "activity_not_found"
    assert (await events.try_sign_up(str(new_id()), family)).status_code == 404


async def test_whoever_belongs_to_no_household_signs_nobody_up(events: Events) -> None:
    activity_id = await events.opened()
    body = {"members": [str(new_id())]}
    lonely = await events.post(f"/activities/{activity_id}/signups", actor("resident"), body)
    assert (lonely.status_code, lonely.json()["code"]) == (409, "no_household")
    organiser = await events.post(f"/activities/{activity_id}/signups", events.organiser, body)
    assert organiser.status_code == 403
    assert (await events.post(f"/activities/{activity_id}/signups", None, body)).status_code == 401


async def test_a_child_signs_nobody_up_and_withdraws_nobody(events: Events) -> None:
    family, activity_id = await events.family(1, True), await events.opened()
    child = family.signed_in(family.child)
    refused = await events.try_sign_up(activity_id, family, who=child)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_of_household")
    signup = await events.sign_up(activity_id, family)
    assert (await events.withdraw(signup, child)).status_code == 403


async def test_another_households_sign_up_cannot_be_withdrawn_nor_be_told_from_none(events: Events) -> None:
    family, activity_id = await events.family(), await events.opened()
    signup, stranger = await events.sign_up(activity_id, family), (await events.family()).actor
    nothing = await events.withdraw(signup | {"id": str(new_id())}, stranger)
    for refused in (await events.withdraw(signup, stranger), nothing):
        assert (refused.status_code, refused.json()["code"]) == (404, "signup_not_found")
    elsewhere = await events.withdraw(signup | {"activity_id": await events.opened()}, family.actor)
    assert elsewhere.status_code == 404
    assert (await events.stored(signup)).state is SignupState.CONFIRMED


async def test_after_the_start_a_withdrawal_is_late_and_the_seat_still_goes_to_the_next(events: Events) -> None:
    family, waiting, queuing = [await events.family() for _ in range(3)]
    with clock.frozen(NOON):
        activity_id = await events.opened(starts_at=NOON + timedelta(hours=1), capacity=1)
        signup, next_one, last = [await events.sign_up(activity_id, one) for one in (family, waiting, queuing)]
    with clock.frozen(NOON + timedelta(hours=1)):
        assert (await events.withdraw(signup, family.actor)).json()["state"] == "late"
        assert (await events.withdraw(last, queuing.actor)).json()["state"] == "withdrawn", "no seat was wasted"
    assert (await events.stored(next_one)).state is SignupState.CONFIRMED


async def test_closing_stops_newcomers_and_not_the_queue(events: Events) -> None:
    family, activity_id = await events.family(), await events.opened(capacity=1)
    signup, waits = await events.sign_up(activity_id, family), await events.sign_up(activity_id, await events.family())
    await events.act(activity_id, "close")
    await events.withdraw(signup, family.actor)
    assert (await events.stored(waits)).state is SignupState.CONFIRMED


async def test_what_is_withdrawn_is_not_withdrawn_again_and_frees_no_second_seat(events: Events) -> None:
    family, activity_id = await events.family(), await events.opened(capacity=1)
    signup = await events.sign_up(activity_id, family)
    waits = [await events.sign_up(activity_id, await events.family()) for _ in range(2)]
    assert (await events.withdraw(signup, family.actor, key="once")).status_code == 200
    assert (await events.withdraw(signup, family.actor, key="once")).status_code == 200
    refused = await events.withdraw(signup, family.actor)
    assert (refused.status_code, refused.json()["code"]) == (409, "signup_over")
    states = [(await events.stored(one)).state.value for one in waits]
    assert states == ["confirmed", "waitlisted"]


async def test_a_repeated_sign_up_with_its_key_is_one_sign_up(events: Events) -> None:
    family, activity_id = await events.family(2), await events.opened()
    answers = [await events.try_sign_up(activity_id, family, key="us") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert len(await events.signups(activity_id)) == 1
    refused = await events.try_sign_up(activity_id, family, family.adults[:1], key="us")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


async def test_cancelling_ends_every_sign_up_and_says_why(events: Events) -> None:
    family, queuing = await events.family(2), await events.family(1)
    activity_id = await events.opened(capacity=2)
    signup, waits = await events.sign_up(activity_id, family), await events.sign_up(activity_id, queuing)
    cancelled = await events.act(activity_id, "cancel", body={"reason": "大风预警"})
    assert (cancelled["state"], cancelled["taken"], cancelled["waitlisted"]) == ("cancelled", 0, 0)
    for one in (signup, waits):
        stored = await events.stored(one)
        assert (stored.state, stored.why) == (SignupState.WITHDRAWN, "activity_cancelled")
    assert (await events.show(activity_id))["history"][-1]["why"] == "大风预警"
    assert (await events.try_sign_up(activity_id, family)).json()["code"] == "signup_closed"
    assert (await events.withdraw(signup, family.actor)).json()["code"] == "signup_over"
    refused = await events.post(f"/activities/{activity_id}/cancel", events.organiser, {"reason": "再来"})
    assert refused.status_code == 409
    await events.check_seats(activity_id)


# Lists ----------------------------------------------------------------------------------------------------------------


async def test_a_household_sees_its_own_sign_ups_the_upcoming_ones_soonest_first(events: Events) -> None:
    family = await events.family(2)
    later = await events.opened(starts_at=clock.now() + timedelta(days=5), title="晚些")
    sooner = await events.opened(starts_at=clock.now() + timedelta(days=2), title="早些")
    gone = await events.opened(starts_at=clock.now() + timedelta(days=1))
    for activity_id in (later, sooner):
        await events.sign_up(activity_id, family)
    await events.withdraw(await events.sign_up(gone, family), family.actor)
    await events.sign_up(later, await events.family())
    other_adult = family.signed_in(family.adults[1])
    upcoming = (await events.get("/signups", other_adult, owner="me", upcoming="true")).json()["items"]
    assert [item["activity"]["title"] for item in upcoming] == ["早些", "晚些"]
    assert set(upcoming[0]["activity"]) >= {"id", "title", "category", "place", "starts_at", "ends_at", "state"}
    everything = (await events.get("/signups", family.actor, owner="me")).json()["items"]
    assert [item["activity_id"] for item in everything] == [later, sooner, gone]
    first = (await events.get("/signups", family.actor, owner="me", upcoming="true", limit=1)).json()
    second = await events.get(
        "/signups", family.actor, owner="me", upcoming="true", limit=1, cursor=first["next_cursor"]
    )
    assert [page["items"][0]["activity_id"] for page in (first, second.json())] == [sooner, later]
    assert second.json()["next_cursor"] is None
    assert (await events.get("/signups", events.organiser, owner="me")).json()["items"] == []
    assert (await events.get("/signups", family.actor)).status_code == 422, "whose, must be said"


async def test_what_can_still_be_checked_out_of_is_still_shown_as_upcoming(events: Events) -> None:
    family, starts_at = await events.family(), clock.now() + timedelta(days=1)
    activity_id = await events.opened(starts_at=starts_at)
    await events.sign_up(activity_id, family)
    ends_at = starts_at + timedelta(hours=2)
    for minutes, shown in ((0, [activity_id]), (29, [activity_id]), (30, [])):
        with clock.frozen(ends_at + timedelta(minutes=minutes)):
            items = (await events.get("/signups", family.actor, owner="me", upcoming="true")).json()["items"]
        assert [item["activity_id"] for item in items] == shown


async def test_another_households_cursor_is_refused(events: Events) -> None:
    family, other = await events.family(), await events.family()
    for one in (family, other):
        for _ in range(2):
            await events.sign_up(await events.opened(), one)
    page = (await events.get("/signups", family.actor, owner="me", limit=1)).json()
    refused = await events.get("/signups", other.actor, owner="me", limit=1, cursor=page["next_cursor"])
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_cursor")


async def test_organisers_see_who_comes_by_masked_names_and_others_do_not(events: Events) -> None:
    activity_id = await events.opened(capacity=2)
    families = [await events.family(1, True), await events.family(1)]
    for family in families:
        await events.sign_up(activity_id, family)
    path = f"/activities/{activity_id}/signups"
    items = (await events.get(path, events.colleague)).json()["items"]
    assert [item["household_id"] for item in items] == [str(family.id) for family in families]
    assert [item["state"] for item in items] == ["confirmed", "waitlisted"]
    assert {member["name"] for item in items for member in item["members"]} == {"张*"}
    assert sorted(member["child"] for member in items[0]["members"]) == [False, True]
    waiting = (await events.get(path, events.organiser, state="waitlisted")).json()["items"]
    assert [item["household_id"] for item in waiting] == [str(families[1].id)]
    first = (await events.get(path, events.organiser, limit=1)).json()
    second = (await events.get(path, events.organiser, limit=1, cursor=first["next_cursor"])).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [item["id"] for item in items]
    assert (await events.get(path, events.stranger)).json()["code"] == "not_organiser"
    for who, status in ((None, 401), (families[0].actor, 403), (events.administrator, 403)):
        assert (await events.get(path, who)).status_code == status
    draft = f"/activities/{await events.draft()}/signups"
    assert (await events.get(draft, events.stranger)).json()["code"] == "activity_not_found"


async def test_without_identity_organisers_still_see_who_comes_without_names(events: Events) -> None:
    activity_id = await events.opened()
    await events.sign_up(activity_id, await events.family())
    events.identity.down = True
    answer = await events.get(f"/activities/{activity_id}/signups", events.organiser)
    assert answer.status_code == 200
    assert [member["name"] for item in answer.json()["items"] for member in item["members"]] == [None]
