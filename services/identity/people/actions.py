"""Changes to people and households."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.crypto import Vault
from chassis.core.errors import Unavailable
from services.identity.people import queries, rules
from services.identity.people.errors import PhoneTaken
from services.identity.people.tables import Household, Membership, Person, PrivacyAcceptance
from services.identity.people.terms import name_context, phone_context


async def register_resident(session: AsyncSession, vault: Vault, *, phone: str, name: str | None) -> Person:
    """A person with a household of one for a verified phone that nobody has yet.

    If somebody else recorded the phone a moment ago, that person is returned and nothing is recorded.
    """
    person_id = ids.new_id()
    statement = (
        insert(Person)
        .values(_person(vault, person_id, name or rules.name_of_new_resident(phone), phone, child=False))
        .on_conflict_do_nothing(index_elements=[Person.phone_fingerprint])
    )
    await session.execute(statement)
    person = await queries.person_by_phone(session, vault, phone)
    if person is None:
        raise Unavailable("The number changed hands at this very moment. Please try again.")
    if person.id == person_id:
        await record_household(session, ids.new_id(), [person_id])
    return person


async def accept_privacy_notice(session: AsyncSession, person_id: UUID, version: str) -> None:
    """Keep that this person accepted this version, and when they first did."""
    statement = insert(PrivacyAcceptance).values(person_id=person_id, version=version, accepted_at=clock.now())
    await session.execute(statement.on_conflict_do_nothing())


async def record_person(
    session: AsyncSession,
    vault: Vault,
    person_id: UUID,
    *,
    name: str,
    phone: str | None = None,
    child: bool = False,
) -> Person:
    """A person under a given id; recorded again, name and phone are brought up to date.

    `phone` is normalised (11 digits). Raises ChildWithPhone, PhoneTaken.
    """
    rules.check_phone(child=child, phone=phone)
    if phone is not None:
        owner = await queries.person_by_phone(session, vault, phone)
        if owner is not None and owner.id != person_id:
            raise PhoneTaken
    fresh = _person(vault, person_id, name, phone, child=child)
    await session.execute(insert(Person).values(fresh).on_conflict_do_nothing(index_elements=[Person.id]))
    person = (await queries.lock_people(session, [person_id]))[person_id]
    if vault.open(person.name_sealed, name_context(person_id)) != name:
        person.name_sealed = fresh["name_sealed"]
    if person.phone_fingerprint != fresh["phone_fingerprint"]:
        person.phone_sealed, person.phone_fingerprint = fresh["phone_sealed"], fresh["phone_fingerprint"]
    person.child = child
    await session.flush()
    return person


async def record_household(session: AsyncSession, household_id: UUID, member_ids: Collection[UUID]) -> Household:
    """A household under a given id with these members; recorded again, members are added, none is taken away.

    Raises PersonNotFound, InAnotherHousehold.
    """
    at = clock.now()
    await queries.lock_people(session, member_ids)
    present = await queries.memberships(session, member_ids)
    rules.check_one_household(present, household_id)
    await session.execute(insert(Household).values(id=household_id, recorded_at=at).on_conflict_do_nothing())
    missing = set(member_ids) - {membership.person_id for membership in present}
    session.add_all(
        Membership(person_id=person_id, household_id=household_id, joined_at=at) for person_id in sorted(missing)
    )
    await session.flush()
    return await session.get_one(Household, household_id)


def _person(vault: Vault, person_id: UUID, name: str, phone: str | None, *, child: bool) -> dict[str, Any]:
    return {
        "id": person_id,
        "state": "active",
        "child": child,
        "name_sealed": vault.seal(name, name_context(person_id)),
        "phone_sealed": vault.seal(phone, phone_context(person_id)) if phone else None,
        "phone_fingerprint": queries.fingerprint(vault, phone) if phone else None,
        "recorded_at": clock.now(),
    }
