"""Writes the demo town's organisations, people, posts and households into the identity service's database."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from beiyuan.demo import town
from chassis.core.crypto import Vault
from chassis.core.runtime import Runtime
from services.identity.guardianship import actions as guardianship
from services.identity.guardianship.tables import Guardianship
from services.identity.guardianship.terms import ChildCare
from services.identity.organisations import actions as organisations
from services.identity.organisations.tables import Organisation, Post
from services.identity.organisations.terms import NewPost
from services.identity.people import actions as people
from services.identity.people.tables import Household, Person
from services.identity.people.terms import PersonRecord
from services.identity.terms import PersonState


async def load_people(identity: Runtime, today: date) -> bool:
    """Write who and what is missing, in one transaction; whether anything was. Ages are counted from `today`."""
    async with identity.db.transaction() as session:
        written = [
            await _organisations(session),
            await _people(session, identity.vault, today),
            await _posts(session),
            await _households(session),
            await _care(session),
        ]
    return any(written)


async def _organisations(session: AsyncSession) -> bool:
    known = await present(session, Organisation.id, (organisation.id for organisation in town.ORGANISATIONS))
    missing = [organisation for organisation in town.ORGANISATIONS if organisation.id not in known]
    for organisation in missing:
        await organisations.record_organisation(
            session,
            organisation.id,
            name=organisation.name,
            kind=organisation.kind,
            level=organisation.level,
            parent_id=organisation.parent_id,
            remit=organisation.remit,
        )
    return bool(missing)


async def _people(session: AsyncSession, vault: Vault, today: date) -> bool:
    known = await present(session, Person.id, (person.id for person in town.PEOPLE.values()))
    # In a town that was loaded before births were recorded, the children have none.
    without_birth = select(Person.id).where(
        Person.child, Person.birth_sealed.is_(None), Person.state == PersonState.ACTIVE
    )
    known -= set(await session.scalars(without_birth))
    missing = [
        PersonRecord(person.id, person.name, person.phone, person.child, person.born_on(today))
        for person in town.PEOPLE.values()
        if person.id not in known
    ]
    if missing:
        await people.record_people(session, vault, missing)
    return bool(missing)


async def _posts(session: AsyncSession) -> bool:
    staff = [who.person.id for who in town.STAFF.values()]
    rows = await session.execute(select(Post.person_id, Post.role).where(Post.person_id.in_(staff)))
    known = {(row.person_id, row.role) for row in rows}
    missing = [
        NewPost(who.person.id, who.organisation.id, role)
        for who in town.STAFF.values()
        for role in who.roles
        if (who.person.id, role.value) not in known
    ]
    if missing:
        await organisations.give_posts(session, missing)
    return bool(missing)


async def _households(session: AsyncSession) -> bool:
    known = await present(session, Household.id, (household.id for household in town.HOUSEHOLDS.values()))
    missing = [household for household in town.HOUSEHOLDS.values() if household.id not in known]
    for household in missing:
        await people.record_household(session, household.id, [member.id for member in household.members])
    return bool(missing)


async def _care(session: AsyncSession) -> bool:
    """Guardians and consents of every child that has not had any. What was taken back since is not given again."""
    cared_for = set(await session.scalars(select(Guardianship.child_id)))
    missing = [
        household
        for household in town.HOUSEHOLDS.values()
        if household.children and not cared_for >= {child.id for child in household.children}
    ]
    for household in missing:
        guardians = tuple(guardian.id for guardian in household.guardians)
        consents = dict.fromkeys(household.consents, guardians[0])
        care = ChildCare(guardians, consents)
        await guardianship.record_care(session, household.id, {child.id: care for child in household.children})
    return bool(missing)


async def present(session: AsyncSession, column: InstrumentedAttribute[UUID], ids: Iterable[UUID]) -> set[UUID]:
    """Which of these ids are in the table."""
    return set(await session.scalars(select(column).where(column.in_(list(ids)))))
