"""Times as residents read them: on the clock and the calendar of Beijing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from chassis.core.beijing import BEIJING

_WEEKDAYS = "一二三四五六日"
_VISIT_DAYS = 7
_VISIT_HOURS = (("上午", 9, 12), ("下午", 14, 17), ("傍晚", 17, 20))


def day_text(day: date, *, today: date) -> str:
    """11月24日（周二）, with 今天, 明天 or 昨天 where it is, and the year where it is another."""
    near = {-1: "昨天", 0: "今天", 1: "明天"}.get((day - today).days)
    text = f"{day.month}月{day.day}日（{near or '周' + _WEEKDAYS[day.weekday()]}）"
    return text if day.year == today.year else f"{day.year}年{text}"


def moment_text(at: datetime, *, now: datetime) -> str:
    """11月24日（明天）16:30, in Beijing."""
    local = at.astimezone(BEIJING)
    return f"{day_text(local.date(), today=now.astimezone(BEIJING).date())}{local:%H:%M}"


def clock_text(at: datetime) -> str:
    """16:30, in Beijing."""
    return f"{at.astimezone(BEIJING):%H:%M}"


def near_text(at: datetime, *, now: datetime) -> str:
    """16:30 today, and on another day as moment_text."""
    same_day = at.astimezone(BEIJING).date() == now.astimezone(BEIJING).date()
    return clock_text(at) if same_day else moment_text(at, now=now)


def deadline_text(at: datetime, *, now: datetime) -> str:
    """As moment_text; midnight belongs to the day that it ends, as people count."""
    local = at.astimezone(BEIJING)
    if local.time() != time(0):
        return moment_text(at, now=now)
    eve = local.date() - timedelta(days=1)
    return f"{day_text(eve, today=now.astimezone(BEIJING).date())}24:00"


def span_text(begins: datetime, ends: datetime, *, now: datetime) -> str:
    """11月24日（明天）9–12 点, in Beijing; with minutes where they are not whole hours of one day."""
    first, last = begins.astimezone(BEIJING), ends.astimezone(BEIJING)
    if first.date() != last.date():
        return f"{moment_text(begins, now=now)}–{moment_text(ends, now=now)}"
    if first.minute or last.minute:
        return f"{moment_text(begins, now=now)}–{last:%H:%M}"
    return f"{day_text(first.date(), today=now.astimezone(BEIJING).date())}{first.hour}–{last.hour} 点"


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a day in which a visit may be booked. `value` is its ISO 8601 interval, as the form sends it."""

    begins: datetime
    ends: datetime
    label: str

    @property
    def value(self) -> str:
        return f"{self.begins:%Y-%m-%dT%H:%M}/{self.ends:%Y-%m-%dT%H:%M}"


def visit_slots(now: datetime) -> Iterator[Slot]:
    """The parts of today and of the days after it that have not begun yet."""
    today = now.astimezone(BEIJING).date()
    for offset in range(_VISIT_DAYS + 1):
        day = today + timedelta(days=offset)
        for name, opens, closes in _VISIT_HOURS:
            begins = datetime.combine(day, time(opens), BEIJING)
            ends = datetime.combine(day, time(closes), BEIJING)
            if begins > now:
                yield Slot(begins, ends, f"{day_text(day, today=today)}{name} {opens}–{closes} 点")


def parse_local(text: str) -> datetime:
    """A moment as a form sends it; without an offset it is Beijing's. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)
