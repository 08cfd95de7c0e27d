"""Working days of the Chinese calendar (国务院办公厅节假日安排), holidays and make-up days included."""

from datetime import date, timedelta

import chinese_calendar
from chinese_calendar.constants import holidays

# The State Council decides a year's holidays in the autumn before it; until a release of `chinesecalendar` knows them,
# a year's working days are Monday to Friday.
FIRST_YEAR: int = min(holidays).year
LAST_YEAR: int = max(holidays).year


def is_known(year: int) -> bool:
    """Whether the holidays of this year are known; if not, weekends alone count as days off."""
    return FIRST_YEAR <= year <= LAST_YEAR


def is_working_day(day: date) -> bool:
    """Whether this is a working day in Beijing."""
    if not is_known(day.year):
        return day.weekday() < 5
    return bool(chinese_calendar.is_workday(day))


def working_day_after(day: date, number: int) -> date:
    """The so many-th working day after a day, which itself does not count."""
    while number > 0:
        day += timedelta(days=1)
        number -= is_working_day(day)
    return day
