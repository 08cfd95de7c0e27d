"""Reading guardians, consents, and whose birthday has come. Households are locked first: see households/queries.py."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.identity.guardianship.errors import ConsentNotFound
from services.identity.guardianship.schemas import ConsentText, ConsentTexts
from services.identity.guardianship.tables import Consent, Guardianship
from services.identity.guardianship.terms import TEXTS
from services.identity.people.tables import Membership, Person
from services.identity.terms import ConsentPurpose


async def guardianships_of(session: AsyncSession, child_ids: Collection[UUID]) -> Sequence[Guardianship]:
    """Those in which one of these people is the child."""
    statement = select(Guardianship).where(Guardianship.child_id.in_(child_ids), Guardianship.ended_at.is_(None))
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def ever_named(session: AsyncSession, child_ids: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """These children, each with whoever is, or ever was, their guardian."""
    statement = select(Guardianship.child_id, Guardianship.guardian_id).where(Guardianship.child_id.in_(child_ids))
    return {(row.child_id, row.guardian_id) for row in await session.execute(statement)}


async def consent(session: AsyncSession, consent_id: UUID) -> Consent:
    """Raises ConsentNotFound."""
    found = await session.get(Consent, consent_id, populate_existing=True)
    if found is None:
        raise ConsentNotFound
    return found


async def consents_in_force(session: AsyncSession, child_id: UUID) -> dict[ConsentPurpose, Consent]:
    """What guardians consented to for this child: one at most for each purpose."""
    statement = select(Consent).where(Consent.child_id == child_id, Consent.ended_at.is_(None))
    found = await session.scalars(statement, execution_options={"populate_existing": True})
    return {ConsentPurpose(consent.purpose): consent for consent in found}


async def ever_consented(session: AsyncSession, child_ids: Collection[UUID]) -> set[tuple[UUID, ConsentPurpose]]:
    """These children, each with whatever is, or ever was, consented to for them."""
    statement = select(Consent.child_id, Consent.purpose).where(Consent.child_id.in_(child_ids))
    return {(row.child_id, ConsentPurpose(row.purpose)) for row in await session.execute(statement)}


async def sealed_births(
    session: AsyncSession, *, after: UUID | None, limit: int
) -> Sequence[tuple[UUID, bytes, UUID | None]]:
    """Children by id, from `after` on: id, sealed birth, household."""
    statement = (
        select(Person.id, Person.birth_sealed, Membership.household_id)
        .outerjoin(Membership, Membership.person_id == Person.id)
        .where(Person.birth_sealed.is_not(None))
        .order_by(Person.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Person.id > after)
    rows = (await session.execute(statement)).all()
    return [(row.id, row.birth_sealed, row.household_id) for row in rows]


def consent_texts() -> ConsentTexts:
    """The texts in force."""
    return ConsentTexts(
        items=[ConsentText(purpose=purpose, version=text.version, text=text.text) for purpose, text in TEXTS.items()]
    )
