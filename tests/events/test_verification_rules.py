"""How many minutes count, on which day, and what a settlement makes of each member."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.core.beijing import BEIJING, day_of
from chassis.core.errors import Invalid
from chassis.core.ids import new_id
from services.events.activities.tables import Activity
from services.events.attendance import rules
from services.events.attendance.errors import AlreadyVerified, NotInActivity, OwnHousehold
from services.events.attendance.schemas import Adjustment
from services.events.attendance.tables import Attendance, Verification
from services.events.attendance.terms import Why
from services.events.terms import ActivityState, AttendanceState

STARTS = datetime(2026, 5, 16, 9, tzinfo=BEIJING)
ENDS = datetime(2026, 5, 16, 11, tzinfo=BEIJING)
SECOND = timedelta(seconds=1)
MIN = timedelta(minutes=1)
MOMENTS = st.datetimes(min_value=datetime(2026, 5, 15), max_value=datetime(2026, 5, 18), timezones=st.just(UTC))  # noqa: DTZ001


def activity(starts_at: datetime = STARTS, ends_at: datetime = ENDS, ended_at: datetime | None = None) -> Activity:
    return Activity(
        id=new_id(), state=ActivityState.ENDED, starts_at=starts_at, ends_at=ends_at, ended_at=ended_at or ends_at
    )


def attendance(
    came_at: datetime | None = None, left_at: datetime | None = None, household_id: UUID | None = None
) -> Attendance:
    return Attendance(
        id=new_id(),
        person_id=new_id(),
        household_id=household_id or new_id(),
        checked_in_at=came_at,
        checked_out_at=left_at,
        state=AttendanceState.CHECKED_OUT if left_at else AttendanceState.CHECKED_IN,
        why=None,
    )


@pytest.mark.parametrize(
    ("came", "left", "expected"),
    [
        (STARTS, ENDS, 120),
        (STARTS - 30 * MIN, ENDS + 20 * MIN, 120),
        (STARTS - 30 * MIN, STARTS, 0),
        (STARTS - 30 * MIN, STARTS - 10 * MIN, 0),
        (STARTS - 30 * MIN, STARTS + 15 * MIN, 15),
        (STARTS, STARTS + 15 * MIN - SECOND, 0),
        (STARTS, STARTS + 15 * MIN, 15),
        (STARTS, STARTS + 30 * MIN - SECOND, 15),
        (STARTS + SECOND, ENDS, 105),
        (ENDS - 15 * MIN, ENDS + 15 * MIN, 15),
        (ENDS - 15 * MIN + SECOND, ENDS + 15 * MIN, 0),
        (ENDS, ENDS + 25 * MIN, 0),
        (STARTS, STARTS, 0),
    ],
    ids=[
        "all-of-it",
        "early-and-late",
        "left-at-the-start",
        "left-before-the-start",
        "a-quarter-after-an-early-scan",
        "a-quarter-minus-a-second",
        "a-quarter",
        "two-quarters-minus-a-second",
        "a-second-late",
        "the-last-quarter",
        "the-last-quarter-minus-a-second",
        "after-the-end",
        "no-time",
    ],
)
def test_minutes_are_the_overlap_with_the_schedule_in_whole_quarters(
    came: datetime, left: datetime, expected: int
) -> None:
    assert rules.minutes_within(came, left, STARTS, ENDS) == expected


def test_minutes_go_on_over_midnight_and_over_days() -> None:
    evening, morning = datetime(2026, 5, 16, 22, tzinfo=BEIJING), datetime(2026, 5, 17, 2, tzinfo=BEIJING)
    assert rules.minutes_within(evening + 20 * MIN, morning - 5 * MIN, evening, morning) == 210
    assert rules.minutes_within(evening, evening + timedelta(days=3), evening, evening + timedelta(days=2)) == 2880


@given(moments=st.tuples(MOMENTS, MOMENTS, MOMENTS, MOMENTS))
def test_minutes_are_whole_quarters_and_never_more_than_there_was_to_attend_or_than_was_attended(
    moments: tuple[datetime, datetime, datetime, datetime],
) -> None:
    came, left = sorted(moments[:2])
    starts, ends = sorted(moments[2:])
    found = rules.minutes_within(came, left, starts, ends)
    shared = max(timedelta(), min(left, ends) - max(came, starts))
    assert found % 15 == 0
    assert timedelta(minutes=found) <= shared < timedelta(minutes=found + 15)
    assert found == rules.minutes_within(starts, ends, came, left)


@given(moments=st.lists(MOMENTS, min_size=5, max_size=5))
def test_whoever_stays_longer_never_gets_less(moments: list[datetime]) -> None:
    starts, came, left, later, ends = sorted(moments)
    assert rules.minutes_within(came, left, starts, ends) <= rules.minutes_within(came, later, starts, ends)


def test_without_a_check_out_hours_end_with_the_schedule_or_the_real_end_if_that_was_earlier() -> None:
    there = attendance(STARTS)
    assert rules.minutes_of(there, activity()) == 120
    assert rules.minutes_of(there, activity(ended_at=ENDS + 30 * MIN)) == 120
    assert rules.minutes_of(there, activity(ended_at=STARTS + 50 * MIN)) == 45
    assert rules.minutes_of(there, activity(ended_at=STARTS - 10 * MIN)) == 0
    assert rules.minutes_of(attendance(), activity()) == 0


@pytest.mark.parametrize(
    ("came", "ended", "expected"),
    [
        (STARTS + 5 * MIN, ENDS, STARTS + 5 * MIN),
        (STARTS - 20 * MIN, ENDS, STARTS),
        (STARTS - 20 * MIN, STARTS - 10 * MIN, STARTS - 10 * MIN),
        (ENDS + 10 * MIN, ENDS + 30 * MIN, ENDS + 10 * MIN),
        (None, ENDS + 5 * MIN, ENDS + 5 * MIN),
    ],
    ids=["late", "early", "ended-before-the-start", "came-after-the-schedule", "never-scanned"],
)
def test_hours_count_from_when_they_began_and_never_from_the_future(
    came: datetime | None, ended: datetime, expected: datetime
) -> None:
    assert rules.took_part_at(attendance(came), activity(ended_at=ended)) == expected


def test_hours_after_midnight_count_for_that_day_even_if_the_family_came_before_it() -> None:
    midnight = datetime(2026, 5, 17, tzinfo=BEIJING)
    night = activity(midnight + 10 * MIN, midnight + 70 * MIN)
    assert day_of(rules.took_part_at(attendance(midnight - 15 * MIN), night)) == midnight.date()


def test_who_checked_out_is_verified_with_what_the_scans_say() -> None:
    found = rules.find(attendance(STARTS, STARTS + 50 * MIN), activity(), own=False, adjusted=None)
    assert found == rules.Finding(AttendanceState.VERIFIED, 45, None)


def test_who_did_not_check_out_waits_for_review() -> None:
    found = rules.find(attendance(STARTS), activity(), own=False, adjusted=None)
    assert found == rules.Finding(AttendanceState.IN_REVIEW, None, Why.NO_CHECK_OUT)


def test_who_was_never_scanned_did_not_come() -> None:
    for own in (True, False):
        found = rules.find(attendance(), activity(), own=own, adjusted=None)
        assert found == rules.Finding(AttendanceState.NO_SHOW, None, None)


def test_the_organisers_own_household_waits_for_another_organiser() -> None:
    for left in (None, ENDS):
        found = rules.find(attendance(STARTS, left), activity(), own=True, adjusted=None)
        assert found == rules.Finding(AttendanceState.IN_REVIEW, None, Why.OWN_HOUSEHOLD)


@pytest.mark.parametrize("adjusted", [0, 15, 300])
def test_an_adjustment_sets_the_minutes_whatever_the_scans_say(adjusted: int) -> None:
    for there in (attendance(), attendance(STARTS), attendance(STARTS, ENDS)):
        found = rules.find(there, activity(), own=False, adjusted=adjusted)
        assert found == rules.Finding(AttendanceState.VERIFIED, adjusted, None)


def test_own_are_the_people_of_the_household_and_whoever_is_credited_to_it() -> None:
    household, spouse, moved, other = new_id(), attendance(STARTS), attendance(STARTS), attendance(STARTS)
    moved.household_id = household
    circle = rules.Circle(households={household}, people={spouse.person_id})
    assert rules.own_members([spouse, moved, other], circle) == {spouse.person_id, moved.person_id}


def adjust(person_id: UUID, to: int = 60) -> Adjustment:
    return Adjustment(person_id=person_id, minutes=to, reason="现场记录")


def test_adjustments_name_the_field_of_whoever_was_not_there_or_stands_twice() -> None:
    there = attendance(STARTS)
    roll = {there.person_id: there}
    with pytest.raises(NotInActivity) as refused:
        rules.check_adjustments([adjust(there.person_id), adjust(new_id())], roll, {}, frozenset())
    assert [field.name for field in refused.value.fields] == ["body.adjustments.1.person_id"]
    with pytest.raises(Invalid) as invalid:
        rules.check_adjustments([adjust(there.person_id), adjust(there.person_id)], roll, {}, frozenset())
    assert [field.name for field in invalid.value.fields] == ["body.adjustments.1.person_id"]


def test_an_adjustment_of_ones_own_household_is_refused_even_if_others_verified_it_already() -> None:
    there = attendance(STARTS)
    roll, own = {there.person_id: there}, frozenset({there.person_id})
    for standing in ({}, {there.id: Verification(minutes=60)}):
        with pytest.raises(OwnHousehold):
            rules.check_adjustments([adjust(there.person_id)], roll, standing, own)


def test_what_is_verified_is_not_adjusted_to_other_minutes() -> None:
    there = attendance(STARTS)
    roll, standing = {there.person_id: there}, {there.id: Verification(minutes=60)}
    assert rules.check_adjustments([adjust(there.person_id)], roll, standing, frozenset())
    with pytest.raises(AlreadyVerified) as refused:
        rules.check_adjustments([adjust(there.person_id, 75)], roll, standing, frozenset())
    assert [field.name for field in refused.value.fields] == ["body.adjustments.0.minutes"]
