"""Erasing what is kept of a person besides their id."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.catalogue.actions import strike_off_rolls
from services.points.counter.actions import leave_all
from services.points.coupons.actions import forget_member
from services.points.households.actions import forget_person
from services.points.ledger.queries import lock_ledgers
from services.points.terms import LedgerName


async def erase(session: AsyncSession, person_id: UUID) -> None:
    """Erase what tells who a person was: as a clerk, on rolls, in a household, and which coupons were for them.

    The ledgers go on under the id, which names nobody any more; points and coupons are the household's. The civic
    ledger is locked first, as by all who lock clerks or coupons in order to post.
    """
    await lock_ledgers(session, [LedgerName.CIVIC])
    await leave_all(session, person_id)
    await strike_off_rolls(session, person_id)
    await forget_person(session, person_id)
    await forget_member(session, person_id)
