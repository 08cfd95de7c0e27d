"""Our copy of households: what identity tells in whatever order, and what follows from it for sign-ups."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.ids import new_id
from services.events.attendance.tables import Attendance
from services.events.households.queries import family as family_in
from services.events.households.tables import Household
from services.events.signups.queries import confirmed_members
from services.events.terms import SignupState
from tests.events.service import Events, Family
from tests.events.venue import a_venue

NOON = datetime(2026, 5, 4, 4, tzinfo=UTC)


async def version(events: Events, family: Family) -> int:
    """The version of our copy; 0 where there is none."""
    async with events.db.transaction() as session:
        household = await session.get(Household, family.id)
        return household.version if household else 0


# The copy -------------------------------------------------------------------------------------------------------------


async def test_a_household_that_is_not_known_here_is_asked_for_and_signed_up(events: Events) -> None:
    family, activity_id = await events.family(1, True, told=False), await events.opened()
    assert (await events.sign_up(activity_id, family))["state"] == "confirmed"
    assert await version(events, family) == 1
    asked = len(events.identity.asked)
    await events.sign_up(await events.opened(), family)
    assert len(events.identity.asked) == asked, "what is known is not asked for again"


async def test_a_member_who_joined_a_moment_ago_is_signed_up_before_the_message_comes(events: Events) -> None:
    family, activity_id = await events.family(), await events.opened()
    newcomer = new_id()
    family.adults.append(newcomer)
    family.change()
    assert (await events.sign_up(activity_id, family, [newcomer]))["state"] == "confirmed"
    assert (await events.sign_up(await events.opened(), family))["seats"] == 2
    await events.tell(family)
    assert await version(events, family) == 2


async def test_a_consent_given_a_moment_ago_counts_before_the_message_comes(events: Events) -> None:
    family, activity_id = await events.family(1, False), await events.opened()
    family.children[family.child] = True
    family.change()
    assert (await events.sign_up(activity_id, family))["seats"] == 2


async def test_while_identity_is_down_those_who_are_known_sign_up_and_others_are_told_to_come_again(
    events: Events,
) -> None:
    known, unknown = await events.family(1, True), await events.family(told=False)
    activity_id = await events.opened()
    events.identity.down = True
    signup = await events.sign_up(activity_id, known)
    refused = await events.try_sign_up(activity_id, unknown)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in refused.headers
    assert (await events.withdraw(signup, known.actor)).status_code == 200
    events.identity.down = False
    assert (await events.try_sign_up(activity_id, unknown)).status_code == 201


async def test_a_household_that_nobody_knows_signs_nobody_up(events: Events) -> None:
    family = Family([new_id()])
    refused = await events.try_sign_up(await events.opened(), family)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_of_household")


async def test_a_token_of_a_household_that_one_has_left_signs_nobody_up(events: Events) -> None:
    family, activity_id = await events.family(2), await events.opened()
    gone = family.signed_in(family.adults[1])
    signup = await events.sign_up(activity_id, family, family.adults[:1])
    family.lose(gone.id)
    await events.tell(family)
    for members in ([gone.id], family.adults):
        refused = await events.try_sign_up(activity_id, family, members, who=gone)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_of_household")
    assert (await events.withdraw(signup, gone)).json()["code"] == "not_of_household"
    assert (await events.get("/signups", gone, owner="me")).json()["code"] == "not_of_household"


async def test_the_token_of_a_deleted_account_shows_nothing_of_a_household_in_which_nobody_is_left(
    events: Events,
) -> None:
    family = await events.family()
    gone = family.actor
    await events.sign_up(await events.opened(), family)
    family.lose(gone.id)
    await events.tell(family)
    assert (await events.get("/signups", gone, owner="me")).json().get("code") == "not_of_household"


async def test_a_token_of_a_household_that_is_not_known_here_is_checked_with_identity(events: Events) -> None:
    family, activity_id = await events.family(2, told=False), await events.opened()
    gone = family.signed_in(family.adults[1])
    family.lose(gone.id)
    refused = await events.try_sign_up(activity_id, family, who=gone)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_of_household")


async def test_messages_that_come_twice_late_or_in_any_order_change_nothing_but_once(events: Events) -> None:
    family = await events.family(1, True, told=False)
    first = family.snapshot
    family.withdraw_consent()
    second = family.snapshot
    family.children[family.child] = True
    family.change()
    third = family.snapshot
    activity_id, message = await events.opened(), new_id()
    assert await events.send(third, ids=[message]) == ["accepted"]
    signup = await events.sign_up(activity_id, family)
    assert await events.send(third, ids=[message]) == ["accepted"]
    assert await events.send(second, first, third) == ["accepted"] * 3
    assert await version(events, family) == 3
    assert (await events.stored(signup)).state is SignupState.CONFIRMED, "a late message brings nothing back"
    async with events.db.transaction() as session:
        known = await family_in(session, family.id)
    assert known.members.keys() == set(family.everybody)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": 2**31},
        {"household_id": "ours"},
        {"members": [{"person_id": "me", "child": False, "consented": False}]},
        {"members": None},
    ],
    ids=["version-0", "version-too-large", "id", "person", "members"],
)
async def test_a_message_that_makes_no_sense_is_refused(events: Events, change: dict[str, Any]) -> None:
    family = Family([new_id()])
    assert await events.send(family.snapshot | change) == ["refused"]


# What follows ---------------------------------------------------------------------------------------------------------


async def test_a_withdrawn_consent_ends_the_whole_sign_up_and_the_next_family_comes_in(events: Events) -> None:
    family, waiting = await events.family(1, True), await events.family(2)
    activity_id, other = await events.opened(capacity=2), await events.opened()
    signup, waits = await events.sign_up(activity_id, family), await events.sign_up(activity_id, waiting)
    untouched = await events.sign_up(other, family, family.adults)
    family.withdraw_consent()
    await events.tell(family)
    ended = await events.stored(signup)
    assert (ended.state, ended.why) == (SignupState.WITHDRAWN, "consent_withdrawn")
    assert (await events.stored(waits)).state is SignupState.CONFIRMED
    assert (await events.stored(untouched)).state is SignupState.CONFIRMED, "the child is not named in it"
    await events.check_seats(activity_id)


async def test_a_consent_withdrawn_while_waiting_gives_up_the_place_in_the_queue(events: Events) -> None:
    activity_id, seated = await events.opened(capacity=2), await events.family(2)
    first = await events.sign_up(activity_id, seated)
    family, behind = await events.family(1, True), await events.family(1)
    waits, last = await events.sign_up(activity_id, family), await events.sign_up(activity_id, behind)
    family.withdraw_consent()
    await events.tell(family)
    ended = await events.stored(waits)
    assert (ended.state, ended.why) == (SignupState.WITHDRAWN, "consent_withdrawn")
    [own] = (await events.get("/signups", behind.actor, owner="me")).json()["items"]
    assert (own["id"], own["rank"], own["ahead"]) == (last["id"], 2, 0)
    await events.withdraw(first, seated.actor)
    assert (await events.stored(waits)).state is SignupState.WITHDRAWN, "it does not come in any more"
    await events.check_seats(activity_id)


async def test_after_the_start_a_withdrawn_consent_ends_the_sign_up_as_late(events: Events) -> None:
    family = await events.family(1, True)
    with clock.frozen(NOON):
        activity_id = await events.opened(starts_at=NOON + timedelta(hours=1))
        signup = await events.sign_up(activity_id, family)
    family.withdraw_consent()
    with clock.frozen(NOON + timedelta(minutes=61)):
        await events.tell(family)
    ended = await events.stored(signup)
    assert (ended.state, ended.why) == (SignupState.LATE, "consent_withdrawn")


async def test_a_member_who_leaves_the_household_ends_the_sign_ups_that_name_them(events: Events) -> None:
    family, activity_id = await events.family(2, True), await events.opened()
    apart = await events.opened()
    signup = await events.sign_up(activity_id, family)
    alone = await events.sign_up(apart, family, family.adults[:1])
    family.lose(family.adults[1])
    await events.tell(family)
    ended = await events.stored(signup)
    assert (ended.state, ended.why) == (SignupState.WITHDRAWN, "left_household")
    assert (await events.stored(alone)).state is SignupState.CONFIRMED
    assert (await events.sign_up(activity_id, family))["state"] == "confirmed"
    await events.check_seats(activity_id)


async def test_a_child_who_turns_fourteen_needs_no_consent_and_keeps_the_seat(events: Events) -> None:
    family, activity_id = await events.family(1, True), await events.opened()
    signup, child = await events.sign_up(activity_id, family), family.child
    del family.children[child]
    family.adults.append(child)
    family.change()
    await events.tell(family)
    assert (await events.stored(signup)).state is SignupState.CONFIRMED


async def test_what_is_over_stays_as_it_was(events: Events) -> None:
    family = await events.family(1, True)
    with clock.frozen(NOON):
        activity_id = await events.opened(starts_at=NOON, ends_at=NOON + timedelta(hours=1))
        signup = await events.sign_up(activity_id, family)
        await events.act(activity_id, "end")
    family.withdraw_consent()
    await events.tell(family)
    assert (await events.stored(signup)).state is SignupState.CONFIRMED


ORDERS = {"old-first": ("old", "new"), "new-first": ("new", "old"), "only-the-old": ("old",)}


@pytest.mark.parametrize("order", list(ORDERS.values()), ids=list(ORDERS))
async def test_a_dissolved_households_sign_ups_are_those_of_the_one_it_joined(
    events: Events, order: tuple[str, ...]
) -> None:
    old, new = await events.family(1, True), await events.family(2)
    activity_id, full = await events.opened(), await events.opened(capacity=1)
    signup = await events.sign_up(activity_id, old)
    await events.sign_up(full, await events.family())
    waits = await events.sign_up(full, old, old.adults)
    token = old.actor
    old.join(new)
    for name in order:
        await events.tell(old if name == "old" else new)
    for one, state in ((signup, SignupState.CONFIRMED), (waits, SignupState.WAITLISTED)):
        stored = await events.stored(one)
        assert (stored.household_id, stored.state) == (new.id, state)
    own = (await events.get("/signups", new.actor, owner="me")).json()["items"]
    assert {item["id"] for item in own} == {signup["id"], waits["id"]}
    assert (await events.withdraw(waits, token)).status_code == 200, "the token names the old household for a while"
    assert (await events.withdraw(signup, new.signed_in(new.adults[1]))).status_code == 200
    await events.check_seats(activity_id)


async def test_an_older_message_of_the_joined_household_does_not_end_what_came_with_the_other(events: Events) -> None:
    old, new = await events.family(1, True), await events.family(2)
    signup = await events.sign_up(await events.opened(), old)
    new.children[new_id()] = False
    new.change()
    before_the_joining = new.snapshot
    old.join(new)
    await events.tell(old)
    assert await events.send(before_the_joining) == ["accepted"]
    await events.tell(new)
    assert (await events.stored(signup)).state is SignupState.CONFIRMED


async def test_households_dissolved_one_into_the_next_hand_everything_to_the_last(events: Events) -> None:
    first, second, third = [await events.family() for _ in range(3)]
    signup = await events.sign_up(await events.opened(), first)
    first.join(second)
    second.join(third)
    await events.tell(second, first, third)
    assert (await events.stored(signup)).household_id == third.id


async def test_a_child_whose_consent_the_joined_household_withdrew_does_not_keep_the_seat(events: Events) -> None:
    old, new = await events.family(1, True), await events.family(1)
    signup = await events.sign_up(await events.opened(), old)
    child = old.child
    old.join(new)
    new.withdraw_consent(child)
    await events.tell(new)
    await events.tell(old)
    stored = await events.stored(signup)
    assert (stored.state, stored.why) == (SignupState.WITHDRAWN, "consent_withdrawn")


@pytest.mark.parametrize("told", [("joined", "gone", "old"), ("gone", "old")], ids=["in-steps", "at-once"])
async def test_who_left_the_joined_household_before_the_dissolution_was_told_does_not_keep_the_seat(
    events: Events, told: tuple[str, ...]
) -> None:
    old, new = await events.family(1, True), await events.family(1)
    signup = await events.sign_up(await events.opened(), old)
    child = old.child
    old.join(new)
    snapshots = {"joined": new.snapshot, "old": old.snapshot}
    new.lose(child)
    snapshots["gone"] = new.snapshot
    for name in told:
        assert await events.send(snapshots[name]) == ["accepted"]
    stored = await events.stored(signup)
    assert (stored.state, stored.why) == (SignupState.WITHDRAWN, "left_household")


async def test_who_comes_back_to_a_household_that_they_left_keeps_what_they_signed_up_for_meanwhile(
    events: Events,
) -> None:
    family, alone = await events.family(2), await events.family(0, told=False)
    leaver = family.adults[1]
    family.lose(leaver)
    alone.adults.append(leaver)
    await events.tell(family, alone)
    signup = await events.sign_up(await events.opened(), alone)
    alone.join(family)
    await events.tell(alone)
    await events.tell(family)
    stored = await events.stored(signup)
    assert (stored.household_id, stored.state) == (family.id, SignupState.CONFIRMED)


# While it takes place -------------------------------------------------------------------------------------------------


async def test_a_child_who_has_not_come_loses_its_seat_alone_once_others_of_the_family_are_there(
    events: Events,
) -> None:
    venue = await a_venue(events, NOON, capacity=3)
    family, waiting = await events.family(1, True, True), await events.family(1)
    signup, waits = await venue.sign_up(family), await venue.sign_up(waiting)
    absent = list(family.children)[1]
    await venue.check_in(family, NOON, members=family.everybody[:2])
    family.withdraw_consent(absent)
    with clock.frozen(NOON + timedelta(minutes=5)):
        await events.tell(family)
        await events.tell(family)
        [own] = (await events.get("/signups", family.actor, owner="me", upcoming="true")).json()["items"]
    assert (own["state"], own["seats"]) == ("confirmed", 2)
    assert {member["person_id"] for member in own["members"]} == {str(one) for one in family.everybody[:2]}
    assert (await events.stored(waits)).state is SignupState.CONFIRMED, "the seat goes to the next"
    async with events.db.transaction() as session:
        confirmed = await confirmed_members(session, UUID(venue.id))
    assert {one.person_id for one in confirmed} == {*family.everybody[:2], *waiting.adults}
    refused = await venue.scan("check-ins", family, NOON + timedelta(minutes=6), members=[absent])
    assert refused.status_code == 422
    assert signup["seats"] == 3
    await events.check_seats(venue.id)


async def test_a_child_who_is_there_when_its_consent_goes_keeps_the_familys_seats_and_nobody_is_let_in(
    events: Events,
) -> None:
    venue = await a_venue(events, NOON, capacity=2)
    family = await events.family(1, True)
    signup, waits = await venue.sign_up(family), await venue.sign_up(await events.family(1))
    await venue.check_in(family, NOON)
    family.withdraw_consent()
    with clock.frozen(NOON + timedelta(minutes=20)):
        await events.tell(family)
    assert (await events.stored(signup)).state is SignupState.CONFIRMED
    assert (await events.stored(waits)).state is SignupState.WAITLISTED
    await events.check_seats(venue.id)


async def test_who_took_part_before_their_household_joined_another_is_credited_there(events: Events) -> None:
    venue = await a_venue(events, NOON, capacity=5)
    old, new = await events.family(1), await events.family(1)
    await venue.sign_up(old)
    await venue.check_in(old, NOON)
    person = old.adults[0]
    old.join(new)
    with clock.frozen(NOON + timedelta(minutes=5)):
        await events.tell(new, old)
    async with events.db.transaction() as session:
        [attendance] = await session.scalars(select(Attendance).where(Attendance.person_id == person))
    assert (attendance.household_id, attendance.checked_out_at) == (new.id, None)
