"""Writes the demo town's organisations, people, posts and households into the identity service's database."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from beiyuan.demo import town
from chassis.core.crypto import Vault
from chassis.core.runtime import Runtime
from services.identity.organisations import actions as organisations
from services.identity.organisations.tables import Organisation, Post
from services.identity.people import actions as people
from services.identity.people.tables import Household, Person


async def load_people(identity: Runtime) -> bool:
    """Write who and what is missing, in one transaction; whether anything was."""
    async with identity.db.transaction() as session:
        written = [
            await _organisations(session),
            await _people(session, identity.vault),
            await _posts(session),
            await _households(session),
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


async def _people(session: AsyncSession, vault: Vault) -> bool:
    known = await present(session, Person.id, (person.id for person in town.PEOPLE.values()))
    missing = [person for person in town.PEOPLE.values() if person.id not in known]
    for person in missing:
        await people.record_person(session, vault, person.id, name=person.name, phone=person.phone, child=person.child)
    return bool(missing)


async def _posts(session: AsyncSession) -> bool:
    staff = [who.person.id for who in town.STAFF.values()]
    rows = await session.execute(select(Post.person_id, Post.role).where(Post.person_id.in_(staff)))
    known = {(row.person_id, row.role) for row in rows}
    missing = [
        (who, role) for who in town.STAFF.values() for role in who.roles if (who.person.id, role.value) not in known
    ]
    for who, role in missing:
        await organisations.give_post(session, who.person.id, who.organisation.id, role)
    return bool(missing)


async def _households(session: AsyncSession) -> bool:
    known = await present(session, Household.id, (household.id for household in town.HOUSEHOLDS.values()))
    missing = [household for household in town.HOUSEHOLDS.values() if household.id not in known]
    for household in missing:
        await people.record_household(session, household.id, [member.id for member in household.members])
    return bool(missing)


async def present(session: AsyncSession, column: InstrumentedAttribute[UUID], ids: Iterable[UUID]) -> set[UUID]:
    """Which of these ids are in the table."""
    return set(await session.scalars(select(column).where(column.in_(list(ids)))))
