"""Reading and locking organisations and posts."""

from collections.abc import Sequence
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


async def posts_of(session: AsyncSession, person_id: UUID) -> Sequence[Post]:
    """A person's posts."""
    statement = select(Post).where(Post.person_id == person_id).order_by(Post.role)
    return (await session.scalars(statement)).all()
