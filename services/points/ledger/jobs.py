"""What the ledger does on a schedule. Each run does all that is due, so what one leaves undone the next one does."""

from collections.abc import Awaitable

import structlog

from chassis.core import clock
from chassis.core.db import is_contention
from chassis.core.errors import Unavailable
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.ledger import overdue

log = structlog.get_logger(__name__)

jobs = Jobs()


@jobs.periodic("points.expire_lots", cron="*/5 * * * *")
async def expire_lots(runtime: Runtime) -> None:
    """What is overdue expires."""
    await as_far_as_it_goes("points.expire_lots", overdue.expire(runtime, clock.now()))


@jobs.periodic("points.lapse_holds", cron="* * * * *")
async def lapse_holds(runtime: Runtime) -> None:
    """Holds whose time is over give back what they keep."""
    await as_far_as_it_goes("points.lapse_holds", overdue.lapse(runtime, clock.now()))


@jobs.periodic("points.tell_of_expiry", cron="41 1 * * *")
async def tell_of_expiry(runtime: Runtime) -> None:
    """Every morning, households are told of points that expire within thirty days."""
    await overdue.tell(runtime, clock.now())


async def as_far_as_it_goes(job: str, run: Awaitable[int]) -> None:
    """Where the database is busy or away, the rest is left to the next run, minutes later: that is no failure."""
    try:
        await run
    except Exception as error:
        if not (isinstance(error, Unavailable) or is_contention(error)):
            raise
        log.warning("left_to_the_next_run", job=job, reason=type(getattr(error, "orig", error)).__name__)
