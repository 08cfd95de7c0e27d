"""Reading and locking what signing in counts and keeps."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.identity.signin.tables import AddressCount, RefreshFamily, SignInCode


async def lock_address(session: AsyncSession, fingerprint: bytes, purpose: str, hour: datetime) -> AddressCount:
    """The count of this address for this clock hour, begun if need be. Lock it before any phone."""
    row = insert(AddressCount).values(address_fingerprint=fingerprint, purpose=purpose, hour=hour, uses=0)
    statement = row.on_conflict_do_update(
        index_elements=[AddressCount.address_fingerprint, AddressCount.purpose, AddressCount.hour],
        set_={"uses": AddressCount.uses},  # changes nothing, but locks the row and returns it
    ).returning(AddressCount)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def lock_phone(session: AsyncSession, fingerprint: bytes, at: datetime) -> SignInCode:
    """The row of a phone that is about to be sent a code, begun if need be."""
    row = insert(SignInCode).values(
        phone_fingerprint=fingerprint, code_hash=None, expires_at=at, wrong_tries=0, sent_at=[]
    )
    statement = row.on_conflict_do_update(
        index_elements=[SignInCode.phone_fingerprint],
        set_={"wrong_tries": SignInCode.wrong_tries},  # likewise
    ).returning(SignInCode)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def lock_code(session: AsyncSession, fingerprint: bytes) -> SignInCode | None:
    """The row of a phone, if it was sent a code lately."""
    statement = select(SignInCode).where(SignInCode.phone_fingerprint == fingerprint).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def lock_family(session: AsyncSession, family_id: UUID) -> RefreshFamily | None:
    """A family of refresh tokens."""
    statement = select(RefreshFamily).where(RefreshFamily.id == family_id).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def lock_families_of(session: AsyncSession, person_id: UUID) -> Sequence[RefreshFamily]:
    """Every family of a person's that has not ended."""
    statement = (
        select(RefreshFamily)
        .where(RefreshFamily.person_id == person_id, RefreshFamily.ended_at.is_(None))
        .order_by(RefreshFamily.id)
        .with_for_update()
    )
    return (await session.scalars(statement)).all()


async def delete_codes(session: AsyncSession, *, expired_by: datetime) -> None:
    """Forget phones whose latest code had expired by then."""
    await session.execute(delete(SignInCode).where(SignInCode.expires_at <= expired_by))


async def delete_address_counts(session: AsyncSession, *, of_hours_until: datetime) -> None:
    """Forget what was counted in clock hours that began by then."""
    await session.execute(delete(AddressCount).where(AddressCount.hour <= of_hours_until))


async def delete_families(session: AsyncSession, *, expired_by: datetime, ended_by: datetime) -> None:
    """Forget refresh families that had expired, or ended, by then."""
    over = or_(RefreshFamily.expires_at <= expired_by, RefreshFamily.ended_at <= ended_by)
    await session.execute(delete(RefreshFamily).where(over))
