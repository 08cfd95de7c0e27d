"""Whoever does not come twice leaves the seats to others for a while."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING
from services.events.signups.rules import paused_until
from tests.events.service import Events, Family
from tests.events.venue import Venue, a_venue

FIRST = datetime(2026, 6, 6, 1, tzinfo=UTC)
"""A Saturday morning."""

DAY = timedelta(days=1)


async def missed(events: Events, family: Family, starts_at: datetime) -> Venue:
    """An activity that the family signed up for, and to which nobody of it came."""
    venue = await a_venue(events, starts_at)
    await venue.sign_up(family)
    await venue.end()
    await venue.settle()
    return venue


async def sign_up_at(events: Events, family: Family, at: datetime) -> tuple[int, str | None, list[str]]:
    """Sign everybody up for something else: the status, and code and fields of a refusal."""
    with clock.frozen(at):
        answer = await events.try_sign_up(await events.opened(), family)
    body = answer.json()
    return answer.status_code, body.get("code"), [error["name"] for error in body.get("errors", [])]


async def test_two_no_shows_within_sixty_days_pause_sign_up_for_thirty(events: Events) -> None:
    family = await events.family(2)
    await missed(events, family, FIRST)
    assert (await sign_up_at(events, family, FIRST + DAY))[0] == 201, "once may happen to anybody"
    second = FIRST + 20 * DAY
    venue = await a_venue(events, second)
    await venue.sign_up(family, family.adults[:1])
    await venue.end()
    await venue.settle()
    assert await sign_up_at(events, family, second + DAY) == (409, "no_show_pause", ["body.members.0"])
    assert (await sign_up_at(events, family, second + 30 * DAY))[0] == 201


async def test_no_shows_far_apart_pause_nothing(events: Events) -> None:
    family = await events.family()
    await missed(events, family, FIRST)
    await missed(events, family, FIRST + 61 * DAY)
    assert (await sign_up_at(events, family, FIRST + 62 * DAY))[0] == 201


async def test_a_no_show_that_was_corrected_pauses_nothing(events: Events) -> None:
    family = await events.family()
    await missed(events, family, FIRST)
    venue = await missed(events, family, FIRST + DAY)
    assert (await sign_up_at(events, family, FIRST + 3 * DAY))[0] == 409
    assert (await venue.correct(family.adults[0], 60)).status_code == 200
    assert (await sign_up_at(events, family, FIRST + 3 * DAY))[0] == 201


async def test_nobody_is_blamed_for_not_coming_to_what_ended_before_it_began(events: Events) -> None:
    family = await events.family()
    for starts_at in (FIRST, FIRST + DAY):
        venue = await a_venue(events, starts_at)
        await venue.sign_up(family)
        await venue.end(starts_at - timedelta(minutes=20))
        await venue.settle()
    assert (await sign_up_at(events, family, FIRST + 2 * DAY))[0] == 201


async def test_on_the_day_that_was_told_one_may_sign_up_again_from_its_first_minute(events: Events) -> None:
    family = await events.family()
    await missed(events, family, FIRST)
    await missed(events, family, FIRST + DAY)
    told = datetime(2026, 7, 7, tzinfo=BEIJING)
    with clock.frozen(told - timedelta(minutes=1)):
        refused = await events.try_sign_up(await events.opened(), family)
    assert str(told.date()) in refused.json()["errors"][0]["reason"]
    assert (await sign_up_at(events, family, told))[0] == 201


async def test_nobody_is_blamed_for_a_seat_that_came_to_them_in_the_last_hours(events: Events) -> None:
    seated, waiting = await events.family(), await events.family()
    for starts_at in (FIRST, FIRST + DAY):
        venue = await a_venue(events, starts_at, capacity=1)
        signup = await venue.sign_up(seated)
        await venue.sign_up(waiting)
        with clock.frozen(starts_at - timedelta(hours=23)):
            assert (await events.withdraw(signup, seated.actor)).status_code == 200
        await venue.end()
        settled = await venue.settle()
        assert settled[waiting.adults[0]]["state"] == "no_show"
    assert (await sign_up_at(events, waiting, FIRST + 2 * DAY))[0] == 201


@pytest.mark.parametrize(
    ("days", "until"),
    [([], None), ([0], None), ([0, 60], 90), ([0, 61], None), ([0, 10, 100], 40), ([0, 10, 100, 120], 150)],
    ids=str,
)
def test_the_pause_counts_from_the_second_of_two(days: list[int], until: int | None) -> None:
    expected = None if until is None else FIRST + until * DAY
    assert paused_until([FIRST + day * DAY for day in days]) == expected
