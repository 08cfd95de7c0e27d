"""What the clock does to activities."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.events.activities import actions

jobs = Jobs()


async def sweep(session: AsyncSession, at: datetime) -> int:
    """End what nobody ended in time; returns how many activities were ended."""
    return await actions.end_overdue(session, at)


@jobs.periodic("events.sweep", cron="* * * * *")
async def sweep_now(runtime: Runtime) -> None:
    """Every minute, until nothing is left to be ended."""
    while await runtime.db.retrying(lambda session: sweep(session, clock.now())):
        pass
