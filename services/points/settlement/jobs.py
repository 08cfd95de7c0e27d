"""What settlement does on a schedule. Each run does all that is due, so what one leaves undone the next one does."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import partial

import structlog

from chassis.core import clock
from chassis.core.db import Database
from chassis.core.errors import Conflict
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.points.merchants.tables import Merchant
from services.points.settlement import actions, queries, rules
from services.points.statements.terms import Range

log = structlog.get_logger(__name__)

jobs = Jobs()


@jobs.periodic("points.draw_up_statements", cron="5 2,8,14,20 * * *")
async def draw_up_statements(runtime: Runtime) -> None:
    """Months that are over get their statements: at five past ten in Beijing, and again where that failed."""
    await draw_up(runtime.db, clock.now())


@jobs.periodic("points.confirm_statements", cron="15 4,10,16,22 * * *")
async def confirm_statements(runtime: Runtime) -> None:
    """Drafts that nobody disputed in time are confirmed: a quarter past midnight in Beijing, and again later."""
    await confirm(runtime.db, clock.now())


async def draw_up(db: Database, at: datetime) -> None:
    """Draw up what is missing of the months that were over by then, each statement in a transaction of its own.

    What goes wrong with one merchant keeps no other from its statement, and is tried again by the next run.
    """
    async with db.transaction() as session:
        awaited = await queries.awaited_statements(session)
    ends: dict[date, int] = {}
    for merchant, first, number in awaited:
        try:
            await _draw_up(db, merchant, rules.months_ready(first, at), number, ends, at)
        except Exception as error:
            log.error("statements_not_drawn_up", merchant_id=str(merchant.id), exc_info=error)


async def _draw_up(
    db: Database, merchant: Merchant, months: Iterable[date], number: int, ends: dict[date, int], at: datetime
) -> None:
    for month in months:
        if month not in ends:
            ends[month] = await db.retrying(partial(actions.close_month, month=month))
        numbers = Range(number, ends[month])
        await db.retrying(partial(actions.draw_up, merchant=merchant, month=month, numbers=numbers, at=at))
        number = numbers.end


async def confirm(db: Database, at: datetime) -> None:
    """Confirm the drafts whose time was over by then, the earlier months first, each in a transaction of its own.

    What goes wrong with one keeps no other from being confirmed, and is tried again by the next run.
    """
    async with db.transaction() as session:
        due = await queries.drafts_due(session, at)
    for statement_id in due:
        try:
            await db.retrying(partial(actions.confirm_due, statement_id=statement_id, at=at))
        except Conflict as reason:  # an earlier month is disputed, or somebody was faster
            log.info("statement_not_confirmed", statement_id=str(statement_id), reason=reason.code)
        except Exception as error:
            log.error("statement_not_confirmed", statement_id=str(statement_id), exc_info=error)
