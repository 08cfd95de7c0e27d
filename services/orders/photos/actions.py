"""Taking photos in, attaching them, and letting go of what nobody attached."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.db import Database
from chassis.core.errors import FieldError
from chassis.core.pictures import reencode
from services.orders.limits import check_rate
from services.orders.photos import queries
from services.orders.photos.errors import PhotoUnknown, TooManyPhotos
from services.orders.photos.storage import PhotoStorage
from services.orders.photos.tables import Photo
from services.orders.terms import PhotoPurpose

KEEP_UNATTACHED = timedelta(hours=1)
_SWEEP_BATCH = 200
_DECODERS = ThreadPoolExecutor(2, thread_name_prefix="photo")
"""Two photos at once, since each may take a hundred megabytes while it is decoded."""


def full_key(photo_id: UUID) -> str:
    """Where the photo itself is stored."""
    return f"{photo_id.hex}.jpg"


def thumbnail_key(photo_id: UUID) -> str:
    """Where its thumbnail is stored."""
    return f"{photo_id.hex}-thumb.jpg"


async def take_photo(
    db: Database, storage: PhotoStorage, content: bytes, *, device: bytes, max_pixels: int, per_hour: int
) -> UUID:
    """Clean and keep a photo; the answer is its id, which cannot be guessed and attaches it once, within an hour.

    The row is committed before the files are written: were it the other way round, a crash between the two would leave
    a file that nothing ever forgets. Raises TooManyPhotos, PhotoWrongType, PhotoTooLarge, PhotoUnreadable.
    """
    at = clock.now()
    async with db.transaction() as session:
        check_rate(await queries.nth_latest(session, device, per_hour), at, TooManyPhotos)
    loop = asyncio.get_running_loop()
    picture = await loop.run_in_executor(_DECODERS, partial(reencode, content, max_pixels=max_pixels))
    photo = Photo(id=uuid4(), created_at=at, device=device, width=picture.width, height=picture.height, sequence=0)
    async with db.transaction() as session:
        session.add(photo)
    await asyncio.to_thread(storage.write, thumbnail_key(photo.id), picture.thumbnail)
    await asyncio.to_thread(storage.write, full_key(photo.id), picture.full)
    return photo.id


async def attach(
    session: AsyncSession, photo_ids: Sequence[UUID], order_id: UUID, purpose: PhotoPurpose, *, at: datetime
) -> None:
    """The photos belong to this case from now on. Raises PhotoUnknown, naming those that do not exist, are gone, or
    belong to a case already.
    """
    found = await queries.lock_unattached(session, photo_ids)
    fresh = {photo_id: photo for photo_id, photo in found.items() if photo.created_at >= at - KEEP_UNATTACHED}
    wrong = [
        FieldError(f"body.photos.{index}", "is not a photo that can be attached")
        for index, photo_id in enumerate(photo_ids)
        if photo_id not in fresh or photo_id in photo_ids[:index]
    ]
    if wrong:
        raise PhotoUnknown(fields=wrong)
    for sequence, photo_id in enumerate(photo_ids):
        photo = fresh[photo_id]
        photo.order_id, photo.purpose, photo.attached_at, photo.sequence = order_id, purpose, at, sequence
    await session.flush()


async def sweep(db: Database, storage: PhotoStorage, at: datetime) -> int:
    """Unattached photos vanish after an hour, files first: what fails in between is done by the next sweep."""
    gone = 0
    while True:
        async with db.transaction() as session:
            photos = await queries.lock_forgotten(session, at - KEEP_UNATTACHED, _SWEEP_BATCH)
            for photo in photos:
                await asyncio.to_thread(storage.delete, full_key(photo.id))
                await asyncio.to_thread(storage.delete, thumbnail_key(photo.id))
            await session.execute(delete(Photo).where(Photo.id.in_([photo.id for photo in photos])))
        gone += len(photos)
        if len(photos) < _SWEEP_BATCH:
            return gone
