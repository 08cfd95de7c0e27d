"""Reading and locking organisations and posts."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.identity.organisations.errors import OrganisationNotFound
from services.identity.organisations.tables import Organisation, Post


async def organisation(session: AsyncSession, organisation_id: UUID) -> Organisation:
    """Raises OrganisationNotFound."""
    found = await session.get(Organisation, organisation_id)
    if found is None:
        raise OrganisationNotFound
    return found


async def lock_organisation(session: AsyncSession, organisation_id: UUID) -> Organisation:
    """The organisation, so that nobody else changes it meanwhile. Raises OrganisationNotFound."""
    statement = select(Organisation).where(Organisation.id == organisation_id).with_for_update()
    found = (await session.scalars(statement, execution_options={"populate_existing": True})).one_or_none()
    if found is None:
        raise OrganisationNotFound
    return found


async def check_there(session: AsyncSession, organisation_ids: Collection[UUID]) -> None:
    """Raises OrganisationNotFound if one of these is not there."""
    found = await session.scalars(select(Organisation.id).where(Organisation.id.in_(organisation_ids)))
    if not set(found) >= set(organisation_ids):
        raise OrganisationNotFound


async def organisations_of(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Where those of these people who hold a post hold it."""
    statement = select(Post.person_id, Post.organisation_id).where(Post.person_id.in_(person_ids))
    return {row.person_id: row.organisation_id for row in await session.execute(statement)}


async def posts_of(session: AsyncSession, person_id: UUID) -> Sequence[Post]:
    """A person's posts."""
    statement = select(Post).where(Post.person_id == person_id).order_by(Post.role)
    return (await session.scalars(statement)).all()
