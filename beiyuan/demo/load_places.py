"""Writes the demo town's units, places and QR codes into the orders service's database.

The identity service tells the orders service of its organisations too, with the same content: whichever comes first.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from beiyuan.demo import town
from beiyuan.demo.load_people import present
from beiyuan.demo.organisations import Organisation
from chassis.core.runtime import Runtime
from services.orders.places import actions as places
from services.orders.places.tables import Place, QrCode, Unit
from services.orders.terms import Level


async def load_places(orders: Runtime) -> bool:
    """Write what is missing, in one transaction; whether anything was."""
    async with orders.db.transaction() as session:
        written = [await _units(session), await _places(session), await _qr_codes(session)]
    return any(written)


async def record_unit(session: AsyncSession, organisation: Organisation, parent_id: UUID | None) -> None:
    """The organisation as the orders service keeps it."""
    await places.record_unit(
        session,
        organisation.id,
        name=organisation.name,
        kind=organisation.kind,
        level=Level(organisation.level),
        parent_id=parent_id,
        remit=organisation.remit,
    )


async def _units(session: AsyncSession) -> bool:
    known = await present(session, Unit.id, (organisation.id for organisation in town.ORGANISATIONS))
    missing = [organisation for organisation in town.ORGANISATIONS if organisation.id not in known]
    for organisation in missing:
        await record_unit(session, organisation, organisation.parent_id)
    return bool(missing)


async def _places(session: AsyncSession) -> bool:
    known = await present(session, Place.id, (place.id for place in town.PLACES.values()))
    missing = [place for place in town.PLACES.values() if place.id not in known]
    for place in missing:
        await places.record_place(
            session,
            place.id,
            kind=place.kind,
            name=place.name,
            community_id=place.community.id,
            property_id=place.company.id if place.company else None,
            parent_id=place.parent.id if place.parent else None,
        )
    return bool(missing)


async def _qr_codes(session: AsyncSession) -> bool:
    codes = {place.qr_code: place for place in town.PLACES.values()}
    known = set(await session.scalars(select(QrCode.code).where(QrCode.code.in_(codes))))
    missing = [place for code, place in codes.items() if code not in known]
    for place in missing:
        await places.issue_qr_code(session, place.qr_code, place.id)
    return bool(missing)
