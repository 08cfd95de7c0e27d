"""Hours are verified by an organiser of the organisation, never by the family that gets them, and told once."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING, day_of
from chassis.core.ids import new_id
from services.events.attendance.tables import Verification
from services.events.terms import AttendanceState
from tests.events.service import Events, Family
from tests.events.venue import HOUR, MIN, SECOND, STARTS, Venue, a_venue, adjustment, refused
from tests.town import Town, actor

ENDS = STARTS + 2 * HOUR


@pytest.fixture
async def venue(events: Events) -> Venue:
    return await a_venue(events)


def organiser_of(events: Events, family: Family, *, token: bool) -> Actor:
    """An organiser who belongs to this family: says their access token alone, or our copy of the household alone."""
    return actor(
        "resident",
        "organiser",
        id=None if token else family.adults[0],
        organisation_id=events.organisation,
        household_id=family.id if token else None,
    )


# Hours ----------------------------------------------------------------------------------------------------------------


async def test_a_family_that_came_and_left_is_verified_and_its_hours_are_told(venue: Venue) -> None:
    family = await venue.family(1, True)
    await venue.visit(family, STARTS + 3 * MIN, STARTS + 70 * MIN)
    await venue.end()
    settled = await venue.settle()
    assert set(settled) == set(family.everybody)
    assert {(line["state"], line["minutes"], line["why"]) for line in settled.values()} == {("verified", 60, None)}
    facts = await venue.facts()
    assert [kind for kind, _ in facts] == ["verified", "verified"]
    stored = await venue.attendance()
    fact = next(data for _, data in facts if data["person_id"] == str(family.child))
    assert datetime.fromisoformat(fact.pop("occurred_at")) == STARTS + 3 * MIN
    assert UUID(fact.pop("verification_id"))
    assert fact == {
        "attendance_id": str(stored[family.child].id),
        "activity_id": venue.id,
        "activity_title": "社区植树",
        "category": "environment",
        "organisation_id": str(venue.events.organisation),
        "person_id": str(family.child),
        "household_id": str(family.id),
        "minutes": 60,
    }


@pytest.mark.parametrize(
    ("came", "left", "minutes"),
    [
        (-30 * MIN, 120 * MIN, 120),
        (-30 * MIN, -1 * MIN, 0),
        (-10 * MIN, 15 * MIN - SECOND, 0),
        (timedelta(), 15 * MIN, 15),
        (SECOND, 120 * MIN, 105),
        (timedelta(), 145 * MIN, 120),
        (121 * MIN, 140 * MIN, 0),
    ],
    ids=[
        "early",
        "left-before-the-start",
        "a-quarter-minus-a-second",
        "a-quarter",
        "a-second-late",
        "left-late",
        "came-after-the-end",
    ],
)
async def test_hours_are_the_overlap_with_the_schedule(
    venue: Venue, came: timedelta, left: timedelta, minutes: int
) -> None:
    family = await venue.family()
    await venue.visit(family, STARTS + came, STARTS + left)
    await venue.end(ENDS + 26 * MIN)
    assert (await venue.settle())[family.adults[0]]["minutes"] == minutes
    assert await venue.credited() == ({family.adults[0]: minutes} if minutes else {})
    assert len(await venue.facts()) == (minutes > 0)


async def test_hours_over_midnight_count_for_the_day_on_which_they_began(events: Events) -> None:
    evening = datetime(2027, 5, 15, 23, tzinfo=BEIJING)
    venue = await a_venue(events, evening, evening + 3 * HOUR)
    before, after = await venue.family(), await venue.family()
    await venue.visit(before, evening - 10 * MIN, evening + 130 * MIN)
    await venue.visit(after, evening + 65 * MIN, evening + 3 * HOUR)
    await venue.end()
    await venue.settle()
    days = {
        data["person_id"]: day_of(datetime.fromisoformat(data["occurred_at"])).day for _, data in await venue.facts()
    }
    assert days == {str(before.adults[0]): 15, str(after.adults[0]): 16}
    assert await venue.credited() == {before.adults[0]: 120, after.adults[0]: 105}


async def test_coming_before_midnight_for_what_begins_after_it_counts_for_the_day_after(events: Events) -> None:
    midnight = datetime(2027, 5, 16, tzinfo=BEIJING)
    venue = await a_venue(events, midnight + 10 * MIN)
    family = await venue.family()
    await venue.visit(family, midnight - 15 * MIN, midnight + 70 * MIN)
    await venue.end()
    await venue.settle()
    [(_, fact)] = await venue.facts()
    assert (day_of(datetime.fromisoformat(fact["occurred_at"])).day, fact["minutes"]) == (16, 60)


async def test_an_activity_of_several_days_counts_all_of_them(events: Events) -> None:
    venue = await a_venue(events, STARTS, STARTS + 50 * HOUR)
    family = await venue.family()
    await venue.visit(family, STARTS, STARTS + 49 * HOUR)
    await venue.end()
    assert (await venue.settle())[family.adults[0]]["minutes"] == 49 * 60


async def test_what_ended_before_its_start_gives_no_hours_and_no_day_in_the_future(venue: Venue) -> None:
    family = await venue.family(2)
    await venue.visit(family, STARTS - 20 * MIN, STARTS - 15 * MIN)
    await venue.end(STARTS - 10 * MIN)
    first, second = family.adults
    venue.settled(await venue.act("settle", STARTS - 5 * MIN, body={"adjustments": [adjustment(first, 60)]}))
    [(_, fact)] = await venue.facts()
    assert datetime.fromisoformat(fact["occurred_at"]) == STARTS - 10 * MIN
    assert (await shown(venue))[second]["minutes"] == 0


# Who is left ----------------------------------------------------------------------------------------------------------


async def shown(venue: Venue, **params: int) -> dict[UUID, dict[str, object]]:
    """The attendance as the organisers see it, gathered from all pages."""
    lines: list[dict[str, object]] = []
    cursor: dict[str, str] = {}
    while True:
        path = f"/activities/{venue.id}/attendance"
        answer = await venue.events.get(path, venue.events.colleague, **params, **cursor)
        assert answer.status_code == 200, answer.text
        lines += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            assert len({line["person_id"] for line in lines}) == len(lines)
            return {UUID(str(line["person_id"])): line for line in lines}
        cursor = {"cursor": answer.json()["next_cursor"]}


async def test_who_did_not_check_out_waits_until_an_organiser_says_how_long(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.check_in(family, STARTS)
    await venue.end(STARTS + 65 * MIN)
    line = (await venue.settle())[person]
    assert (line["state"], line["why"], line["minutes"], line["scanned_minutes"]) == (
        "in_review",
        "no_check_out",
        None,
        60,
    )
    await venue.settle()
    assert await venue.facts() == []
    line = venue.settled(await venue.try_settle({person: 45}))[person]
    assert (line["state"], line["why"], line["minutes"], line["adjusted"]) == ("verified", None, 45, True)
    assert await venue.credited() == {person: 45}


async def test_who_never_came_is_a_no_show_unless_an_organiser_saw_them(venue: Venue) -> None:
    absent, seen = await venue.family(), await venue.family()
    await venue.end()
    settled = venue.settled(await venue.try_settle({seen.adults[0]: 90}))
    assert (settled[absent.adults[0]]["state"], settled[absent.adults[0]]["minutes"]) == ("no_show", None)
    assert (settled[seen.adults[0]]["state"], settled[seen.adults[0]]["minutes"]) == ("verified", 90)
    [(_, fact)] = await venue.facts()
    assert datetime.fromisoformat(fact["occurred_at"]) == ENDS
    venue.settled(await venue.try_settle({absent.adults[0]: 30}))
    assert await venue.credited() == {seen.adults[0]: 90, absent.adults[0]: 30}


async def test_whoever_withdrew_is_not_settled_and_cannot_be_credited(venue: Venue) -> None:
    family, gone = await venue.family(), await venue.events.family()
    signup = await venue.sign_up(gone)
    with clock.frozen(STARTS - HOUR):
        assert (await venue.events.withdraw(signup, gone.actor)).status_code == 200
    await venue.end()
    answer = await venue.try_settle({family.adults[0]: 60, gone.adults[0]: 60})
    assert refused(answer) == (422, "not_in_activity", ["body.adjustments.1.person_id"])
    assert set(await venue.settle()) == set(family.adults)
    assert refused(await venue.correct(gone.adults[0], 60)) == (422, "not_in_activity", ["body.person_id"])
    assert await venue.facts() == []


async def test_families_on_the_waitlist_are_neither_no_shows_nor_credited(events: Events) -> None:
    venue = await a_venue(events, capacity=1)
    seated, waiting = await venue.family(), await venue.family()
    await venue.end()
    assert refused(await venue.try_settle({waiting.adults[0]: 60}))[1] == "not_in_activity"
    assert set(await venue.settle()) == set(seated.adults)


async def test_adjustments_must_be_whole_quarters_of_at_most_a_day_with_a_reason_and_each_person_once(
    venue: Venue,
) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.end()
    for minutes in (-15, 10, 1455, 15.5, "60", None):
        body = {"adjustments": [{"person_id": str(person), "minutes": minutes, "reason": "现场记录"}]}
        answer = await venue.act("settle", ENDS, body=body)
        assert refused(answer) == (422, "invalid", ["body.adjustments.0.minutes"])
    for reason in ("", "  ", None):
        body = {"adjustments": [{"person_id": str(person), "minutes": 60, "reason": reason}]}
        answer = await venue.act("settle", ENDS, body=body)
        assert refused(answer) == (422, "invalid", ["body.adjustments.0.reason"])
    body = {"adjustments": [adjustment(person, 60), adjustment(person, 60)]}
    answer = await venue.act("settle", ENDS, body=body)
    assert refused(answer) == (422, "invalid", ["body.adjustments.1.person_id"])
    assert (await venue.events.show(venue.id))["state"] == "ended"
    assert await venue.attendance() == {}


async def test_only_what_has_ended_is_settled_and_only_what_is_settled_is_corrected(venue: Venue) -> None:
    family = await venue.family()
    await venue.check_in(family, STARTS)
    for action, body in (("settle", None), ("corrections", adjustment(family.adults[0], 60))):
        answer = await venue.act(action, STARTS + HOUR, body=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    await venue.end()
    answer = await venue.correct(family.adults[0], 60)
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert await venue.facts() == []


async def test_an_activity_may_be_ended_early_but_not_before_anybody_can_have_come(venue: Venue) -> None:
    early = await venue.act("end", STARTS - 31 * MIN)
    assert (early.status_code, early.json()["code"]) == (409, "too_early")
    ended = await venue.act("end", STARTS - 30 * MIN, body={})
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert datetime.fromisoformat(ended.json()["ended_at"]) == STARTS - 30 * MIN
    again = await venue.act("end", STARTS)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


# Once -----------------------------------------------------------------------------------------------------------------


async def verifications(venue: Venue) -> int:
    """How many verifications there are for the people of this activity."""
    ids = [row.id for row in (await venue.attendance()).values()]
    async with venue.events.db.transaction() as session:
        return int(await session.scalar(select(func.count()).where(Verification.attendance_id.in_(ids))) or 0)


async def test_settling_twice_tells_each_fact_once(venue: Venue) -> None:
    family, seen = await venue.family(2), await venue.family()
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    first = venue.settled(await venue.try_settle({seen.adults[0]: 60}))
    facts = await venue.facts()
    assert venue.settled(await venue.try_settle({seen.adults[0]: 60})) == first
    assert await venue.settle(venue.events.colleague) == first
    assert await venue.facts() == facts
    assert (len(facts), await verifications(venue)) == (3, 3)


async def test_settling_ten_times_at_once_tells_each_fact_once(venue: Venue) -> None:
    families = [await venue.family() for _ in range(4)]
    seen = await venue.family()
    for family in families:
        await venue.visit(family, STARTS, ENDS)
    await venue.end()
    answers = await asyncio.gather(*(venue.try_settle({seen.adults[0]: 60}) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json()["attendance"] == answers[0].json()["attendance"] for answer in answers)
    assert await venue.credited() == {family.adults[0]: 120 for family in families} | {seen.adults[0]: 60}
    history = (await venue.events.show(venue.id))["history"]
    assert [change["to_state"] for change in history][-2:] == ["ended", "settled"]
    assert (len(await venue.facts()), await verifications(venue)) == (5, 5)


async def test_of_a_check_out_and_the_end_at_once_neither_is_lost(venue: Venue, other_processes: list[Town]) -> None:
    venue.served_by(other_processes)
    families = [await venue.family() for _ in range(6)]
    for family in families:
        await venue.check_in(family, STARTS)
    code = await venue.code(ENDS)
    scans = [venue.scan("check-outs", family, ENDS, code=code) for family in families]
    end = venue.act("end", ENDS)
    answers = await asyncio.gather(*scans[:3], end, *scans[3:])
    ended, scanned = answers.pop(3), answers
    assert ended.status_code == 200
    out = {
        family.adults[0]
        for family, answer in zip(families, scanned, strict=True)
        if answer.status_code == 200 or answer.json()["code"] != "activity_over"
    }
    settled = await venue.settle()
    assert {person for person, line in settled.items() if line["state"] == "verified"} == out


async def test_minutes_that_were_verified_are_not_changed_by_settling_again(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    await venue.settle()
    answer = await venue.try_settle({person: 60})
    assert refused(answer) == (409, "already_verified", ["body.adjustments.0.minutes"])
    assert await venue.credited() == {person: 120}


# Corrections ----------------------------------------------------------------------------------------------------------


async def test_a_correction_takes_the_hours_back_and_credits_them_anew(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    await venue.settle()
    line = (await venue.correct(person, 60, venue.events.colleague)).json()
    assert (line["state"], line["minutes"], line["scanned_minutes"], line["adjusted"]) == ("verified", 60, 120, True)
    (_, first), (kind, withdrawn), (_, second) = await venue.facts()
    assert kind == "withdrawn"
    assert withdrawn["verification_id"] == first["verification_id"] != second["verification_id"]
    assert withdrawn["attendance_id"] == first["attendance_id"] == second["attendance_id"]
    assert second["occurred_at"] == first["occurred_at"]
    assert await venue.credited() == {person: 60}
    await venue.settle()
    assert await venue.credited() == {person: 60}


async def test_correcting_to_nothing_takes_the_hours_back_and_correcting_again_gives_them(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    await venue.settle()
    assert (await venue.correct(person, 0)).json()["minutes"] == 0
    assert [kind for kind, _ in await venue.facts()] == ["verified", "withdrawn"]
    await venue.correct(person, 75)
    assert [kind for kind, _ in await venue.facts()] == ["verified", "withdrawn", "verified"]
    assert await venue.credited() == {person: 75}


async def test_a_correction_made_twice_or_to_the_same_minutes_changes_nothing_more(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    await venue.settle()
    assert (await venue.correct(person, 120)).status_code == 200
    answers = await asyncio.gather(*(venue.correct(person, 60) for _ in range(6)))
    assert {answer.json()["minutes"] for answer in answers} == {60}
    assert [kind for kind, _ in await venue.facts()] == ["verified", "withdrawn", "verified"]


async def test_corrections_at_once_end_with_one_of_them(venue: Venue) -> None:
    family = await venue.family()
    [person] = family.adults
    await venue.end()
    await venue.settle()
    answers = await asyncio.gather(*(venue.correct(person, minutes) for minutes in (15, 30, 45, 60)))
    assert {answer.status_code for answer in answers} == {200}
    [line] = (await shown(venue)).values()
    assert await venue.credited() == {person: line["minutes"]}


# Nobody verifies their own household ----------------------------------------------------------------------------------


async def both_came(venue: Venue) -> tuple[Family, Family]:
    """The organiser's family and another one, who came and left; the activity has ended."""
    own, other = await venue.family(2, True), await venue.family()
    for family in (own, other):
        await venue.visit(family, STARTS, ENDS)
    await venue.end()
    return own, other


@pytest.mark.parametrize("token", [True, False], ids=["by-token", "by-our-copy"])
async def test_an_organisers_own_family_waits_for_another_organiser(venue: Venue, token: bool) -> None:
    own, other = await both_came(venue)
    organiser = organiser_of(venue.events, own, token=token)
    settled = await venue.settle(organiser)
    for person in own.everybody:
        assert (settled[person]["state"], settled[person]["why"], settled[person]["minutes"]) == (
            "in_review",
            "own_household",
            None,
        )
    assert await venue.credited() == {other.adults[0]: 120}
    await venue.settle(organiser)
    assert await venue.credited() == {other.adults[0]: 120}
    settled = await venue.settle(venue.events.colleague)
    assert {line["state"] for line in settled.values()} == {"verified"}
    assert {line["why"] for line in settled.values()} == {None}
    assert await venue.credited() == dict.fromkeys([*own.everybody, *other.adults], 120)


@pytest.mark.parametrize("token", [True, False], ids=["by-token", "by-our-copy"])
async def test_an_organiser_does_not_credit_their_own_family_by_an_adjustment(venue: Venue, token: bool) -> None:
    own, other = await both_came(venue)
    organiser = organiser_of(venue.events, own, token=token)
    for person in own.everybody:
        answer = await venue.try_settle({other.adults[0]: 60, person: 240}, organiser)
        assert refused(answer) == (403, "own_household", ["body.adjustments.1.person_id"])
    assert (await venue.events.show(venue.id))["state"] == "ended"
    assert await venue.facts() == []


@pytest.mark.parametrize("token", [True, False], ids=["by-token", "by-our-copy"])
async def test_an_organiser_does_not_credit_their_own_family_by_a_correction(venue: Venue, token: bool) -> None:
    own, other = await both_came(venue)
    await venue.settle(venue.events.colleague)
    organiser = organiser_of(venue.events, own, token=token)
    for person in own.everybody:
        assert refused(await venue.correct(person, 240, organiser)) == (403, "own_household", ["body.person_id"])
    assert (await venue.correct(other.adults[0], 60, organiser)).status_code == 200
    assert await venue.credited() == dict.fromkeys(own.everybody, 120) | {other.adults[0]: 60}


async def test_an_organiser_whose_family_joined_another_does_not_credit_either_of_them(venue: Venue) -> None:
    own, other = await both_came(venue)
    organiser = organiser_of(venue.events, own, token=False)
    own.join(other)
    await venue.events.tell(own, other)
    settled = await venue.settle(organiser)
    assert {line["why"] for line in settled.values()} == {"own_household"}
    assert await venue.facts() == []


@pytest.mark.parametrize("goes", ["the-organiser", "the-family"])
async def test_an_organiser_does_not_credit_their_own_family_by_parting_from_it_for_the_while(
    venue: Venue, goes: str
) -> None:
    family = await venue.events.family(2)
    organiser, wife = family.adults
    apart = await venue.events.family(0, told=False)
    leaver = organiser if goes == "the-organiser" else wife
    if leaver is organiser:
        await venue.sign_up(family, [wife])
    family.lose(leaver)
    apart.adults.append(leaver)
    with clock.frozen(STARTS - 23 * HOUR):
        await venue.events.tell(family, apart)
    household = family if goes == "the-organiser" else apart
    if leaver is wife:
        await venue.sign_up(apart)
    await venue.visit(household, STARTS, ENDS, who=household.signed_in(wife))
    await venue.end()
    their_own = apart if leaver is organiser else family
    token = actor(
        "resident",
        "organiser",
        id=organiser,
        organisation_id=venue.events.organisation,
        household_id=their_own.id,
    )
    assert (await venue.settle(token))[wife]["why"] == "own_household"
    assert refused(await venue.try_settle({wife: 60}, token))[1] == "own_household"
    assert refused(await venue.correct(wife, 60, token))[1] == "own_household"
    assert (await venue.settle(venue.events.colleague))[wife]["minutes"] == 120


async def test_an_organiser_who_parted_from_somebody_long_ago_verifies_them_like_anybody_else(venue: Venue) -> None:
    family = await venue.events.family(2)
    with clock.frozen(STARTS - timedelta(days=91)):
        former = family.adults[1]
        family.lose(former)
        await venue.events.tell(family)
    await venue.sign_up(family)
    await venue.visit(family, STARTS, ENDS)
    await venue.end()
    token = actor("organiser", id=former, organisation_id=venue.events.organisation)
    assert (await venue.settle(token))[family.adults[0]]["minutes"] == 120


async def test_an_organiser_who_took_part_themselves_is_verified_by_another(venue: Venue) -> None:
    alone = await venue.family()
    await venue.visit(alone, STARTS, ENDS)
    await venue.end()
    organiser = venue.events.staff("organiser", venue.events.organisation, id=alone.adults[0])
    assert (await venue.settle(organiser))[alone.adults[0]]["why"] == "own_household"
    assert (await venue.settle())[alone.adults[0]]["state"] == "verified"


# Who may --------------------------------------------------------------------------------------------------------------


async def test_organisers_of_another_organisation_end_settle_and_correct_nothing(venue: Venue) -> None:
    family = await venue.family()
    await venue.visit(family, STARTS, ENDS)
    events, path = venue.events, f"/activities/{venue.id}"
    for step in ("end", "settle"):
        answer = await venue.act(step, ENDS, events.stranger)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_organiser")
        assert (await venue.act(step, ENDS, family.actor)).status_code == 403
        assert (await venue.act(step, ENDS)).status_code == 200
    assert (await venue.correct(family.adults[0], 60, events.stranger)).json()["code"] == "not_organiser"
    assert (await events.get(f"{path}/attendance", events.stranger)).json()["code"] == "not_organiser"
    assert (await events.get(f"{path}/attendance", family.actor)).status_code == 403
    draft = await events.draft()
    for step in ("end", "settle"):
        assert (await events.post(f"/activities/{draft}/{step}", events.stranger)).status_code == 404
        assert (await events.post(f"/activities/{new_id()}/{step}", events.organiser)).status_code == 404
    assert await venue.credited() == {family.adults[0]: 120}


# The list -------------------------------------------------------------------------------------------------------------


async def test_organisers_see_who_is_expected_who_is_there_and_who_has_left(venue: Venue) -> None:
    expected, here, gone = [await venue.family() for _ in range(3)]
    await venue.check_in(here, STARTS)
    await venue.visit(gone, STARTS, STARTS + HOUR)
    lines = await shown(venue)
    assert {person: line["state"] for person, line in lines.items()} == {
        expected.adults[0]: "expected",
        here.adults[0]: "checked_in",
        gone.adults[0]: "checked_out",
    }
    assert (
        {line["minutes"] for line in lines.values()} == {line["scanned_minutes"] for line in lines.values()} == {None}
    )
    assert list(lines) == sorted(lines)


async def test_the_list_comes_in_pages_that_belong_to_their_activity(venue: Venue) -> None:
    families = [await venue.family(2, True) for _ in range(3)]
    everybody = {person for family in families for person in family.everybody}
    for limit in (1, 4, 9):
        assert set(await shown(venue, limit=limit)) == everybody
    path = f"/activities/{venue.id}/attendance"
    first = (await venue.events.get(path, venue.events.organiser, limit=4)).json()
    other = await a_venue(venue.events)
    answer = await venue.events.get(
        f"/activities/{other.id}/attendance", venue.events.organiser, cursor=first["next_cursor"]
    )
    assert refused(answer) == (422, "invalid_cursor", ["query.cursor"])
    unknown = await venue.events.get(path, venue.events.organiser, state="verified")
    assert refused(unknown) == (422, "invalid", ["query.state"])


async def test_the_stored_states_are_those_of_the_settlement(venue: Venue) -> None:
    left, stayed, absent = [await venue.family() for _ in range(3)]
    await venue.visit(left, STARTS, ENDS)
    await venue.check_in(stayed, STARTS)
    await venue.end()
    await venue.settle()
    stored = await venue.attendance()
    assert [stored[family.adults[0]].state for family in (left, stayed, absent)] == [
        AttendanceState.VERIFIED,
        AttendanceState.IN_REVIEW,
        AttendanceState.NO_SHOW,
    ]
