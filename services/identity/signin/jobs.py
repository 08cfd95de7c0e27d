"""What signing in does on a schedule."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.identity.signin import actions

jobs = Jobs()


@jobs.periodic("identity.sweep", cron="23 * * * *")
async def sweep(runtime: Runtime) -> None:
    """Every hour, forget expired codes, counts and refresh families."""
    async with runtime.db.transaction() as session:
        await actions.sweep(session, clock.now())
