"""Reading places, codes and units."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.errors import FieldError
from services.orders.places.errors import QrCodeRevoked, QrCodeUnknown, UnitUnknown
from services.orders.places.tables import Place, QrCode, Unit
from services.orders.terms import Level


async def place_by_code(session: AsyncSession, code: str, *, field: str, lock: bool = False) -> Place:
    """The place that a code stands for. Raises QrCodeUnknown, QrCodeRevoked, naming `field`.

    With `lock`, whoever else reports something at this place waits, so that limits and duplicates are counted right.
    """
    statement = select(QrCode, Place).join(Place, Place.id == QrCode.place_id).where(QrCode.code == code)
    if lock:
        statement = statement.with_for_update(key_share=True, of=Place)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise QrCodeUnknown(fields=[FieldError(field, "there is no such code")])
    if row.QrCode.revoked_at is not None:
        raise QrCodeRevoked(fields=[FieldError(field, "is no longer in use")])
    place: Place = row.Place
    return place


async def unit(session: AsyncSession, unit_id: UUID, field: str) -> Unit:
    """Raises UnitUnknown, naming `field`."""
    found = await session.get(Unit, unit_id)
    if found is None:
        raise UnitUnknown(fields=[FieldError(field, "there is no such unit")])
    return found


async def subdistrict_of(session: AsyncSession, unit_id: UUID | None) -> Unit | None:
    """The subdistrict office that a unit belongs to, or is; None for a district's units, or where it is not known."""
    office: Unit | None = None
    while unit_id is not None:
        found = await session.get(Unit, unit_id)
        if found is None or found.level is Level.DISTRICT:
            break
        if found.level is Level.SUBDISTRICT:
            office = found
        unit_id = found.parent_id
    return office


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The units that a report at a place may be routed to, and the subdistrict of the place."""

    units: Mapping[UUID, Unit]
    subdistrict: Unit | None


async def surroundings(session: AsyncSession, place: Place) -> Surroundings:
    """The place's community and property company, its offices, and their sections and departments."""
    subdistrict = await subdistrict_of(session, place.community_id)
    offices = [
        unit_id for unit_id in (subdistrict and subdistrict.id, subdistrict and subdistrict.parent_id) if unit_id
    ]
    wanted = [unit_id for unit_id in (*offices, place.community_id, place.property_id) if unit_id]
    statement = select(Unit).where(or_(Unit.id.in_(wanted), Unit.parent_id.in_(offices)))
    units = {unit.id: unit for unit in await session.scalars(statement)}
    return Surroundings(units=units, subdistrict=subdistrict)
