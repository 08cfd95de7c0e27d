"""Bodies about places and units."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from chassis.core.schema import Out, Text
from services.orders.places.tables import Place
from services.orders.terms import Level, PlaceKind


class OrganisationRecorded(BaseModel):
    """What the identity service tells of an organisation, as far as it matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: UUID
    name: Annotated[str, Text(100)]
    kind: Annotated[str, Text(40)]
    level: Level
    parent_id: UUID | None
    remit: tuple[Annotated[str, Text(40)], ...]


class PlaceOut(Out):
    """A place by name and kind."""

    id: UUID
    kind: PlaceKind
    name: str

    @classmethod
    def of(cls, place: Place) -> Self:
        """The place."""
        return cls(id=place.id, kind=place.kind, name=place.name)
