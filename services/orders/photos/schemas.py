"""Bodies about photos."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import Out
from services.orders.photos.tables import Photo
from services.orders.terms import PhotoPurpose

PHOTOS_MAX = 6
"""Most photos of one report, addition or proof."""

PhotoIds = Annotated[list[UUID], Field(max_length=PHOTOS_MAX)]


class PhotoOut(Out):
    """A photo that was taken in. Its id attaches it to a report, an addition or a proof, within an hour, once."""

    id: UUID


class PhotoRef(Out):
    """A photo of the case."""

    id: UUID
    purpose: PhotoPurpose
    width: int
    height: int

    @classmethod
    def of(cls, photo: Photo) -> Self:
        """A photo that is attached."""
        assert photo.purpose is not None
        return cls(id=photo.id, purpose=photo.purpose, width=photo.width, height=photo.height)
