"""What is read of households."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from services.points.households.tables import Household, Member


async def household_by_id(session: AsyncSession, household_id: UUID) -> Household | None:
    """Our copy of a household; None where identity has told nothing of it yet.

    It is changed under the civic ledger's lock alone: whoever holds that reads what stays true until they commit.
    """
    return await session.get(Household, household_id, populate_existing=True)


async def standing_household(session: AsyncSession, household_id: UUID) -> UUID:
    """The household that has taken this one's place, through however many mergers; itself where it stands.

    One that identity has told nothing of stands. A circle cannot come about (`DissolvedOtherwise`), and would end
    the search all the same.
    """
    chain = (
        select(Household.id, Household.dissolved_into)
        .where(Household.id == household_id, Household.dissolved_into.is_not(None))
        .cte("chain", recursive=True)
    )
    chain = chain.union(
        select(Household.id, Household.dissolved_into)
        .join(chain, Household.id == chain.c.dissolved_into)
        .where(Household.dissolved_into.is_not(None))
    )
    last = select(chain.c.dissolved_into).where(
        ~exists().where(Household.id == chain.c.dissolved_into, Household.dissolved_into.is_not(None))
    )
    return await session.scalar(last) or household_id


async def may_act_for(session: AsyncSession, household_id: UUID, person_id: UUID) -> bool:
    """Whether a person is a member of the household now, or the household is not known here yet.

    An access token may outlive a membership by ten minutes: it says whose household it was, this says whether it is.
    """
    if await household_by_id(session, household_id) is None:
        return True
    return await session.get(Member, (household_id, person_id), populate_existing=True) is not None


async def household_of(session: AsyncSession, actor: Actor) -> UUID | None:
    """The household whose points and coupons are the actor's now: their token's, or the one that it joined since.

    None where there is none, or they are no member of it any more.
    """
    if actor.household_id is None:
        return None
    household_id = await standing_household(session, actor.household_id)
    return household_id if await may_act_for(session, household_id, actor.id) else None
