"""What coupons need later."""

from datetime import datetime

import structlog

from chassis.core import clock
from chassis.core.errors import DomainError
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.coupons import actions, queries
from services.points.coupons.endings import ExpireCoupons
from services.points.ledger.jobs import as_far_as_it_goes
from services.points.ledger.writer import Writer

log = structlog.get_logger(__name__)

jobs = Jobs()

AT_ONCE = 300
"""How many expire in one transaction: others who post wait for some hundredths of a second."""


@jobs.periodic("points.sweep_wrong_codes", cron="29 * * * *")
async def sweep(runtime: Runtime) -> None:
    """Forget the wrong codes of past hours."""
    async with runtime.db.transaction() as session:
        await actions.sweep(session, clock.now())


@jobs.periodic("points.expire_coupons", cron="3,18,33,48 * * * *")
async def expire_coupons(runtime: Runtime) -> None:
    """What ended at midnight is posted: its points go back where that was promised, or are gone."""
    await as_far_as_it_goes("points.expire_coupons", expire(runtime, clock.now()))


async def expire(runtime: Runtime, now: datetime, *, at_once: int = AT_ONCE) -> int:
    """Let all coupons expire that are due, in the order of their ends. Returns how many did; others may be doing it
    too, and a run that dies in the middle has done what it has done.

    Raises Unavailable where the database is busy or away.
    """
    writer = Writer(runtime.db, runtime.vault, runtime.metrics)
    done, after = 0, None
    while True:
        async with runtime.db.transaction() as session:
            due = await queries.overdue_coupons(session, now, after=after, limit=at_once)
        if not due:
            return done
        after = due[-1]
        coupon_ids = [coupon_id for _, coupon_id in due]
        for coupon_id, answer in zip(coupon_ids, await writer.submit_all(ExpireCoupons, coupon_ids), strict=True):
            if isinstance(answer, DomainError):
                log.error("coupon_remains", coupon=coupon_id, reason=answer.code)
            else:
                done += answer
