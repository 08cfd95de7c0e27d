"""Absolute deadlines of a work order (DOMAIN: Clocks).

Urgent orders run round the clock. For the rest, limits in hours run 24 hours a day on working days, and the timer of
the pool runs from 08:30 to 17:30 of working days. Beijing has no daylight saving, so an hour is an hour.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from chassis.core.beijing import BEIJING
from chassis.core.workdays import is_working_day

CONTACT_WITHIN = timedelta(hours=24)
CONTACT_WITHIN_URGENT = timedelta(hours=2)
CLAIM_WITHIN = timedelta(hours=2)
CLAIM_WITHIN_URGENT = timedelta(minutes=15)
CALLBACK_WITHIN = timedelta(hours=48)

_MIDNIGHT = time(0)
_OFFICE_OPENS = time(8, 30)
_OFFICE_CLOSES = time(17, 30)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What is promised when a report arrives: contact by, and resolve by. Aware, in UTC."""

    contact_by: datetime
    due_at: datetime


def deadlines(arrived: datetime, *, sla_hours: int, urgent: bool) -> Deadlines:
    """The deadlines of a report that arrived then, under a sub-item's limit in hours."""
    contact = CONTACT_WITHIN_URGENT if urgent else CONTACT_WITHIN
    return Deadlines(
        contact_by=_after(arrived, contact, urgent=urgent),
        due_at=_after(arrived, timedelta(hours=sla_hours), urgent=urgent),
    )


def claim_by(pooled: datetime, *, urgent: bool) -> datetime:
    """Until when an order that entered the pool then is claimed in time; after that the dispatcher is told."""
    if urgent:
        return pooled + CLAIM_WITHIN_URGENT
    return add_working_time(pooled, CLAIM_WITHIN, opens=_OFFICE_OPENS, closes=_OFFICE_CLOSES)


def callback_by(resolved: datetime, *, urgent: bool) -> datetime:
    """Until when the resident is called back for the first time after an order was resolved."""
    return _after(resolved, CALLBACK_WITHIN, urgent=urgent)


def _after(start: datetime, duration: timedelta, *, urgent: bool) -> datetime:
    return start + duration if urgent else add_working_time(start, duration)


def add_working_time(
    start: datetime, duration: timedelta, *, opens: time = _MIDNIGHT, closes: time = _MIDNIGHT
) -> datetime:
    """The moment by which `duration` of working time has passed since `start`.

    Time counts on working days between `opens` and `closes` in Beijing; a `closes` of midnight is the end of the day.
    The answer is the earliest such moment, so it never falls into a day off or before opening.
    """
    left = duration
    day = start.astimezone(BEIJING).date()
    while True:
        if is_working_day(day):
            begins, ends = _window(day, opens, closes)
            begins = max(begins, start)
            if begins < ends and left <= ends - begins:
                return (begins + left).astimezone(start.tzinfo)
            left -= max(ends - begins, timedelta(0))
        day += timedelta(days=1)


def _window(day: date, opens: time, closes: time) -> tuple[datetime, datetime]:
    begins = datetime.combine(day, opens, BEIJING)
    if closes == _MIDNIGHT:
        return begins, datetime.combine(day + timedelta(days=1), _MIDNIGHT, BEIJING)
    return begins, datetime.combine(day, closes, BEIJING)
