"""The one source of time. Decisions take a time as an argument; whoever must ask, asks here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime

from chassis.core.beijing import day_of

_frozen: ContextVar[datetime | None] = ContextVar("frozen_clock", default=None)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _frozen.get() or datetime.now(UTC)


def today() -> date:
    """The calendar day in Beijing: what a resident means by "today"."""
    return day_of(now())


def hour_of(moment: datetime) -> datetime:
    """The start of the clock hour, in which wrong codes and the like are counted."""
    return moment.replace(minute=0, second=0, microsecond=0)


def is_frozen() -> bool:
    """Whether time stands still here, so that no other clock need agree with ours."""
    return _frozen.get() is not None


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Let `now()` answer `at` within this block and the tasks started in it: for tests and for the demo town's past."""
    if at.tzinfo is None:
        raise ValueError("a frozen clock needs an aware datetime")
    token = _frozen.set(at.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.reset(token)
