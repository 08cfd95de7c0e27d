"""Limits that are counted from the tables themselves, so that they hold across processes and restarts. Pure."""

import math
from datetime import datetime, timedelta

from chassis.core.errors import TooManyRequests

WINDOW = timedelta(hours=1)


def check_rate(nth_latest: datetime | None, at: datetime, refusal: type[TooManyRequests]) -> None:
    """Raises `refusal`, saying when to try again, if as many as are allowed an hour came in within the last hour.

    `nth_latest` is when the n-th latest came in, n being the number allowed; None if there were fewer ever.
    """
    if nth_latest is not None and nth_latest > at - WINDOW:
        wait = nth_latest + WINDOW - at
        raise refusal(retry_after_seconds=max(1, math.ceil(wait.total_seconds())))
