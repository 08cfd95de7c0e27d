"""Following the households: who belongs to them, and whose the points are when one joins another."""

from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.awards.queries import last_position
from services.points.coupons.actions import hand_over_coupons
from services.points.households import queries
from services.points.households.errors import DissolvedOtherwise
from services.points.households.schemas import HouseholdChanged
from services.points.households.tables import Household, Member
from services.points.ledger import actions as ledger
from services.points.ledger.core.commands import Merge
from services.points.ledger.queries import lock_ledgers
from services.points.ledger.terms import household_wallet
from services.points.terms import LedgerName


async def follow(session: AsyncSession, told: HouseholdChanged) -> None:
    """Take over a household as it is told; what is older than what is known, or the same, changes nothing.

    When it was dissolved, its wallet and coupons become those of the household it joined, or of the one that has
    taken that one's place meanwhile. The civic ledger is locked first: nothing is posted, and nobody spends, by
    what was true before. Where it was dissolved both are: a fact is accepted either before that, or knowing it. Raises
    DissolvedOtherwise.
    """
    await lock_ledgers(session, [LedgerName.CIVIC] if told.dissolved_into is None else tuple(LedgerName))
    known = await queries.household_by_id(session, told.household_id)
    if known is not None and known.version >= told.version:
        return
    before = known.dissolved_into if known else None
    if before is not None and before != told.dissolved_into:
        raise DissolvedOtherwise
    if told.dissolved_into is not None and before is None:
        await _merge(session, told, told.dissolved_into)
    await _replace(session, told, known)


async def forget_person(session: AsyncSession, person_id: UUID) -> None:
    """Somebody deleted their account: they are a member nowhere any more. Under the civic ledger's lock, as all that
    changes households.
    """
    await session.execute(delete(Member).where(Member.person_id == person_id))


async def _merge(session: AsyncSession, told: HouseholdChanged, joined: UUID) -> None:
    into = await queries.standing_household(session, joined)
    if into == told.household_id:
        raise DissolvedOtherwise
    merge = Merge(
        household_wallet(told.household_id),
        household_wallet(into),
        reference=f"merger/{told.household_id}/{told.version}",
        occurred_at=told.occurred_at,
    )
    await ledger.post(session, merge)
    await hand_over_coupons(session, told.household_id, into)


async def _replace(session: AsyncSession, told: HouseholdChanged, known: Household | None) -> None:
    household = known or Household(id=told.household_id)
    if household.dissolved_into is None and told.dissolved_into is not None:
        household.joined_after = await last_position(session)
    household.version, household.dissolved_into = told.version, told.dissolved_into
    session.add(household)
    await session.flush()
    await session.execute(delete(Member).where(Member.household_id == told.household_id))
    members = {member.person_id: member for member in told.members}
    session.add_all(
        Member(household_id=told.household_id, person_id=id_, child=member.child, consented=member.consented)
        for id_, member in members.items()
    )
    await session.flush()
