"""HTTP of photos."""

import asyncio
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, File, Query, Response, UploadFile

from chassis.core.pictures import PhotoTooLarge, PhotoUnreadable, PhotoWrongType
from chassis.core.tokens import InvalidToken
from chassis.web.deps import RuntimeDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.orders.deps import DeviceDep, SettingsDep, StorageDep
from services.orders.permissions import Anybody, SignedIn
from services.orders.photos import actions, queries
from services.orders.photos.errors import PhotoNotFound, TooManyPhotos
from services.orders.photos.schemas import PhotoOut
from services.orders.photos.storage import PhotoStorage
from services.orders.workflow import queries as orders
from services.orders.workflow.errors import OrderNotFound

router = Router(prefix="/api/orders/photos", tags=["photos"])

Size = Annotated[Literal["full", "thumb"], Query(description="`thumb`: at most 320 pixels a side.")]
JPEG: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


async def _take_in(
    file: Annotated[UploadFile, File(description="JPEG, PNG or WebP.")],
    actor: Anybody,
    device: DeviceDep,
    settings: SettingsDep,
    storage: StorageDep,
    runtime: RuntimeDep,
) -> UUID:
    """The id of the photo, cleaned and kept."""
    content = await file.read(settings.photo_max_bytes + 1)
    if len(content) > settings.photo_max_bytes:
        raise PhotoTooLarge(f"The file is larger than {settings.photo_max_bytes} bytes.")
    return await actions.take_photo(
        runtime.db,
        storage,
        content,
        device=device,
        max_pixels=settings.photo_max_pixels,
        per_hour=settings.photos_per_device_hour,
    )


@router.post(
    "",
    status_code=201,
    responses=problems(InvalidToken, PhotoTooLarge, PhotoWrongType, PhotoUnreadable, TooManyPhotos),
)
async def upload_photo(photo_id: Annotated[UUID, Depends(_take_in)], session: SessionDep) -> PhotoOut:
    """Take a photo in, without whatever was hidden in the file. Unless it is attached within an hour it vanishes."""
    # The session, which claims the Idempotency-Key, opens after the decoding: photos wait for one another there, and no
    # transaction may wait with them. Sent again, the first id is answered, and what was taken in anew vanishes.
    return PhotoOut(id=photo_id)


@router.get("/{photo_id}", response_class=Response, responses=JPEG | problems(PhotoNotFound, OrderNotFound))
async def show_photo(
    photo_id: UUID, actor: SignedIn, session: SessionDep, storage: StorageDep, size: Size = "full"
) -> Response:
    """A photo of a case that the caller may see."""
    photo, order_id = await queries.attached_photo(session, photo_id)
    await orders.visible_order(session, actor, order_id)
    return await picture(storage, photo.id, size)


async def picture(storage: PhotoStorage, photo_id: UUID, size: str) -> Response:
    """The file as an answer that no cache keeps and no browser takes for anything but a picture."""
    key = actions.thumbnail_key(photo_id) if size == "thumb" else actions.full_key(photo_id)
    try:
        content = await asyncio.to_thread(storage.read, key)
    except FileNotFoundError:
        raise PhotoNotFound from None
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="image/jpeg", headers=headers)
