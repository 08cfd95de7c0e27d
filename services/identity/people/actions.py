"""Changes to people and households."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.crypto import Vault
from chassis.core.errors import Unavailable
from services.identity.households import queries as households
from services.identity.households.actions import announce
from services.identity.people import queries, rules
from services.identity.people.tables import Household, Membership, Person, PrivacyAcceptance
from services.identity.people.terms import PersonRecord, birth_context, name_context, phone_context
from services.identity.terms import PersonState


async def register_resident(session: AsyncSession, vault: Vault, *, phone: str, name: str | None) -> Person:
    """A person with a household of one for a verified phone that nobody has yet.

    If somebody else recorded the phone a moment ago, that person is returned and nothing is recorded.
    """
    person_id = ids.new_id()
    statement = (
        insert(Person)
        .values(_person(vault, PersonRecord(person_id, name or rules.name_of_new_resident(phone), phone)))
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
    birth_date: date | None = None,
) -> Person:
    """One person, as `record_people` records several. Raises ChildWithPhone, PhoneTaken."""
    record = PersonRecord(person_id, name, phone, child=child, birth_date=birth_date)
    return (await record_people(session, vault, [record]))[person_id]


async def record_people(session: AsyncSession, vault: Vault, records: Sequence[PersonRecord]) -> dict[UUID, Person]:
    """People under given ids; recorded again, name, phone and birth are brought up to date. Who was deleted stays so.

    Whoever is fourteen by the date of birth is recorded as no child, and without it. Raises ChildWithPhone, PhoneTaken.
    """
    records = [rules.as_of(record, clock.today()) for record in records]
    for record in records:
        rules.check_phone(child=record.child, phone=record.phone)
    owners = await queries.owners_of_phones(session, vault, [record.phone for record in records if record.phone])
    rules.check_phones_free(records, owners)
    fresh = {record.id: _person(vault, record) for record in records}
    await session.execute(insert(Person).on_conflict_do_nothing(index_elements=[Person.id]), list(fresh.values()))
    people = await queries.lock_people(session, fresh)
    for record in records:
        if people[record.id].state != PersonState.DELETED:
            _bring_up_to_date(vault, people[record.id], record, fresh[record.id])
    await session.flush()
    return people


def _bring_up_to_date(vault: Vault, person: Person, record: PersonRecord, fresh: dict[str, Any]) -> None:
    if queries.name_of(vault, person) != record.name:
        person.name_sealed = fresh["name_sealed"]
    if person.phone_fingerprint != fresh["phone_fingerprint"]:
        person.phone_sealed, person.phone_fingerprint = fresh["phone_sealed"], fresh["phone_fingerprint"]
    if not record.child:
        person.birth_sealed = None
    elif record.birth_date is not None:
        person.birth_sealed = fresh["birth_sealed"]
    person.child = record.child


async def record_household(session: AsyncSession, household_id: UUID, member_ids: Collection[UUID]) -> Household:
    """A household under a given id with these members; recorded again, members are added, none is taken away.

    The other services are told if anything changed. Raises PersonNotFound, InAnotherHousehold.
    """
    at = clock.now()
    fresh = insert(Household).values(id=household_id, recorded_at=at, changed_at=at, version=0)
    await session.execute(fresh.on_conflict_do_nothing())
    families = await households.lock_families(session, [household_id], with_people=member_ids)
    household = families[household_id].household
    await queries.check_active(session, member_ids)
    present = await queries.memberships(session, member_ids)
    rules.check_one_household(present, household_id)
    missing = set(member_ids) - {membership.person_id for membership in present}
    session.add_all(
        Membership(person_id=person_id, household_id=household_id, joined_at=at) for person_id in sorted(missing)
    )
    await session.flush()
    if missing or household.version == 0:
        await announce(session, household, at)
    return household


def _person(vault: Vault, record: PersonRecord) -> dict[str, Any]:
    person_id, phone, birth = record.id, record.phone, record.birth_date
    return {
        "id": person_id,
        "state": PersonState.ACTIVE,
        "child": record.child,
        "name_sealed": vault.seal(record.name, name_context(person_id)),
        "phone_sealed": vault.seal(phone, phone_context(person_id)) if phone else None,
        "phone_fingerprint": queries.fingerprint(vault, phone) if phone else None,
        "birth_sealed": vault.seal(birth.isoformat(), birth_context(person_id)) if birth else None,
        "recorded_at": clock.now(),
    }
