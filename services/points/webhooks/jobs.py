"""What keeps merchants told, and what goes on about webhooks by the calendar."""

from datetime import timedelta

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.outbound import Outbound
from chassis.core.runtime import Runtime
from services.points.settings import PointsSettings
from services.points.webhooks import actions, queries
from services.points.webhooks.sending import Courier, Sending

PAUSE_SECONDS = 1.0
KEPT = timedelta(days=30)
"""For so long the log of deliveries can be read, and what failed replayed."""
_NOTICES_KEPT = timedelta(days=90)
"""Longer than any of them could be due."""

jobs = Jobs()


async def send_webhooks(runtime: Runtime) -> None:
    """Send what is due for as long as the process runs. Several processes share the work."""
    settings = runtime.settings
    assert isinstance(settings, PointsSettings)
    outbound = Outbound(local_addresses=settings.webhook_local_addresses)
    try:
        await Courier(Sending(runtime.db, runtime.vault, outbound, runtime.metrics)).run(PAUSE_SECONDS)
    finally:
        await outbound.aclose()


@jobs.periodic("points.forget_webhooks", cron="41 19 * * *")
async def forget(runtime: Runtime) -> None:
    """Forget what was sent long ago, and secrets that do not sign any more."""
    at = clock.now()
    async with runtime.db.transaction() as session:
        await queries.drop_old_secrets(session, at)
        await queries.forget_notices(session, at - _NOTICES_KEPT)
    gone = 1
    while gone:
        async with runtime.db.transaction() as session:
            gone = await queries.forget(session, at - KEPT)


@jobs.periodic("points.tell_by_calendar", cron="2 * * * *")
async def tell_by_calendar(runtime: Runtime) -> None:
    """Every hour, tell merchants what has become due: their bills after ten in the morning, their keys' ends."""
    async with runtime.db.transaction() as session:
        await actions.tell_by_calendar(session, clock.now())
