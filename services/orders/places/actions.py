"""Recording units, places and QR codes: from the messages of the identity service, and when a town is set up.

Each brings what is recorded up to date and may be repeated.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from services.orders.places.errors import QrCodeUnknown
from services.orders.places.tables import Place, QrCode, Unit
from services.orders.terms import Level, PlaceKind


async def record_unit(
    session: AsyncSession,
    unit_id: UUID,
    *,
    name: str,
    kind: str,
    level: Level,
    parent_id: UUID | None,
    remit: Iterable[str] = (),
) -> None:
    """A unit as it is now."""
    values = {"name": name, "kind": kind, "level": level, "parent_id": parent_id, "remit": list(remit)}
    statement = insert(Unit).values(id=unit_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[Unit.id], set_=values))


async def record_place(
    session: AsyncSession,
    place_id: UUID,
    *,
    kind: PlaceKind,
    name: str,
    community_id: UUID,
    property_id: UUID | None = None,
    parent_id: UUID | None = None,
) -> None:
    """A place as it is now; its units and its parent must have been recorded."""
    values = {
        "kind": kind,
        "name": name,
        "community_id": community_id,
        "property_id": property_id,
        "parent_id": parent_id,
    }
    statement = insert(Place).values(id=place_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[Place.id], set_=values))


async def issue_qr_code(session: AsyncSession, code: str, place_id: UUID) -> None:
    """A code stands for a place from now on. A code that was ever issued stays what it is."""
    statement = insert(QrCode).values(code=code, place_id=place_id, issued_at=clock.now())
    await session.execute(statement.on_conflict_do_nothing())


async def revoke_qr_code(session: AsyncSession, code: str) -> None:
    """The code is no longer good for anything. Raises QrCodeUnknown."""
    qr_code = await session.get(QrCode, code, with_for_update=True)
    if qr_code is None:
        raise QrCodeUnknown
    qr_code.revoked_at = qr_code.revoked_at or clock.now()
    await session.flush()
