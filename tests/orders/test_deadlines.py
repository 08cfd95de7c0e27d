"""What residents are told about time: deadlines on the Chinese calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.core.beijing import BEIJING
from chassis.core.workdays import is_working_day
from services.orders.deadlines import rules


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("arrived", "hours", "due"),
    [
        ("2026-11-23T09:00", 24, "2026-11-24T09:00"),
        ("2026-11-23T23:30", 72, "2026-11-26T23:30"),
        ("2026-11-20T15:00", 24, "2026-11-23T15:00"),  # Friday: the weekend does not count
        ("2026-11-21T15:00", 24, "2026-11-24T00:00"),  # Saturday: begins on Monday at midnight
        ("2026-09-30T12:00", 24, "2026-10-08T12:00"),  # over National Day
        ("2026-10-09T12:00", 24, "2026-10-10T12:00"),  # into a Saturday that is worked
    ],
)
def test_an_ordinary_limit_runs_day_and_night_on_working_days(arrived: str, hours: int, due: str) -> None:
    assert rules.deadlines(beijing(arrived), sla_hours=hours, urgent=False).due_at == beijing(due)


def test_an_urgent_limit_runs_round_the_clock() -> None:
    promised = rules.deadlines(beijing("2026-10-01T23:00"), sla_hours=2, urgent=True)
    assert promised.due_at == beijing("2026-10-02T01:00")
    assert promised.contact_by == beijing("2026-10-02T01:00")


def test_an_ordinary_report_is_answered_within_a_working_day() -> None:
    promised = rules.deadlines(beijing("2026-11-20T18:00"), sla_hours=168, urgent=False)
    assert promised.contact_by == beijing("2026-11-23T18:00")


@pytest.mark.parametrize(
    ("pooled", "claim_by"),
    [
        ("2026-11-23T09:00", "2026-11-23T11:00"),
        ("2026-11-23T07:00", "2026-11-23T10:30"),  # the office opens at 08:30
        ("2026-11-23T16:30", "2026-11-24T09:30"),  # an hour today, an hour tomorrow
        ("2026-11-23T17:30", "2026-11-24T10:30"),
        ("2026-11-20T20:00", "2026-11-23T10:30"),  # Friday evening
        ("2026-10-01T10:00", "2026-10-08T10:30"),
        ("2026-11-23T15:30", "2026-11-23T17:30"),  # to the minute
    ],
)
def test_the_pool_timer_runs_in_office_hours(pooled: str, claim_by: str) -> None:
    assert rules.claim_by(beijing(pooled), urgent=False) == beijing(claim_by)


def test_the_pool_timer_of_an_urgent_order_takes_fifteen_minutes_at_any_hour() -> None:
    assert rules.claim_by(beijing("2026-10-01T03:00"), urgent=True) == beijing("2026-10-01T03:15")


def test_the_first_call_back_comes_within_two_days() -> None:
    assert rules.callback_by(beijing("2026-11-19T10:00"), urgent=False) == beijing("2026-11-23T10:00")
    assert rules.callback_by(beijing("2026-11-19T10:00"), urgent=True) == beijing("2026-11-21T10:00")


first, last = datetime.fromisoformat("2025-01-01"), datetime.fromisoformat("2027-12-31")
moments = st.datetimes(first, last, timezones=st.just(UTC))
durations = st.timedeltas(timedelta(minutes=1), timedelta(hours=360))


@given(moments, durations)
def test_no_deadline_comes_before_its_time_has_passed(start: datetime, duration: timedelta) -> None:
    assert rules.add_working_time(start, duration) >= start + duration


@given(moments, moments, durations)
def test_who_comes_later_is_not_due_earlier(one: datetime, other: datetime, duration: timedelta) -> None:
    earlier, later = sorted([one, other])
    assert rules.add_working_time(earlier, duration) <= rules.add_working_time(later, duration)


@given(moments, durations, durations)
def test_working_time_adds_up(start: datetime, one: timedelta, other: timedelta) -> None:
    assert rules.add_working_time(rules.add_working_time(start, one), other) == rules.add_working_time(
        start, one + other
    )


@given(moments, durations)
def test_the_time_that_counts_is_exactly_what_was_promised(start: datetime, duration: timedelta) -> None:
    end = rules.add_working_time(start, duration)
    counted, day = timedelta(0), start.astimezone(BEIJING).date()
    while day <= end.astimezone(BEIJING).date():
        begins = datetime(day.year, day.month, day.day, tzinfo=BEIJING)
        if is_working_day(day):
            counted += max(min(begins + timedelta(days=1), end) - max(begins, start), timedelta(0))
        day += timedelta(days=1)
    assert counted == duration
