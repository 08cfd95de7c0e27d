"""Which days are worked on, and which day is the fifth from now."""

from datetime import date, timedelta

import pytest

from chassis.core.workdays import LAST_YEAR, is_known, is_working_day, working_day_after


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-11-23", True),  # a Monday
        ("2026-11-22", False),  # a Sunday
        ("2026-10-01", False),  # National Day
        ("2026-10-07", False),  # the last day of its holiday
        ("2026-10-10", True),  # a Saturday worked in exchange
        ("2026-02-17", False),  # the first day of the year of the horse
    ],
)
def test_working_days_are_those_of_the_state_council(day: str, works: bool) -> None:
    assert is_working_day(date.fromisoformat(day)) is works


def test_a_year_that_is_not_known_yet_counts_weekends() -> None:
    unknown = LAST_YEAR + 3
    assert not is_known(unknown)
    days = [date(unknown, 10, 1) + timedelta(days=n) for n in range(14)]
    assert [is_working_day(day) for day in days] == [day.weekday() < 5 for day in days]


@pytest.mark.parametrize(
    ("day", "fifth"),
    [
        ("2026-11-23", "2026-11-30"),  # a Monday
        ("2026-11-01", "2026-11-06"),  # a Sunday
        ("2026-10-01", "2026-10-13"),  # in the week of National Day, whose Saturday after is worked
        ("2026-02-01", "2026-02-06"),
        ("2026-02-13", "2026-02-27"),  # the last day but one before the spring festival
    ],
)
def test_the_fifth_working_day_does_not_count_the_day_itself_nor_holidays(day: str, fifth: str) -> None:
    assert working_day_after(date.fromisoformat(day), 5) == date.fromisoformat(fifth)


def test_no_working_days_later_is_the_day_itself() -> None:
    assert working_day_after(date(2026, 10, 1), 0) == date(2026, 10, 1)
