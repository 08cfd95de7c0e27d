"""The code at the venue: who sees it, which one lets a family in, and how often one may guess."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.ids import new_id
from services.events.attendance import actions
from services.events.attendance.tables import VenueTries
from tests.events.service import Events, Family
from tests.events.venue import HOUR, MIN, SECOND, STARTS, Venue, a_venue, refused, wrong
from tests.town import Town, actor

WRONG = (422, "venue_code_wrong", ["body.code"])


@pytest.fixture
async def venue(events: Events) -> Venue:
    return await a_venue(events)


async def never_right(venue: Venue, at: datetime) -> str:
    """A code that the wall shows neither now nor just before or after."""
    return wrong(*[await venue.code(at + n * 15 * SECOND) for n in (-1, 0, 1)])


async def test_the_wall_shows_the_same_code_for_a_step_of_fifteen_seconds(venue: Venue) -> None:
    at = STARTS.replace(second=30)
    with clock.frozen(at + 6 * SECOND):
        path = f"/activities/{venue.id}/venue-code"
        answers = [await venue.events.get(path, who) for who in (venue.events.organiser, venue.events.colleague)]
    assert answers[0].json() == answers[1].json()
    assert set(answers[0].json()) == {"code", "expires_at"}
    assert datetime.fromisoformat(answers[0].json()["expires_at"]) == at + 15 * SECOND
    assert answers[0].headers["Cache-Control"] == "no-store"
    shown = answers[0].json()["code"]
    assert await venue.code(at) == await venue.code(at + timedelta(seconds=14, microseconds=999_999)) == shown
    assert len({await venue.code(at + n * 15 * SECOND) for n in range(5)}) > 1


async def test_nobody_but_organisers_of_the_organisation_sees_the_code(venue: Venue) -> None:
    events, family = venue.events, await venue.family()
    path = f"/activities/{venue.id}/venue-code"
    for who, status in ((None, 401), (family.actor, 403), (events.stranger, 403), (events.administrator, 403)):
        assert (await events.get(path, who)).status_code == status
    assert (await events.get(path, events.stranger)).json()["code"] == "not_organiser"
    draft = await events.draft()
    assert (await events.get(f"/activities/{draft}/venue-code", events.stranger)).status_code == 404
    assert (await events.get(f"/activities/{new_id()}/venue-code", events.organiser)).status_code == 404


@pytest.mark.parametrize("seconds", [-15, 0, 14, 15, 29], ids=str)
async def test_the_code_on_the_wall_or_its_neighbour_lets_a_family_in(venue: Venue, seconds: int) -> None:
    family = await venue.family()
    code = await venue.code(STARTS)
    [member] = (await venue.check_in(family, STARTS + seconds * SECOND, code=code)).values()
    assert member["state"] == "checked_in"
    assert datetime.fromisoformat(member["checked_in_at"]) == STARTS + seconds * SECOND


async def photographed(wall: Venue, venue: Venue, late: timedelta) -> tuple[str, datetime]:
    """A code of one wall, and a moment so much later at which the other wall does not happen to show it too."""
    for minute in range(5):
        at = STARTS + minute * MIN
        code = await wall.code(at)
        if code not in {await venue.code(at + late + n * 15 * SECOND) for n in (-1, 0, 1)}:
            return code, at + late
    raise AssertionError("the code is always the same")


@pytest.mark.parametrize("seconds", [-16, 30, 60, 3600], ids=str)
async def test_a_photographed_code_does_not_let_a_family_in_from_home(venue: Venue, seconds: int) -> None:
    family = await venue.family()
    code, at = await photographed(venue, venue, seconds * SECOND)
    assert refused(await venue.scan("check-ins", family, at, code=code)) == WRONG
    assert await venue.attendance() == {}


async def test_a_photographed_code_does_not_let_a_family_stay_on_paper(venue: Venue) -> None:
    family = await venue.family()
    await venue.check_in(family, STARTS)
    code, at = await photographed(venue, venue, MIN)
    assert refused(await venue.scan("check-outs", family, at, code=code)) == WRONG
    assert (await venue.attendance())[family.adults[0]].checked_out_at is None


async def test_the_code_of_another_activity_at_the_same_time_is_wrong(venue: Venue) -> None:
    other = await a_venue(venue.events)
    family = await venue.family()
    await other.sign_up(family)
    theirs, at = await photographed(other, venue, timedelta())
    assert refused(await venue.scan("check-ins", family, at, code=theirs)) == WRONG
    await other.check_in(family, at, code=theirs)
    assert await venue.attendance() == {}


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "１２３４５６", "", "123456\n", 123456], ids=repr)
async def test_what_is_no_code_at_all_is_refused_and_not_counted(venue: Venue, code: object) -> None:
    family = await venue.family()
    with clock.frozen(STARTS):
        answer = await venue.events.post(f"/activities/{venue.id}/check-ins", family.actor, {"code": code})
    assert refused(answer) == (422, "invalid", ["body.code"])
    assert await tries(venue, family) == []


async def tries(venue: Venue, family: Family) -> list[int]:
    """How many wrong codes are counted, by hour."""
    async with venue.events.db.transaction() as session:
        statement = select(VenueTries.wrong).where(VenueTries.household_id == family.id).order_by(VenueTries.hour)
        return list(await session.scalars(statement))


async def test_after_ten_wrong_codes_no_code_is_looked_at_until_the_next_hour(venue: Venue) -> None:
    family, other = await venue.family(2), await venue.family()
    bad = await never_right(venue, STARTS)
    for number in range(10):
        kind = "check-ins" if number % 2 else "check-outs"
        who = family.signed_in(family.adults[number % 2])
        assert refused(await venue.scan(kind, family, STARTS, code=bad, who=who)) == WRONG
    limited = await venue.scan("check-ins", family, STARTS + 50 * SECOND)
    assert (limited.status_code, limited.json()["code"]) == (429, "too_many_venue_codes")
    assert limited.headers["Retry-After"] == str(3600 - 50)
    assert await tries(venue, family) == [10]
    await venue.check_in(other, STARTS)
    assert (await venue.scan("check-ins", family, STARTS + HOUR - SECOND)).status_code == 429
    await venue.check_in(family, STARTS + HOUR)


async def test_wrong_codes_for_one_activity_do_not_count_for_another(venue: Venue) -> None:
    family, other = await venue.family(), await a_venue(venue.events)
    await other.sign_up(family)
    bad = await never_right(venue, STARTS)
    for _ in range(10):
        await venue.scan("check-ins", family, STARTS, code=bad)
    await other.check_in(family, STARTS)


async def test_a_right_code_resets_nothing(venue: Venue) -> None:
    family = await venue.family()
    bad = await never_right(venue, STARTS)
    for _ in range(9):
        await venue.scan("check-ins", family, STARTS, code=bad)
    await venue.check_in(family, STARTS)
    assert refused(await venue.scan("check-outs", family, STARTS, code=bad)) == WRONG
    assert (await venue.scan("check-outs", family, STARTS)).status_code == 429


async def test_of_thirty_wrong_codes_at_once_ten_are_looked_at(venue: Venue, other_processes: list[Town]) -> None:
    family = await venue.family(3)
    venue.served_by(other_processes)
    bad = await never_right(venue, STARTS)
    scans = [
        venue.scan("check-ins", family, STARTS, code=bad, who=family.signed_in(family.adults[number % 3]))
        for number in range(30)
    ]
    answers = await asyncio.gather(*scans)
    assert sorted(answer.status_code for answer in answers) == [422] * 10 + [429] * 20
    assert await tries(venue, family) == [10]


async def test_a_wrong_code_sent_again_under_its_key_is_one_try(venue: Venue) -> None:
    family = await venue.family()
    bad = await never_right(venue, STARTS)
    for _ in range(3):
        assert refused(await venue.scan("check-ins", family, STARTS, code=bad, key="once")) == WRONG
    assert await tries(venue, family) == [1]


async def test_old_tries_are_forgotten_and_those_of_this_hour_are_not(venue: Venue) -> None:
    family = await venue.family()
    for at in (STARTS - 30 * MIN, STARTS, STARTS + HOUR):
        await venue.scan("check-ins", family, at, code=await never_right(venue, at))
    async with venue.events.db.transaction() as session:
        await actions.forget_tries(session, STARTS + HOUR + 59 * MIN)
    assert await tries(venue, family) == [1]


async def test_scans_are_for_residents_who_are_signed_in(venue: Venue) -> None:
    family = await venue.family()
    for kind in ("check-ins", "check-outs"):
        path, body = f"/activities/{venue.id}/{kind}", {"code": "000000"}
        assert (await venue.events.post(path, None, body)).status_code == 401
        assert (await venue.events.post(path, venue.events.organiser, body)).status_code == 403
        lonely = await venue.events.post(path, actor("resident"), body)
        assert (lonely.status_code, lonely.json()["code"]) == (409, "no_household")
        with clock.frozen(STARTS):
            left = await venue.events.post(path, family.signed_in(new_id()), body)
        assert (left.status_code, left.json()["code"]) == (403, "not_of_household")
