"""Reading and locking photos."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.orders.photos.errors import PhotoNotFound
from services.orders.photos.tables import Photo


async def photos_of(session: AsyncSession, order_id: UUID) -> Sequence[Photo]:
    """The photos of a case, in the order in which they were attached."""
    statement = select(Photo).where(Photo.order_id == order_id).order_by(Photo.attached_at, Photo.sequence)
    return (await session.scalars(statement)).all()


async def attached_photo(session: AsyncSession, photo_id: UUID) -> tuple[Photo, UUID]:
    """A photo and the order that it belongs to. Raises PhotoNotFound, for unattached ones too."""
    photo = await session.get(Photo, photo_id)
    if photo is None or photo.order_id is None:
        raise PhotoNotFound
    return photo, photo.order_id


async def lock_unattached(session: AsyncSession, photo_ids: Collection[UUID]) -> dict[UUID, Photo]:
    """Those of the photos that are there and belong to no case yet, locked."""
    statement = (
        select(Photo)
        .where(Photo.id.in_(photo_ids), Photo.order_id.is_(None))
        .order_by(Photo.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {photo.id: photo for photo in await session.scalars(statement)}


async def lock_forgotten(session: AsyncSession, before: datetime, limit: int) -> Sequence[Photo]:
    """Photos from before that moment that nobody attached, locked; those that somebody attaches just now are left."""
    statement = (
        select(Photo)
        .where(Photo.order_id.is_(None), Photo.created_at < before)
        .order_by(Photo.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(statement)).all()


async def nth_latest(session: AsyncSession, device: bytes, number: int) -> datetime | None:
    """When the `number`-th latest photo from this device came in, if there are so many."""
    statement = (
        select(Photo.created_at).where(Photo.device == device).order_by(Photo.created_at.desc()).offset(number - 1)
    ).limit(1)
    return (await session.scalars(statement)).one_or_none()
