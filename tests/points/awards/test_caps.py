"""Caps by person, household and unit, in a day, a month, a year and a campaign; in the order of acceptance."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.awards.tables import Award
from services.points.ledger.tables import CapUse
from tests.points.awards.conftest import HOURS, MEET, Rules, differences
from tests.points.conftest import Points
from tests.points.facts import NOON, Attendance, Family, Order, Told
from tests.town import actor


async def granted(points: Points, told: list[Told]) -> list[tuple[int, int]]:
    """What each fact's award was granted and what was due, in the order given."""
    ids = [told_.subject_id for told_ in told]
    async with points.db.transaction() as session:
        found = select(Award.subject_id, Award.points, Award.points_due).where(Award.subject_id.in_(ids))
        rows = {subject: (got, due) for subject, got, due in await session.execute(found)}
    return [rows[id_] for id_ in ids]


async def check_cap_use(points: Points) -> None:
    """What is gone of each cap is the sum of what stands of its awards."""
    keys = (Award.rule_code, Award.cap_scope, Award.cap_holder_id, Award.cap_period)
    standing = (
        select(*keys, func.sum(Award.points))
        .where(Award.cap_holder_id.is_not(None), Award.withdrawn_at.is_(None))
        .group_by(*keys)
    )
    async with points.db.transaction() as session:
        expected = {tuple(row[:4]): row[4] for row in await session.execute(standing)}
        uses = (await session.scalars(select(CapUse))).all()
    used = {(use.rule_code, use.scope, use.holder_id, use.period): use.used for use in uses if use.used}
    assert used == {key: total for key, total in expected.items() if total}


def capped(points: int, period: str, scope: str, **more: Any) -> dict[str, Any]:
    return HOURS | {"cap": {"points": points, "period": period, "scope": scope, **more}}


async def test_a_cap_for_a_household_counts_all_its_members(own_points: Points, rules: Rules) -> None:
    await rules.make(capped(30, "day", "household"), NOON)
    household = new_id()
    told = [Attendance(household_id=household, at=NOON).verified(90) for _ in range(3)]
    await own_points.tell(*told)
    assert await granted(own_points, told) == [(18, 18), (12, 18), (0, 18)]
    await check_cap_use(own_points)
    assert differences(own_points) == []


async def test_a_family_that_joins_another_does_not_get_the_days_points_a_second_time(
    own_points: Points, rules: Rules
) -> None:
    await rules.make(capped(30, "day", "household"), NOON)
    old, new, later = Family(), Family(), Family()

    def earned(family: Family, minutes: int, at: datetime = NOON) -> Told:
        return Attendance(household_id=family.id, at=at).verified(minutes)

    before = [earned(old, 90), earned(old, 30), earned(new, 30), earned(later, 15)]
    await own_points.tell(*before, old.dissolved(1, new.id))
    told = [earned(new, 15), earned(old, 60), earned(new, 60, NOON + timedelta(days=1))]
    await own_points.tell(*told, new.dissolved(1, later.id))
    last = [earned(later, 30), earned(old, 120, NOON + timedelta(days=1))]
    await own_points.tell(*last)
    assert await granted(own_points, before) == [(18, 18), (6, 6), (6, 6), (3, 3)]
    assert await granted(own_points, told) == [(0, 3), (0, 12), (12, 12)]
    assert await granted(own_points, last) == [(0, 6), (18, 24)]
    assert await own_points.household_balance(later.id) == 18 + 6 + 6 + 3 + 12 + 18
    await check_cap_use(own_points)
    assert differences(own_points) == []


async def test_what_is_taken_back_of_a_family_that_joined_another_leaves_room_for_both(
    own_points: Points, rules: Rules
) -> None:
    await rules.make(capped(30, "day", "household"), NOON)
    old, new = Family(), Family()
    attendance = Attendance(household_id=old.id)
    verified = attendance.verified(120)
    full = Attendance(household_id=new.id).verified(60)
    await own_points.tell(verified, old.dissolved(1, new.id), full, attendance.withdrawn(verified))
    more = [Attendance(household_id=family.id).verified(90) for family in (new, old)]
    await own_points.tell(*more)
    assert await granted(own_points, [verified, full, *more]) == [(24, 24), (6, 12), (18, 18), (6, 18)]
    await check_cap_use(own_points)
    assert differences(own_points) == []


async def test_families_that_join_one_another_while_facts_come_in_keep_to_one_cap_and_replay_equal(
    own_points: Points, rules: Rules
) -> None:
    await rules.make(capped(30, "day", "household"), NOON)
    families = [Family() for _ in range(4)]
    told = [Attendance(household_id=families[number % 4].id).verified(30) for number in range(40)]
    joins = [family.dissolved(1, families[-1].id) for family in families[:-1]]
    await asyncio.gather(
        *(own_points.deliver(*told[start : start + 5]) for start in range(0, 40, 5)),
        *(own_points.deliver(join) for join in joins),
    )
    late = [Attendance(household_id=family.id).verified(30) for family in families]
    await own_points.tell(*late)
    assert [given for given, _ in await granted(own_points, late)] == [0] * 4, "their one cap is used up"
    assert 30 <= await own_points.household_balance(families[-1].id) <= 120
    await check_cap_use(own_points)
    assert differences(own_points) == []


async def test_a_cap_for_a_year_ends_with_the_year_in_beijing(own_points: Points, rules: Rules) -> None:
    await rules.make(capped(20, "year", "person"), NOON)
    person, turn = new_id(), datetime(2027, 1, 1, tzinfo=BEIJING)
    days = [turn, turn - timedelta(microseconds=1), NOON, turn + timedelta(days=300)]
    told = [Attendance(person_id=person, at=at).verified(75) for at in days]
    await own_points.tell(*told)
    assert await granted(own_points, told) == [(15, 15), (15, 15), (5, 15), (5, 15)]
    assert differences(own_points) == []


async def test_a_cap_for_a_campaign_counts_whatever_the_day(own_points: Points, rules: Rules) -> None:
    await rules.make(capped(20, "campaign", "person", campaign="activity_id"), NOON)
    person, campaign = new_id(), new_id()
    days = [NOON, NOON + timedelta(days=400), NOON + timedelta(days=1)]
    told = [Attendance(person_id=person, activity_id=campaign, at=at).verified(45) for at in days]
    elsewhere = Attendance(person_id=person, at=NOON).verified(45)
    await own_points.tell(*told, elsewhere)
    assert await granted(own_points, [*told, elsewhere]) == [(9, 9), (9, 9), (2, 9), (9, 9)]
    async with own_points.db.transaction() as session:
        periods = set(await session.scalars(select(CapUse.period)))
    assert f"campaign/{campaign}" in periods
    assert differences(own_points) == []


async def test_a_cap_for_a_unit_counts_all_its_people(own_points: Points, rules: Rules) -> None:
    await rules.make(MEET | {"cap": {"points": 12, "period": "month", "scope": "unit"}}, NOON)
    unit, handlers = new_id(), [new_id() for _ in range(4)]
    await own_points.tell(*[Order(unit_id=unit, at=NOON).met(handler) for handler in handlers])
    assert [await own_points.balance(handler) for handler in handlers] == [5, 5, 2, 0]
    other = new_id()
    await own_points.tell(Order(at=NOON).met(other))
    assert await own_points.balance(other) == 5
    assert differences(own_points) == []


async def test_a_late_fact_finds_the_cap_of_its_own_day_used_up(own_points: Points) -> None:
    person, yesterday = new_id(), NOON - timedelta(days=1)
    told = [Attendance(person_id=person, at=at).verified(180) for at in (yesterday, NOON, yesterday)]
    for message in told:
        await own_points.tell(message)
    assert await granted(own_points, told) == [(36, 36), (36, 36), (12, 36)]
    await check_cap_use(own_points)


async def test_a_new_version_with_the_same_kind_of_cap_goes_on_counting(own_points: Points, rules: Rules) -> None:
    person = new_id()
    before, after = (Attendance(person_id=person, at=NOON + timedelta(hours=h)).verified(180) for h in (0, 2))
    await own_points.tell(before)
    await rules.make(HOURS | {"amount": "24 * minutes / 60"}, NOON + timedelta(hours=1))
    await own_points.tell(after)
    assert await granted(own_points, [before, after]) == [(36, 36), (12, 72)]
    assert differences(own_points) == []


async def test_racing_facts_never_pass_a_cap_nor_lose_room_in_it(own_points: Points, rules: Rules) -> None:
    await rules.make(capped(50, "month", "household"), NOON - timedelta(days=20))
    household = new_id()
    attendances = [Attendance(household_id=household, at=NOON + timedelta(days=day)) for day in range(12)]
    told = [one.verified(45) for one in attendances]
    gone = [one.withdrawn(message) for one, message in zip(attendances[:4], told[:4], strict=True)]
    await asyncio.gather(
        *[own_points.deliver(message) for pair in zip(told, [*gone, *told[4:]], strict=True) for message in pair]
    )
    assert await own_points.household_balance(household) == sum([got for got, _ in await granted(own_points, told[4:])])
    await check_cap_use(own_points)
    assert differences(own_points) == []
    await own_points.tell(*[replace(one, id=new_id()).verified(240) for one in attendances])
    assert await own_points.household_balance(household) == 50
    await check_cap_use(own_points)
    await own_points.check()


@pytest.mark.parametrize("size", [1, 7, 60])
async def test_in_parts_of_any_size_facts_come_to_the_same(own_points: Points, size: int) -> None:
    """A day of one household: claims, hours, corrections, in one batch or one by one."""
    household, person, handler = new_id(), new_id(), new_id()
    story: list[Told] = []
    for minutes in (60, 120, 90, 45, 240):
        attendance, order = Attendance(person_id=person, household_id=household), Order()
        verified, claim, second = attendance.verified(minutes), order.claimed(handler), order.claimed(new_id())
        story += [verified, claim, second, attendance.verified(30), order.released(claim), verified.again()]
        if minutes != 90:
            story += [attendance.withdrawn(verified), attendance.verified(minutes + 15)]
        story += [order.closed(handler, reporter_id=person, reporter_household_id=household)]
    for start in range(0, len(story), size):
        await own_points.tell(*story[start : start + size])
    async with own_points.db.transaction() as session:
        rows = await session.execute(
            select(Award.rule_code, Award.points, Award.points_due, Award.withdrawn_position.is_not(None)).order_by(
                Award.granted_position, Award.rule_code
            )
        )
        hours = [tuple(row)[1:] for row in rows if row[0] == "volunteer.hour"]
    assert hours == [
        (12, 12, True),
        (6, 6, False),
        (24, 24, True),
        (6, 6, False),
        (18, 18, False),
        (9, 9, True),
        (6, 6, False),
        (12, 48, True),
        (6, 6, False),
    ]
    assert await own_points.household_balance(household) == 6 + 6 + 18 + 6 + 6 + 10
    assert await own_points.balance(handler) == 5 * 30
    await check_cap_use(own_points)
    assert differences(own_points) == []
    await own_points.check()


async def test_an_award_names_whose_cap_it_counted_in(own_points: Points) -> None:
    attendance = Attendance()
    await own_points.tell(attendance.verified(60))
    async with own_points.db.transaction() as session:
        [award] = await session.scalars(select(Award).where(Award.subject_id == attendance.id))
    cap = (award.cap_scope, award.cap_holder_id, award.cap_period)
    assert cap == ("person", attendance.person_id, "2026-03-02")


async def test_a_household_with_no_points_yet_is_not_taken_for_another(own_points: Points) -> None:
    resident = actor("resident", household_id=UUID(int=77))
    assert (await own_points.account(resident, "civic"))["balance"] == 0
