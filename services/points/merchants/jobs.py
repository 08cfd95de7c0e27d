"""What the merchants' door does on a schedule."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.merchants import queries
from services.points.merchants.rules import NONCE_KEPT
from services.points.merchants.sandbox import KEPT

jobs = Jobs()


@jobs.periodic("points.forget_nonces", cron="*/5 * * * *")
async def forget_nonces(runtime: Runtime) -> None:
    """Nonces older than any timestamp that could still be good are forgotten."""
    async with runtime.db.transaction() as session:
        await queries.forget_nonces(session, seen_until=clock.now() - NONCE_KEPT)


@jobs.periodic("points.sweep_sandbox", cron="41 3 * * *")
async def sweep_sandbox(runtime: Runtime) -> None:
    """What merchants tried in the sandbox is forgotten after thirty days."""
    async with runtime.db.transaction() as session:
        await queries.delete_sandbox(session, until=clock.now() - KEPT)
