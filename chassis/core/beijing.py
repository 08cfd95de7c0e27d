"""Beijing's time zone, in which days, months and working hours are counted."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

BEIJING = ZoneInfo("Asia/Shanghai")


def day_of(moment: datetime) -> date:
    """The calendar day on which it happened in Beijing."""
    return moment.astimezone(BEIJING).date()
