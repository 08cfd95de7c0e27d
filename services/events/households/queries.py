"""Reading and locking our copy of households."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.events.households.rules import Family, Standing
from services.events.households.tables import Household, Member

UNKNOWN = 0
"""The version of a household of which nothing is known yet but that others were dissolved into it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What our copy says of a household: its members, and the one that it was dissolved into."""

    family: Family
    dissolved_into: UUID | None


async def look_up(session: AsyncSession, household_id: UUID) -> Known:
    """What is known of a household at this moment, in one query; nothing is locked."""
    statement = (
        select(Household.dissolved_into, Member)
        .outerjoin(Member, Member.household_id == Household.id)
        .where(Household.id == household_id)
    )
    rows = (await session.execute(statement)).all()
    members = {row.Member.person_id: _standing(row.Member) for row in rows if row.Member is not None}
    return Known(Family(household_id, members), rows[0].dissolved_into if rows else None)


def _standing(member: Member) -> Standing:
    return Standing(member.child, member.consented)


async def family(session: AsyncSession, household_id: UUID) -> Family:
    """The household with its members; without any where it is not known here."""
    rows = await session.scalars(select(Member).where(Member.household_id == household_id))
    return Family(household_id, {row.person_id: _standing(row) for row in rows})


async def lock_family(session: AsyncSession, household_id: UUID) -> Family:
    """The same; changes of the household wait until the transaction ends. Lock it before any activity."""
    await session.execute(select(Household.id).where(Household.id == household_id).with_for_update(read=True))
    return await family(session, household_id)


async def lock_households(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, Household]:
    """Our copies of these households, locked in the order of their ids; a blank one of what is not known yet."""
    ids = sorted(household_ids)
    blank = [{"id": household_id, "version": UNKNOWN} for household_id in ids]
    await session.execute(insert(Household).values(blank).on_conflict_do_nothing())
    statement = select(Household).where(Household.id.in_(ids)).order_by(Household.id).with_for_update(key_share=True)
    rows = await session.scalars(statement.execution_options(populate_existing=True))
    return {household.id: household for household in rows}
