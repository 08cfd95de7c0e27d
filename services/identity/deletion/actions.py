"""Deleting an account 注销."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, idempotency
from chassis.core.messages import publish
from services.identity.deletion.errors import ChildrenWouldBeErased, HasPost
from services.identity.deletion.messages import PersonDeleted
from services.identity.guardianship import rules as guardianship
from services.identity.guardianship.actions import erase_child
from services.identity.households import queries as households
from services.identity.households.actions import announce, give_up
from services.identity.households.rules import Family, check_adult
from services.identity.organisations import queries as organisations
from services.identity.people import queries as people
from services.identity.people.rules import erase
from services.identity.people.tables import Membership
from services.identity.signin import queries as signin
from services.identity.signin.rules import end

_BECAUSE = "deleted"


async def delete_account(session: AsyncSession, person_id: UUID, *, with_children: bool) -> None:
    """Erase somebody's name and phone, end their sign-ins and their membership.

    Children who would be left without a guardian are erased too, where that is said. What stays: the id, which notices
    of privacy the person accepted and when, who consented to what; and the household's id, under which its points are
    kept. Raises PersonGone, NotAdult, HasPost, ChildrenWouldBeErased, Unavailable.
    """
    at = clock.now()
    await people.present_person(session, person_id)
    household_id = await households.household_of(session, person_id)
    families = await households.lock_families(session, [household_id] if household_id else [], with_people=[person_id])
    person = await people.present_person(session, person_id)  # as it is now that it is locked
    if await households.household_of(session, person_id) != household_id:
        raise households.moved()
    if await organisations.posts_of(session, person_id):
        raise HasPost
    if household_id:
        await _leave_behind(session, families[household_id], person_id, at, with_children=with_children)
    erase(person)
    for family in await signin.lock_families_of(session, person_id):
        end(family, _BECAUSE, at)
    await idempotency.forget_answers(session, families[household_id].people if household_id else [person_id])
    await session.flush()
    await publish(session, PersonDeleted(occurred_at=at, person_id=person_id))
    if household_id:
        await announce(session, families[household_id].household, at)


async def _leave_behind(
    session: AsyncSession, family: Family, person_id: UUID, at: datetime, *, with_children: bool
) -> None:
    check_adult(family, person_id)
    forsaken = family.left_without_guardian(person_id)
    if forsaken and not with_children:
        raise ChildrenWouldBeErased
    for child_id in sorted(forsaken):
        await erase_child(session, family, child_id, at, because=guardianship.DELETED, by=person_id)
    await give_up(session, family, person_id, {person_id}, at)
    await session.execute(delete(Membership).where(Membership.person_id == person_id))
