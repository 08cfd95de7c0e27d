"""Tables of units, places and QR codes."""

from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.orders.tables import Base
from services.orders.terms import Level, PlaceKind


class Unit(Base):
    """An organisation at one of the four levels, as the identity service last told of it.

    `remit` holds the codes of the taxonomy's items that a section or department answers for. A parent may become known
    after its children, so nothing points at it.
    """

    __tablename__ = "unit"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(40))
    level: Mapped[Level]
    parent_id: Mapped[UUID | None] = mapped_column(index=True)
    remit: Mapped[list[str]] = mapped_column(ARRAY(String(40)))


class Place(Base):
    """An estate, building, entrance, lift, lane or public room. `name` says the whole of where it is."""

    __tablename__ = "place"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[PlaceKind]
    name: Mapped[str] = mapped_column(String(200))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("place.id"), index=True)
    community_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"), index=True)
    property_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"), index=True)


class QrCode(Base):
    """What is printed on a poster: a code that stands for a place until it is revoked."""

    __tablename__ = "qr_code"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    place_id: Mapped[UUID] = mapped_column(ForeignKey("place.id"), index=True)
    issued_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None]
