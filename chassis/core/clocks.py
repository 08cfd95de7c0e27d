"""Whether this machine's clock can be believed: it is compared with the database's, which all machines share."""

from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock

log = structlog.get_logger(__name__)

CLOCKS_APART = timedelta(minutes=1)
"""How far our clock may be ahead of the database's."""


async def is_ahead(session: AsyncSession) -> bool:
    """Whether our clock is far ahead of the database's, which is logged: what is young would seem old to us.

    Periodic jobs, which forget things by their age or tell people that their time has come, leave it until the clock is
    right. (The database's clock decides nothing else.) One that is behind only makes us late.
    """
    if clock.is_frozen():
        return False
    ahead = clock.now() - (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    if ahead > CLOCKS_APART:
        log.error("clock_ahead", seconds=int(ahead.total_seconds()))
    return bool(ahead > CLOCKS_APART)
