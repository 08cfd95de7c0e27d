"""Families check in and out: all of them or those named, once, in time, and children only with a living consent."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.events.attendance import queries
from services.events.terms import AttendanceState
from tests.events.service import Events
from tests.events.venue import HOUR, MIN, SECOND, STARTS, Venue, a_venue, answered, refused
from tests.town import Town

ENDS = STARTS + 2 * HOUR
A_MOMENT = timedelta(microseconds=1)


@pytest.fixture
async def venue(events: Events) -> Venue:
    return await a_venue(events)


async def test_a_family_checks_in_and_out_with_all_its_members_signed_up(venue: Venue) -> None:
    family = await venue.events.family(2, True)
    parent, child = family.adults[0], family.child
    await venue.sign_up(family, [parent, child])
    came = await venue.check_in(family, STARTS)
    assert set(came) == {parent, child}
    for member in came.values():
        assert set(member) == {"person_id", "state", "checked_in_at", "checked_out_at"}
        assert (member["state"], member["checked_out_at"]) == ("checked_in", None)
        assert datetime.fromisoformat(member["checked_in_at"]) == STARTS
    left = await venue.check_out(family, ENDS)
    assert {member["state"] for member in left.values()} == {"checked_out"}
    assert {datetime.fromisoformat(member["checked_out_at"]) for member in left.values()} == {ENDS}


async def test_members_may_come_and_go_one_by_one(venue: Venue) -> None:
    family = await venue.family(2, True)
    first, second, child = *family.adults, family.child
    assert set(await venue.check_in(family, STARTS, members=[first])) == {first}
    assert set(await venue.check_in(family, STARTS + 20 * MIN, members=[child, second, child])) == {second, child}
    assert set(await venue.check_out(family, STARTS + HOUR, members=[second])) == {second}
    await venue.check_out(family, ENDS)
    stored = await venue.attendance()
    assert {person: row.checked_in_at for person, row in stored.items()} == {
        first: STARTS,
        second: STARTS + 20 * MIN,
        child: STARTS + 20 * MIN,
    }
    assert [stored[person].checked_out_at for person in (first, second, child)] == [ENDS, STARTS + HOUR, ENDS]


async def test_a_family_that_leaves_is_checked_out_as_far_as_it_came(venue: Venue) -> None:
    family = await venue.family(2)
    await venue.check_in(family, STARTS, members=family.adults[:1])
    assert set(await venue.check_out(family, ENDS)) == {family.adults[0]}


async def test_the_first_scan_counts_and_later_ones_get_the_same_answer(venue: Venue) -> None:
    family = await venue.family(2)
    first = await venue.check_in(family, STARTS)
    assert await venue.check_in(family, STARTS + 5 * MIN) == first
    left = await venue.check_out(family, STARTS + HOUR)
    assert await venue.check_out(family, STARTS + 70 * MIN) == left
    assert await venue.check_in(family, STARTS + 80 * MIN) == left


@pytest.fixture
async def busy_venue(venue: Venue, other_processes: list[Town]) -> Venue:
    """One that several processes of the service serve, so that scans really meet in the database."""
    venue.served_by(other_processes)
    return venue


@pytest.mark.parametrize("kind", ["check-ins", "check-outs"])
async def test_two_phones_of_a_family_that_scan_at_once_are_one_scan(busy_venue: Venue, kind: str) -> None:
    venue = busy_venue
    family = await venue.family(2, True)
    if kind == "check-outs":
        await venue.check_in(family, STARTS)
    times = [ENDS - HOUR + number * SECOND for number in range(8)]
    answers = await asyncio.gather(
        *(
            venue.scan(kind, family, at, who=family.signed_in(family.adults[number % 2]))
            for number, at in enumerate(times)
        )
    )
    first, *others = [answered(answer) for answer in answers]
    assert set(first) == set(family.everybody)
    assert all(other == first for other in others)
    assert len(await venue.attendance()) == 3


async def test_two_phones_that_scan_at_once_across_the_full_hour_are_one_scan(busy_venue: Venue) -> None:
    venue = busy_venue
    family = await venue.family(2)
    times = [STARTS + HOUR + (number - 4) * A_MOMENT for number in range(8)]
    answers = await asyncio.gather(*(venue.scan("check-ins", family, at) for at in times))
    first, *others = [answered(answer) for answer in answers]
    assert all(other == first for other in others)
    assert len(await venue.attendance()) == 2


async def test_families_do_not_wait_for_one_another_at_the_door(venue: Venue) -> None:
    """A family's scan that takes long (its transaction is still open) does not keep the next one outside."""
    slow, quick = await venue.family(), await venue.family()
    async with venue.events.db.transaction() as session:
        await queries.share_activity(session, UUID(venue.id))
        await queries.lock_signups(session, UUID(venue.id), slow.id)
        await venue.check_in(quick, STARTS)


@pytest.mark.parametrize("kind", ["check-ins", "check-outs"])
async def test_whoever_is_not_signed_up_is_named_and_nobody_is_let_in(venue: Venue, kind: str) -> None:
    family, other = await venue.events.family(3), await venue.family()
    here, away, _ = family.adults
    await venue.sign_up(family, [here])
    if kind == "check-outs":
        await venue.check_in(family, STARTS)
    for stranger in (away, other.adults[0], new_id()):
        answer = await venue.scan(kind, family, STARTS + MIN, members=[here, stranger])
        assert refused(answer) == (422, "member_not_signed_up", ["body.members.1"])
    assert all(row.checked_out_at is None for row in (await venue.attendance()).values())
    assert len(await venue.attendance()) == (kind == "check-outs")


async def test_an_empty_list_of_members_is_a_mistake(venue: Venue) -> None:
    answer = await venue.scan("check-ins", await venue.family(), STARTS, members=[])
    assert refused(answer) == (422, "invalid", ["body.members"])


async def test_families_without_a_seat_are_not_let_in(events: Events) -> None:
    venue = await a_venue(events, capacity=1)
    seated, waiting, never, gone = [await events.family() for _ in range(4)]
    await venue.sign_up(seated)
    withdrawn = await venue.sign_up(gone)
    await venue.sign_up(waiting)
    with clock.frozen(STARTS - 24 * HOUR):
        assert (await events.withdraw(withdrawn, gone.actor)).status_code == 200
    for family in (waiting, never, gone):
        answer = await venue.scan("check-ins", family, STARTS)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_signed_up")
    assert await venue.attendance() == {}
    await venue.check_in(seated, STARTS)


async def test_check_in_begins_half_an_hour_before_the_start(venue: Venue) -> None:
    family = await venue.family()
    early = await venue.scan("check-ins", family, STARTS - 30 * MIN - A_MOMENT)
    assert (early.status_code, early.json()["code"]) == (409, "too_early")
    assert "2027-05-15T00:30:00" in early.json()["detail"]
    await venue.check_in(family, STARTS - 30 * MIN)


async def test_nobody_checks_in_or_out_of_an_activity_that_has_ended(venue: Venue) -> None:
    here, late = await venue.family(), await venue.family()
    await venue.check_in(here, STARTS)
    await venue.end(STARTS + HOUR)
    for kind, family in (("check-outs", here), ("check-ins", late)):
        answer = await venue.scan(kind, family, STARTS + HOUR)
        assert (answer.status_code, answer.json()["code"]) == (409, "activity_over")
    await venue.settle()
    assert (await venue.scan("check-ins", late, ENDS + HOUR)).json()["code"] == "activity_over"


async def test_an_activity_that_nobody_ended_takes_scans_for_half_an_hour_more(venue: Venue) -> None:
    family = await venue.family()
    await venue.check_in(family, ENDS + 30 * MIN - A_MOMENT)
    late = await venue.scan("check-outs", family, ENDS + 30 * MIN)
    assert (late.status_code, late.json()["code"]) == (409, "activity_over")


async def test_nobody_checks_in_to_a_cancelled_activity(venue: Venue) -> None:
    family = await venue.family()
    await venue.act("cancel", STARTS - HOUR, body={"reason": "大雨"})
    assert (await venue.scan("check-ins", family, STARTS)).json()["code"] == "activity_over"


async def test_nobody_learns_of_a_draft_by_scanning(events: Events) -> None:
    family, draft = await events.family(), await events.draft()
    answer = await events.post(f"/activities/{draft}/check-ins", family.actor, {"code": "000000"})
    assert (answer.status_code, answer.json()["code"]) == (404, "activity_not_found")


async def test_whoever_did_not_check_in_cannot_check_out(venue: Venue) -> None:
    family = await venue.family(2)
    answer = await venue.scan("check-outs", family, STARTS)
    assert refused(answer) == (409, "not_checked_in", [])
    await venue.check_in(family, STARTS, members=family.adults[:1])
    named = await venue.scan("check-outs", family, STARTS + MIN, members=family.adults)
    assert refused(named) == (409, "not_checked_in", ["body.members.1"])
    assert (await venue.attendance())[family.adults[0]].checked_out_at is None


async def test_check_in_leaves_the_family_its_seats(venue: Venue) -> None:
    family = await venue.events.family()
    signup = await venue.sign_up(family)
    await venue.check_in(family, STARTS)
    with clock.frozen(STARTS + MIN):
        answer = await venue.events.withdraw(signup, family.actor)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_checked_in")


@pytest.mark.parametrize("round_", range(6))
async def test_of_a_scan_and_a_withdrawal_at_once_one_happens(busy_venue: Venue, round_: int) -> None:
    venue = busy_venue
    family = await venue.events.family(2)
    signup = await venue.sign_up(family)
    code = await venue.code(STARTS)
    next(venue.processes)
    with clock.frozen(STARTS):
        both = [venue.scan("check-ins", family, STARTS, code=code), venue.events.withdraw(signup, family.actor)]
        answers = await asyncio.gather(*both[:: 1 if round_ % 2 else -1])
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await venue.attendance()) in {0, 2}


# Children -------------------------------------------------------------------------------------------------------------


async def test_a_child_whose_consent_was_withdrawn_while_checked_in_takes_part_no_more(venue: Venue) -> None:
    family = await venue.family(1, True, True)
    child, sibling = family.children
    await venue.check_in(family, STARTS)
    family.withdraw_consent(child)
    with clock.frozen(STARTS + 50 * MIN):
        await venue.events.tell(family)
    stored = await venue.attendance()
    assert (stored[child].state, stored[child].checked_out_at) == (AttendanceState.CHECKED_OUT, STARTS + 50 * MIN)
    assert stored[child].why == "consent_withdrawn"
    assert stored[sibling].state is AttendanceState.CHECKED_IN

    everybody = await venue.scan("check-ins", family, STARTS + HOUR)
    assert refused(everybody) == (422, "consent_required", ["body.members"])
    named = await venue.scan("check-ins", family, STARTS + HOUR, members=[sibling, child])
    assert refused(named) == (422, "consent_required", ["body.members.1"])
    assert set(await venue.check_out(family, ENDS)) == set(family.everybody)
    await venue.end()
    settled = await venue.settle()
    assert (settled[child]["minutes"], settled[child]["why"]) == (45, "consent_withdrawn")
    assert (settled[sibling]["minutes"], settled[family.adults[0]]["minutes"]) == (120, 120)


async def test_a_consent_given_again_does_not_bring_the_child_back_into_this_activity(venue: Venue) -> None:
    family = await venue.family(1, True)
    await venue.check_in(family, STARTS)
    family.withdraw_consent()
    with clock.frozen(STARTS + 20 * MIN):
        await venue.events.tell(family)
    family.children[family.child] = True
    family.change()
    with clock.frozen(STARTS + 30 * MIN):
        await venue.events.tell(family)
    answer = await venue.scan("check-ins", family, STARTS + 40 * MIN, members=[family.child])
    assert refused(answer) == (409, "attendance_ended", ["body.members.0"])
    await venue.check_out(family, ENDS)
    assert (await venue.attendance())[family.child].checked_out_at == STARTS + 20 * MIN


async def test_a_child_whose_consent_was_withdrawn_before_it_came_is_not_let_in_with_the_others(venue: Venue) -> None:
    family = await venue.family(1, True)
    await venue.check_in(family, STARTS, members=family.adults)
    family.withdraw_consent()
    with clock.frozen(STARTS + MIN):
        await venue.events.tell(family)
    answer = await venue.scan("check-ins", family, STARTS + 2 * MIN, members=[family.child])
    assert answer.status_code == 422
    assert set(await venue.check_in(family, STARTS + 2 * MIN)) == set(family.adults)
    assert set(await venue.attendance()) == set(family.adults)


async def test_a_child_that_had_left_when_its_consent_was_withdrawn_keeps_its_hours(venue: Venue) -> None:
    family = await venue.family(1, True)
    await venue.visit(family, STARTS, STARTS + HOUR)
    family.withdraw_consent()
    with clock.frozen(STARTS + 90 * MIN):
        await venue.events.tell(family)
    await venue.end()
    assert (await venue.settle())[family.child]["minutes"] == 60


async def test_withdrawing_consent_after_the_end_is_no_check_out(venue: Venue) -> None:
    """Or whoever forgot to check out would be paid to the end without a review."""
    family = await venue.family(1, True)
    await venue.check_in(family, STARTS)
    await venue.end()
    family.withdraw_consent()
    with clock.frozen(ENDS + MIN):
        await venue.events.tell(family)
    settled = await venue.settle()
    assert {line["why"] for line in settled.values()} == {"no_check_out"}


async def test_a_member_who_leaves_the_family_is_checked_out_at_that_moment(venue: Venue) -> None:
    family = await venue.family(2)
    stays, leaves = family.adults
    await venue.check_in(family, STARTS)
    family.lose(leaves)
    with clock.frozen(STARTS + 35 * MIN):
        await venue.events.tell(family)
    await venue.check_out(family, ENDS)
    await venue.end()
    settled = await venue.settle()
    assert {person: line["minutes"] for person, line in settled.items()} == {stays: 120, leaves: 30}
    assert settled[leaves]["why"] == "left_household"


async def test_a_member_who_left_the_family_does_not_keep_the_others_outside(venue: Venue) -> None:
    family = await venue.family(3)
    stays, leaves, comes_late = family.adults
    await venue.check_in(family, STARTS, members=[stays, leaves])
    family.lose(leaves)
    with clock.frozen(STARTS + 35 * MIN):
        await venue.events.tell(family)
    assert set(await venue.check_in(family, STARTS + HOUR)) == {stays, comes_late}
    answer = await venue.scan("check-ins", family, STARTS + HOUR, members=[comes_late, leaves])
    assert refused(answer) == (422, "not_a_member", ["body.members.1"])


async def test_a_family_that_joins_another_during_the_activity_checks_out_with_it(venue: Venue) -> None:
    family, other = await venue.family(1, True), await venue.events.family()
    await venue.check_in(family, STARTS)
    people, before = family.everybody, family.actor
    family.join(other)
    with clock.frozen(STARTS + 10 * MIN):
        await venue.events.tell(family, other)
    left = await venue.check_out(other, ENDS, who=before)
    assert set(left) == set(people)
    await venue.end()
    await venue.settle()
    facts = await venue.facts()
    assert {data["household_id"] for _, data in facts} == {str(other.id)}
    assert {data["minutes"] for _, data in facts} == {120}
