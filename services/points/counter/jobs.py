"""What the counter does on a schedule."""

from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.counter import queries

jobs = Jobs()


@jobs.periodic("points.forget_clerk_tries", cron="31 * * * *")
async def forget_tries(runtime: Runtime) -> None:
    """Forget the wrong invitation codes of past hours."""
    async with runtime.db.transaction() as session:
        await queries.forget_tries(session)
