"""Reading and locking households and invitations."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from chassis.core.errors import Unavailable
from services.identity.guardianship.tables import Consent, Guardianship
from services.identity.households.errors import HouseholdNotFound, InvitationNotFound, NoHousehold
from services.identity.households.rules import Family
from services.identity.households.schemas import (
    ConsentInForce,
    HouseholdSnapshot,
    Member,
    MemberFlags,
    OpenInvitation,
    OwnHousehold,
)
from services.identity.households.tables import Invitation, JoinTries
from services.identity.people import queries as people
from services.identity.people.tables import Household, Membership, Person
from services.identity.people.terms import birth_context
from services.identity.terms import ConsentPurpose, PersonState


async def household_of(session: AsyncSession, person_id: UUID) -> UUID | None:
    """The household that the person belongs to at this moment."""
    return await session.scalar(select(Membership.household_id).where(Membership.person_id == person_id))


async def lock_families(
    session: AsyncSession, household_ids: Iterable[UUID], *, with_people: Iterable[UUID] = ()
) -> dict[UUID, Family]:
    """These households by id, locked with their members, so that nothing about them changes meanwhile.

    Households are locked in the order of their ids, then all people in theirs (`with_people` among them): whoever
    changes households does it by this function alone, so nobody waits for one another in a circle.

    Raises PersonNotFound.
    """
    statement = select(Household).where(Household.id.in_(list(household_ids))).order_by(Household.id).with_for_update()
    households = (await session.scalars(statement, execution_options={"populate_existing": True})).all()
    belonging = select(Membership.household_id, Membership.person_id).where(
        Membership.household_id.in_([household.id for household in households])
    )
    members: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for household_id, person_id in await session.execute(belonging):
        members[household_id].append(person_id)
    everybody = {person_id for ids in members.values() for person_id in ids}
    known = await people.lock_people(session, everybody | set(with_people))
    guardians = await guardians_of(session, everybody)
    return {
        household.id: Family(
            household=household,
            people={person_id: known[person_id] for person_id in sorted(members[household.id])},
            guardians={who: guardians[who] for who in members[household.id] if who in guardians},
        )
        for household in households
    }


async def lock_own_family(session: AsyncSession, person_id: UUID) -> Family:
    """The household that the person belongs to, locked. Raises PersonGone, NoHousehold, Unavailable."""
    await people.present_person(session, person_id)
    household_id = await household_of(session, person_id)
    if household_id is None:
        raise NoHousehold
    family = (await lock_families(session, [household_id]))[household_id]
    if person_id not in family.people:
        raise moved()
    return family


def moved() -> Unavailable:
    """For whoever finds, once a household is locked, that somebody has moved since they looked."""
    return Unavailable("The household changed at this very moment; nothing was done. Please try again.")


async def guardians_of(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """The guardians of those of these people who have any."""
    statement = select(Guardianship.child_id, Guardianship.guardian_id).where(
        Guardianship.child_id.in_(person_ids), Guardianship.ended_at.is_(None)
    )
    found: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for child_id, guardian_id in await session.execute(statement):
        found[child_id].add(guardian_id)
    return {child_id: frozenset(ids) for child_id, ids in found.items()}


# What others see ------------------------------------------------------------------------------------------------------


async def snapshot(session: AsyncSession, household_id: UUID) -> HouseholdSnapshot:
    """The household as other services may know it. Raises HouseholdNotFound."""
    household = await session.get(Household, household_id)
    if household is None:
        raise HouseholdNotFound
    consented = exists().where(
        Consent.child_id == Person.id, Consent.purpose == ConsentPurpose.ACTIVITIES, Consent.ended_at.is_(None)
    )
    statement = (
        select(Person.id, Person.child, (Person.child & consented).label("consented"))
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.household_id == household_id)
        .order_by(Person.id)
    )
    return HouseholdSnapshot(
        occurred_at=household.changed_at,
        household_id=household_id,
        version=household.version,
        members=[
            MemberFlags(person_id=row.id, child=row.child, consented=row.consented)
            for row in await session.execute(statement)
        ],
        dissolved_into=household.dissolved_into,
    )


async def own_household(session: AsyncSession, vault: Vault, viewer_id: UUID, at: datetime) -> OwnHousehold | None:
    """The viewer's household as they may see it: names of all, births of those whose guardian they are."""
    household_id = await household_of(session, viewer_id)
    if household_id is None:
        return None
    statement = (
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.household_id == household_id, Person.state == PersonState.ACTIVE)
        .order_by(Person.child, Membership.joined_at, Person.id)
    )
    members = (await session.scalars(statement)).all()
    ids = [person.id for person in members]
    guardians = await guardians_of(session, ids)
    consents = await _consents_in_force(session, ids)
    return OwnHousehold(
        id=household_id,
        members=[_member(vault, person, viewer_id, guardians, consents) for person in members],
        invitations=await _open_invitations(session, household_id, at),
    )


async def own_member(session: AsyncSession, vault: Vault, viewer_id: UUID, member_id: UUID, at: datetime) -> Member:
    """One member of the viewer's household, as the viewer may see them."""
    household = await own_household(session, vault, viewer_id, at)
    assert household is not None
    return next(member for member in household.members if member.id == member_id)


def _member(
    vault: Vault,
    person: Person,
    viewer_id: UUID,
    guardians: Mapping[UUID, frozenset[UUID]],
    consents: Mapping[UUID, list[ConsentInForce]],
) -> Member:
    guardian_ids = guardians.get(person.id, frozenset())
    birth: date | None = None
    if person.birth_sealed is not None and viewer_id in guardian_ids:
        birth = date.fromisoformat(vault.open(person.birth_sealed, birth_context(person.id)))
    return Member(
        id=person.id,
        name=people.name_of(vault, person),
        child=person.child,
        birth_date=birth,
        guardian_ids=sorted(guardian_ids),
        consents=consents.get(person.id, []),
    )


async def _consents_in_force(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, list[ConsentInForce]]:
    statement = select(Consent).where(Consent.child_id.in_(person_ids), Consent.ended_at.is_(None)).order_by(Consent.id)
    found: defaultdict[UUID, list[ConsentInForce]] = defaultdict(list)
    for consent in await session.scalars(statement):
        found[consent.child_id].append(
            ConsentInForce(
                id=consent.id,
                purpose=ConsentPurpose(consent.purpose),
                text_version=consent.text_version,
                given_at=consent.given_at,
            )
        )
    return found


# Invitations ----------------------------------------------------------------------------------------------------------


def _is_open(at: datetime) -> ColumnElement[bool]:
    return Invitation.used_at.is_(None) & Invitation.ended_at.is_(None) & (Invitation.expires_at > at)


async def _open_invitations(session: AsyncSession, household_id: UUID, at: datetime) -> list[OpenInvitation]:
    statement = select(Invitation).where(Invitation.household_id == household_id, _is_open(at)).order_by(Invitation.id)
    return [
        OpenInvitation(id=invitation.id, created_by=invitation.created_by, expires_at=invitation.expires_at)
        for invitation in await session.scalars(statement)
    ]


async def count_invitations(
    session: AsyncSession, household_id: UUID, *, open_at: datetime, since: datetime
) -> tuple[int, int]:
    """How many invitations of the household are open, and how many were made since."""
    statement = select(
        func.count().filter(_is_open(open_at)), func.count().filter(Invitation.created_at > since)
    ).where(Invitation.household_id == household_id)
    still_open, made = (await session.execute(statement)).one()
    return still_open, made


async def invitation_by_code(session: AsyncSession, code_hash: bytes) -> Invitation | None:
    """The invitation of a code, as it stands: once its household is locked, ask again."""
    statement = select(Invitation).where(Invitation.code_hash == code_hash)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one_or_none()


async def invitation(session: AsyncSession, invitation_id: UUID, household_id: UUID) -> Invitation:
    """An invitation of this household. Raises InvitationNotFound."""
    found = await session.get(Invitation, invitation_id, populate_existing=True)
    if found is None or found.household_id != household_id:
        raise InvitationNotFound
    return found


async def open_invitations(
    session: AsyncSession, household_id: UUID, at: datetime, *, created_by: UUID | None = None
) -> Sequence[Invitation]:
    """Those of a household, or those that one person made in it."""
    statement = select(Invitation).where(Invitation.household_id == household_id, _is_open(at))
    if created_by is not None:
        statement = statement.where(Invitation.created_by == created_by)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def lock_tries(session: AsyncSession, subject: bytes, hour: datetime) -> JoinTries:
    """The count of this person or address for this clock hour, begun if need be. Lock it before any household."""
    row = insert(JoinTries).values(subject=subject, hour=hour, wrong=0)
    statement = row.on_conflict_do_update(
        index_elements=[JoinTries.subject, JoinTries.hour],
        set_={"wrong": JoinTries.wrong},  # changes nothing, but locks the row and returns it
    ).returning(JoinTries)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def delete_tries(session: AsyncSession, *, of_hours_until: datetime) -> None:
    """Forget what was counted in clock hours that began by then."""
    await session.execute(delete(JoinTries).where(JoinTries.hour <= of_hours_until))


async def delete_invitations(session: AsyncSession, *, expired_by: datetime) -> None:
    """Forget invitations that had expired by then."""
    await session.execute(delete(Invitation).where(Invitation.expires_at <= expired_by))
