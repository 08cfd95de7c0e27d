"""Keeping our copy of households, and what follows from its changes."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.client import ServiceClient
from chassis.core.db import Database
from chassis.core.turnstile import Turnstile
from services.events.households import queries, rules
from services.events.households.clients import fetch_household
from services.events.households.errors import NoHousehold
from services.events.households.schemas import HouseholdSnapshot
from services.events.households.tables import FormerMember, Household, Member
from services.events.signups import actions as signups

_HOPS = 10
_LANES = 4
"""How many look at the copy at the same time, each with a connection."""


async def ask_household(
    db: Database, client: ServiceClient, turnstile: Turnstile, actor: Actor, members: Collection[UUID] = ()
) -> UUID:
    """The actor's household as it stands; identity is asked where our copy does not suffice for these members.

    To be called while no transaction is open: each look at the copy is a short one of its own, and only some at a time,
    so that hundreds who come at once leave connections to others. What the actor may do is decided later, in the
    transaction of the deed. Raises NoHousehold; Unavailable where identity has to be asked and does not answer.
    """
    if actor.household_id is None:
        raise NoHousehold
    household_id = actor.household_id
    lane = ("households", actor.id.int % _LANES)
    for _ in range(_HOPS):
        async with turnstile.turn(lane), db.sessions() as session:
            known = await queries.look_up(session, household_id)
        if known.dissolved_into is not None:
            household_id = known.dissolved_into
            continue
        if rules.suffices(known.family, actor.id, members):
            break
        snapshot = await fetch_household(client, household_id)
        if snapshot is None:
            break
        async with turnstile.turn(lane):
            await _take(db, snapshot)
        if snapshot.dissolved_into is None:
            break
    return household_id


async def _take(db: Database, snapshot: HouseholdSnapshot) -> None:
    await db.retrying(lambda session: apply(session, snapshot))


async def apply(session: AsyncSession, snapshot: HouseholdSnapshot) -> None:
    """Bring our copy up to date, unless it knows of something later; end what those who left had signed up for.

    Snapshots may come repeatedly, late and in any order: the highest version counts, and stands for all before it.
    """
    into = snapshot.dissolved_into
    locked = await queries.lock_households(session, {snapshot.household_id, *([into] if into else [])})
    household = locked[snapshot.household_id]
    if snapshot.version <= household.version:
        return
    before = (await queries.family(session, household.id)).members.keys()
    await _replace(session, household, snapshot)
    at = clock.now()
    await _remember_former(session, household.id, before - {member.person_id for member in snapshot.members}, at)
    if into is None:
        await signups.follow_household(session, household.id, rules.changes(before, snapshot.members), at)
    else:
        await _hand_over(session, household.id, before, locked[into])


async def _replace(session: AsyncSession, household: Household, snapshot: HouseholdSnapshot) -> None:
    household.version, household.dissolved_into = snapshot.version, snapshot.dissolved_into
    await session.execute(delete(Member).where(Member.household_id == household.id))
    rows = {member.person_id: member for member in snapshot.members}
    if rows:
        values = [{"household_id": household.id, **dict(member)} for member in rows.values()]
        await session.execute(insert(Member), values)
    await session.flush()


async def _remember_former(session: AsyncSession, household_id: UUID, left: Collection[UUID], at: datetime) -> None:
    if not left:
        return
    rows = [{"household_id": household_id, "person_id": person_id, "left_at": at} for person_id in left]
    statement = upsert(FormerMember).values(rows)
    key = [FormerMember.household_id, FormerMember.person_id]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_={"left_at": at}))


async def _hand_over(session: AsyncSession, household_id: UUID, before: AbstractSet[UUID], into: Household) -> None:
    """What a dissolved household signed up for is the other's now, or that one's which the other has become.

    They came there all together: if we know of one who is there, whoever of those before is not has left since.
    """
    for _ in range(_HOPS):
        if into.dissolved_into is None:
            break
        into = (await queries.lock_households(session, {into.dissolved_into}))[into.dissolved_into]
    at = clock.now()
    await signups.hand_over(session, household_id, into.id)
    members = (await queries.family(session, into.id)).members
    unconsented = frozenset(member for member, standing in members.items() if not standing.may_take_part)
    left = frozenset(before) - members.keys() if before & members.keys() else frozenset()
    await signups.follow_household(session, into.id, rules.Changes(left, unconsented), at)
