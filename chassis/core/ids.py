"""Identifiers."""

from datetime import timedelta
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A UUID of version 7: sorted by time, so that indexes grow at one end."""
    return uuid7()


def made_before(age: timedelta) -> UUID:
    """What divides ids by age: each that `new_id` made longer ago than this is less than it.

    By the machine's clock, as the ids themselves are, whatever a test or the demo town has `clock` say.
    """
    milliseconds = (new_id().int >> 80) - age // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80)
