"""Children turn fourteen."""

from datetime import date
from functools import partial

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.identity.guardianship import actions

jobs = Jobs()

_BATCH = 500


@jobs.periodic("identity.come_of_age", cron="10 16 * * *")
async def come_of_age(runtime: Runtime) -> None:
    """At ten past midnight in Beijing: whose fourteenth birthday has come is no child any more."""
    await let_come_of_age(runtime, clock.today())


async def let_come_of_age(runtime: Runtime, today: date, *, batch: int = _BATCH) -> None:
    """Look through all children, `batch` at a time; each household is one transaction. May be run again, and late."""
    after = None
    while True:
        async with runtime.db.transaction() as session:
            alone, homes, after = await actions.children_who_turned_fourteen(
                session, runtime.vault, today, after=after, limit=batch
            )
        for child_id in alone:
            await runtime.db.retrying(
                partial(actions.come_of_age_alone, vault=runtime.vault, child_id=child_id, today=today)
            )
        for household_id in sorted(homes):
            await runtime.db.retrying(
                partial(actions.come_of_age, vault=runtime.vault, household_id=household_id, today=today)
            )
        if after is None:
            return
