"""What households do on a schedule."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.identity.households import actions

jobs = Jobs()


@jobs.periodic("identity.sweep_households", cron="29 * * * *")
async def sweep(runtime: Runtime) -> None:
    """Every hour, forget past hours' tries and invitations that are long past."""
    async with runtime.db.transaction() as session:
        await actions.sweep(session, clock.now())
