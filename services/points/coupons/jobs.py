"""What rewards need later."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.coupons import actions

jobs = Jobs()


@jobs.periodic("points.sweep_wrong_codes", cron="29 * * * *")
async def sweep(runtime: Runtime) -> None:
    """Forget the wrong codes of past hours."""
    async with runtime.db.transaction() as session:
        await actions.sweep(session, clock.now())
