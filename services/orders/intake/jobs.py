"""What reports need later."""

from uuid import UUID

from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.orders.intake import actions, queries
from services.orders.intake.clients import find_person_by_phone
from services.orders.intake.tables import Report

jobs = Jobs()


@jobs.task(actions.FIND_REPORTER)
async def find_reporter(runtime: Runtime, *, report_id: str) -> None:
    """Ask the identity service whose phone it is, so that nobody handles or confirms their own report unnoticed.

    Once that is recorded it is asked again: of whoever deleted their account in between nobody would tell us any more.
    """
    async with runtime.db.transaction() as session:
        report = await session.get(Report, UUID(report_id))
        phone = queries.open_sealed(runtime.vault, report, "phone") if report else None
    if phone is None:
        return
    found = await find_person_by_phone(runtime.client, phone)
    async with runtime.db.transaction() as session:
        reporter_id = await actions.record_reporter(session, UUID(report_id), found)
    if reporter_id is not None and (await find_person_by_phone(runtime.client, phone)).person_id != reporter_id:
        async with runtime.db.transaction() as session:
            await actions.erase_contacts(session, reporter_id)
