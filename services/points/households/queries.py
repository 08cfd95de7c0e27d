"""What is read of households."""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.db import driver_connection, driver_errors
from services.points.households.tables import Household, Member


async def household_by_id(session: AsyncSession, household_id: UUID) -> Household | None:
    """Our copy of a household; None where identity has told nothing of it yet.

    It is changed under the civic ledger's lock alone: whoever holds that reads what stays true until they commit.
    """
    return await session.get(Household, household_id, populate_existing=True)


async def known_households(session: AsyncSession, household_ids: Collection[UUID]) -> set[UUID]:
    """Those of the households that identity has told of."""
    if not household_ids:
        return set()
    return set(await session.scalars(select(Household.id).where(Household.id.in_(household_ids))))


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


async def standing_households(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """`standing_household` of each of many."""
    if not household_ids:
        return {}
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = await driver.cursor(binary=True).execute(_STANDING, [list(household_ids)])
        return dict(zip(household_ids, household_ids, strict=True)) | dict(await cursor.fetchall())


async def members_of(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, dict[UUID, bool]]:
    """The members of each of these households, and of each whether it is a child. A household that identity has told
    nothing of yet is not among them.
    """
    found: dict[UUID, dict[UUID, bool]] = {}
    if not household_ids:
        return found
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = await driver.cursor(binary=True).execute(_MEMBERS, [list(household_ids)])
        for household_id, person_id, child in await cursor.fetchall():
            members = found.setdefault(household_id, {})
            if person_id is not None:
                members[person_id] = child
    return found


async def households_joined(session: AsyncSession, people: Collection[UUID]) -> defaultdict[UUID, set[UUID]]:
    """The households that each of these people is a member of, whatever their tokens say."""
    found: defaultdict[UUID, set[UUID]] = defaultdict(set)
    statement = select(Member.household_id, Member.person_id).where(Member.person_id.in_(people))
    for household_id, person_id in await session.execute(statement):
        found[person_id].add(household_id)
    return found


ONE_FAMILY = """
WITH RECURSIVE above (asked, id) AS (
    SELECT asked, asked FROM unnest(%(households)b::uuid[]) AS asked
    UNION SELECT above.asked, household.dissolved_into FROM above JOIN household USING (id)
    WHERE household.joined_after < %(before)b
), family (asked, id) AS (
    SELECT asked, id FROM above
    WHERE NOT EXISTS (SELECT FROM household WHERE household.id = above.id AND household.joined_after < %(before)b)
    UNION SELECT family.asked, household.id FROM family JOIN household ON household.dissolved_into = family.id
    WHERE household.joined_after < %(before)b
)
SELECT asked, id FROM family WHERE id <> asked ORDER BY asked, id
"""
"""Of each of these households, the others that are one with it: those that joined it, the one that it joined, and
whoever joined that. As of before a fact was accepted, by its position.
"""


_STANDING = """
WITH RECURSIVE chain (origin, id) AS (
    SELECT id, id FROM household WHERE id = ANY(%b) AND dissolved_into IS NOT NULL
    UNION SELECT chain.origin, household.dissolved_into FROM chain JOIN household USING (id)
    WHERE household.dissolved_into IS NOT NULL
)
SELECT origin, id FROM chain
WHERE NOT EXISTS (SELECT FROM household WHERE household.id = chain.id AND dissolved_into IS NOT NULL)
"""
_MEMBERS = """
SELECT household.id, member.person_id, member.child
FROM household LEFT JOIN member ON member.household_id = household.id WHERE household.id = ANY(%b)
"""
