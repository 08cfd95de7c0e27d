"""When things happen in the demo town: counted from whenever it is loaded, so that it always looks alive."""

from collections.abc import Callable
from datetime import datetime, time, timedelta

from chassis.core.beijing import BEIJING
from chassis.core.workdays import is_working_day

Moment = Callable[[datetime], datetime]
"""From the moment of loading, the moment of the event: aware."""


def minutes_ago(minutes: int) -> Moment:
    """So many minutes before now."""

    def moment(now: datetime) -> datetime:
        return now - timedelta(minutes=minutes)

    return moment


def minutes_ahead(minutes: int) -> Moment:
    """So many minutes after now."""
    return minutes_ago(-minutes)


def on_day(days: int, clock_time: str) -> Moment:
    """At that time in Beijing, so many days from today; before it where `days` is negative."""
    wanted = time.fromisoformat(clock_time)

    def moment(now: datetime) -> datetime:
        return datetime.combine(now.astimezone(BEIJING).date() + timedelta(days=days), wanted, BEIJING)

    return moment


def working_day(days_ago: int, clock_time: str) -> Moment:
    """At that time in Beijing of the last working day before today, or of the one that many further back (from 1)."""
    wanted = time.fromisoformat(clock_time)

    def moment(now: datetime) -> datetime:
        day, left = now.astimezone(BEIJING).date(), days_ago
        while left:
            day -= timedelta(days=1)
            left -= is_working_day(day)
        return datetime.combine(day, wanted, BEIJING)

    return moment
