"""What attendance does on a schedule."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.events.attendance import actions

jobs = Jobs()


@jobs.periodic("events.forget_tries", cron="37 * * * *")
async def forget_tries(runtime: Runtime) -> None:
    """Every hour, forget the wrong venue codes of hours that are past."""
    async with runtime.db.transaction() as session:
        await actions.forget_tries(session, clock.now())
