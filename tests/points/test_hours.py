"""Hours that were verified become points of the household, once; a correction takes them back and gives anew."""

import asyncio
import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.awards.tables import Award, Fact
from tests.points.conftest import Points
from tests.points.facts import NOON, Attendance, Order, Told
from tests.town import actor


def volunteer(household: UUID, person: UUID, at: datetime = NOON) -> Attendance:
    return Attendance(person_id=person, household_id=household, at=at)


async def statement(points: Points, household: UUID) -> list[dict[str, Any]]:
    return await points.entries(actor("resident", household_id=household), "civic")


async def amounts(points: Points, household: UUID) -> list[tuple[int, int]]:
    """What each line of a household's statement moved and kept back, oldest first."""
    return [(line["amount"], line["withheld"]) for line in reversed(await statement(points, household))]


async def test_every_quarter_of_an_hour_is_three_points(points: Points) -> None:
    told = [Attendance().verified(minutes) for minutes in range(0, 255, 15)]
    await points.tell(*told)
    for message in told:
        household, minutes = UUID(message.data["household_id"]), message.data["minutes"]
        assert await points.household_balance(household) == minutes // 15 * 3
    await points.check()


async def test_the_statement_says_for_which_activity(points: Points) -> None:
    attendance, household = Attendance(), new_id()
    attendance = replace(attendance, household_id=household)
    await points.tell(attendance.verified(90), Order().closed(new_id(), reporter_household_id=household))
    report, hours = await statement(points, household)
    assert hours["activity"] == {"id": str(attendance.activity_id), "title": "陪老人包饺子"}
    assert (hours["order"], hours["coupon"], hours["reverses"]) == (None, None, None)
    assert (hours["amount"], hours["withheld"]) == (18, 0)
    assert hours["rule"] == {"code": "volunteer.hour", "version": 1}
    assert datetime.fromisoformat(hours["occurred_at"]) == NOON
    assert report["activity"] is None
    assert report["order"] is not None


async def test_each_line_names_its_activity_as_it_was_called_then(points: Points) -> None:
    attendance = Attendance()
    first = attendance.verified(60)
    await points.tell(first, attendance.withdrawn(first), replace(attendance, title="改了名的活动").verified(30))
    titles = [line["activity"]["title"] for line in await statement(points, attendance.household_id)]
    assert titles == ["改了名的活动", "陪老人包饺子", "陪老人包饺子"]


async def test_an_award_of_hours_records_who_took_part(points: Points) -> None:
    attendance = Attendance()
    await points.tell(attendance.verified(60))
    async with points.db.transaction() as session:
        [award] = await session.scalars(select(Award).where(Award.subject_id == attendance.id))
    assert (award.subject_kind, award.person_id, award.household_id) == (
        "attendance",
        attendance.person_id,
        attendance.household_id,
    )


# The cap: 48 a person a day ------------------------------------------------------------------------------------------


async def test_a_long_day_is_cut_at_the_cap_and_the_statement_says_so(points: Points) -> None:
    attendance = Attendance()
    await points.tell(attendance.verified(5 * 60))
    assert await amounts(points, attendance.household_id) == [(48, 12)]


async def test_the_cap_is_met_by_several_facts_together(points: Points) -> None:
    household, person = new_id(), new_id()
    told = [volunteer(household, person).verified(minutes) for minutes in (180, 120, 60)]
    await points.tell(*told)
    assert await amounts(points, household) == [(36, 0), (12, 12)]
    async with points.db.transaction() as session:
        mine = await session.scalars(select(Award).where(Award.person_id == person).order_by(Award.fact_position))
        assert [(award.points, award.points_due) for award in mine] == [(36, 36), (12, 24), (0, 12)]
    await points.check()


async def test_the_day_is_beijings_and_a_late_fact_counts_on_the_day_it_happened(points: Points) -> None:
    household, person = new_id(), new_id()
    midnight = datetime(2026, 3, 3, tzinfo=BEIJING)
    before = midnight - timedelta(microseconds=1)
    await points.tell(volunteer(household, person, midnight).verified(240))
    await points.tell(volunteer(household, person, before).verified(180))
    assert await points.household_balance(household) == 48 + 36
    await points.tell(volunteer(household, person, midnight + timedelta(hours=23)).verified(60))
    await points.tell(volunteer(household, person, before - timedelta(hours=20)).verified(120))
    assert await points.household_balance(household) == 48 + 48
    assert await amounts(points, household) == [(48, 0), (36, 0), (12, 12)]


async def test_each_member_of_a_household_has_a_cap_of_their_own(points: Points) -> None:
    household = new_id()
    await points.tell(*[volunteer(household, new_id()).verified(300) for _ in range(3)])
    assert await points.household_balance(household) == 3 * 48


async def test_who_moves_to_another_household_has_no_second_cap_that_day(points: Points) -> None:
    first, second, person = new_id(), new_id(), new_id()
    await points.tell(volunteer(first, person).verified(180), volunteer(second, person).verified(180))
    assert (await points.household_balance(first), await points.household_balance(second)) == (36, 12)


async def test_hours_and_reports_of_one_household_do_not_use_up_each_others_caps(points: Points) -> None:
    household, person = new_id(), new_id()
    reports = [
        Order().closed(new_id(), reporter_id=person, reporter_household_id=household, satisfied="fairly")
        for _ in range(6)
    ]
    hours = [volunteer(household, person).verified(60) for _ in range(6)]
    await points.tell(*itertools.chain.from_iterable(zip(reports, hours, strict=True)))
    assert await points.household_balance(household) == 10 + 48
    await points.check()


# Told again, taken back, corrected ------------------------------------------------------------------------------------


async def test_the_same_hours_told_ten_times_are_paid_once(points: Points) -> None:
    attendance = Attendance()
    verified = attendance.verified(60)
    for _ in range(5):
        await points.tell(verified, verified.again())
    assert await points.household_balance(attendance.household_id) == 12


async def test_the_same_hours_told_ten_times_at_once_are_paid_once(points: Points) -> None:
    attendance = Attendance()
    verified = attendance.verified(60)
    await asyncio.gather(*[points.send(verified.again()) for _ in range(10)])
    await points.tell(verified)
    assert await points.household_balance(attendance.household_id) == 12
    await points.check()


async def test_a_second_verification_of_the_same_attendance_pays_nothing_more(points: Points) -> None:
    attendance = Attendance()
    await points.tell(attendance.verified(60), attendance.verified(120))
    assert await points.household_balance(attendance.household_id) == 12


async def test_hours_taken_back_are_reversed_and_the_line_says_which(points: Points) -> None:
    attendance = Attendance()
    verified = attendance.verified(60)
    await points.tell(verified, attendance.withdrawn(verified))
    reversal, award = await statement(points, attendance.household_id)
    assert (reversal["code"], reversal["amount"], reversal["balance_after"]) == ("reversal", -12, 0)
    assert (reversal["reverses"], reversal["activity"]) == (award["transfer_id"], award["activity"])


async def test_a_correction_reverses_and_credits_anew(points: Points) -> None:
    attendance = Attendance()
    first, second = attendance.verified(60), attendance.verified(105)
    await points.tell(first)
    await points.tell(attendance.withdrawn(first), second)
    assert await amounts(points, attendance.household_id) == [(12, 0), (-12, 0), (21, 0)]
    await points.tell(attendance.withdrawn(first).again(), first.again(), second.again())
    assert await points.household_balance(attendance.household_id) == 21


async def test_a_correction_frees_the_cap_but_never_tops_up_what_was_cut_before(points: Points) -> None:
    household, person = new_id(), new_id()
    long, cut = volunteer(household, person), volunteer(household, person)
    first = long.verified(180)
    await points.tell(first, cut.verified(120))
    await points.tell(long.withdrawn(first))
    assert await points.household_balance(household) == 12, "what was cut stays cut"
    await points.tell(long.verified(240))
    assert await amounts(points, household) == [(36, 0), (12, 12), (-36, 0), (36, 12)]


async def test_what_a_withdrawal_freed_goes_to_whoever_is_accepted_next(points: Points) -> None:
    household, person = new_id(), new_id()
    corrected, between = volunteer(household, person), volunteer(household, person)
    first = corrected.verified(240)
    await points.tell(first, corrected.withdrawn(first), between.verified(180), corrected.verified(240))
    assert await amounts(points, household) == [(48, 0), (-48, 0), (36, 0), (12, 36)]
    await points.check()


async def test_a_withdrawal_of_hours_that_the_cap_left_nothing_of_moves_nothing(points: Points) -> None:
    household, person = new_id(), new_id()
    full, none_left = volunteer(household, person), volunteer(household, person)
    for_nothing = none_left.verified(60)
    await points.tell(full.verified(240), for_nothing, none_left.withdrawn(for_nothing), none_left.verified(30))
    assert await amounts(points, household) == [(48, 0)]


async def test_a_withdrawal_that_comes_before_its_hours_leaves_them_unpaid(points: Points) -> None:
    attendance = Attendance()
    verified = attendance.verified(60)
    await points.tell(attendance.withdrawn(verified))
    await points.tell(verified)
    assert await points.household_balance(attendance.household_id) == 0
    await points.tell(attendance.verified(30))
    assert await points.household_balance(attendance.household_id) == 6


async def test_in_whatever_order_two_corrections_arrive_the_last_word_is_what_is_paid(points: Points) -> None:
    for order in itertools.permutations(range(5)):
        attendance = Attendance()
        first, second, third = (attendance.verified(minutes) for minutes in (15, 30, 45))
        told = [first, attendance.withdrawn(first), second, attendance.withdrawn(second), third]
        await points.tell(*[told[index] for index in order])
        assert await points.household_balance(attendance.household_id) == 9, order
    await points.check()


async def test_many_facts_racing_for_one_persons_day_never_pass_the_cap(points: Points) -> None:
    household, person = new_id(), new_id()
    told = [volunteer(household, person).verified(75) for _ in range(8)]
    reports = [Order().closed(new_id(), reporter_id=person, reporter_household_id=household) for _ in range(8)]
    await asyncio.gather(*[points.send(message) for pair in zip(told, reports, strict=True) for message in pair])
    await points.tell(*told, *reports)
    assert await points.household_balance(household) == 48 + 10
    await points.check()


async def test_hours_and_their_withdrawal_racing_leave_the_correction_alone(points: Points) -> None:
    for _ in range(5):
        attendance = Attendance()
        first, second = attendance.verified(60), attendance.verified(30)
        told = [first, attendance.withdrawn(first), second]
        await asyncio.gather(*[points.send(message) for message in told])
        await points.tell(*told)
        assert await points.household_balance(attendance.household_id) == 6
    await points.check()


# What is not taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [{"minutes": 20}, {"minutes": -15}, {"minutes": 10**9}, {"household_id": None}, {"activity_title": "\x00"}],
    ids=lambda broken: next(iter(broken)),
)
async def test_senseless_hours_are_refused_and_others_go_on(points: Points, broken: dict[str, Any]) -> None:
    attendance, other = Attendance(), Attendance()
    told: list[Told] = [attendance.verified(60).again(**broken), attendance.verified(60), other.verified(60)]
    assert await points.send(*told) == ["refused", "deferred", "accepted"]
    assert await points.household_balance(attendance.household_id) == 0
    assert await points.household_balance(other.household_id) == 12


async def test_only_the_events_service_tells_of_hours(points: Points) -> None:
    attendance = Attendance()
    for service in ("orders", "identity"):
        assert await points.send_as(service, attendance.verified(60)) == ["refused"]
    assert await points.household_balance(attendance.household_id) == 0


async def test_facts_of_hours_are_kept_whole(points: Points) -> None:
    told = Attendance().verified(60, added_later=True)
    await points.tell(told)
    async with points.db.transaction() as session:
        [fact] = await session.scalars(select(Fact).where(Fact.subject_id == told.subject_id))
    assert fact.data.items() >= told.data.items() - {("occurred_at", told.data["occurred_at"])}
    assert (fact.subject_kind, fact.subject_label, fact.occurred_at) == ("attendance", "陪老人包饺子", NOON)
