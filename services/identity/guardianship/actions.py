"""Changes to children, guardians and consents. Every one locks the household first."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, idempotency, ids
from chassis.core.beijing import day_of
from chassis.core.crypto import Vault
from chassis.core.messages import publish
from services.identity.deletion.messages import PersonDeleted
from services.identity.guardianship import queries, rules
from services.identity.guardianship.errors import ChildAlreadyThere, ConsentNotFound
from services.identity.guardianship.schemas import ChildIn, ConsentIn
from services.identity.guardianship.tables import Consent, Guardianship
from services.identity.guardianship.terms import TEXTS, ChildCare
from services.identity.households import queries as households
from services.identity.households.actions import announce
from services.identity.households.rules import Family, check_adult, check_room
from services.identity.people import queries as people
from services.identity.people.rules import erase, is_under_fourteen
from services.identity.people.tables import Membership, Person
from services.identity.people.terms import birth_context, name_context
from services.identity.terms import ConsentPurpose, PersonState


async def add_child(session: AsyncSession, vault: Vault, actor_id: UUID, body: ChildIn) -> UUID:
    """A child of the adult's household, whose guardian they are, and who consent to its record by that; its id.

    Raises ConsentTextOutdated, BirthDateInvalid, PersonGone, NoHousehold, NotAdult, TooManyChildren, HouseholdFull,
    ChildAlreadyThere.
    """
    at = clock.now()
    rules.check_text(ConsentPurpose.CHILD_RECORD, body.text_version)
    rules.check_birth_date(body.birth_date, day_of(at))
    family = await households.lock_own_family(session, actor_id)
    check_adult(family, actor_id)
    rules.check_room_for_child(family)
    check_room(family, 1)
    if any(person.child and people.name_of(vault, person) == body.name for person in family.people.values()):
        raise ChildAlreadyThere
    child_id = ids.new_id()
    session.add(_child(vault, child_id, body.name, body.birth_date, at))
    await session.flush()
    session.add(Membership(person_id=child_id, household_id=family.household.id, joined_at=at))
    _appoint(session, child_id, actor_id, at)
    _consent(session, child_id, ConsentPurpose.CHILD_RECORD, actor_id, at)
    await announce(session, family.household, at)
    return child_id


async def rename_child(session: AsyncSession, vault: Vault, actor_id: UUID, child_id: UUID, name: str) -> None:
    """A guardian corrects the name. Raises PersonGone, NoHousehold, ChildNotFound, NotGuardian."""
    family = await households.lock_own_family(session, actor_id)
    child = rules.guarded(family, child_id, actor_id)
    child.name_sealed = vault.seal(name, name_context(child_id))


async def remove_child(session: AsyncSession, actor_id: UUID, child_id: UUID) -> None:
    """A guardian withdraws the consent to the child's record: it is erased, and no member any more.

    Raises PersonGone, NoHousehold, ChildNotFound, NotGuardian.
    """
    at = clock.now()
    family = await households.lock_own_family(session, actor_id)
    rules.guarded(family, child_id, actor_id)
    await erase_child(session, family, child_id, at, because=rules.WITHDRAWN, by=actor_id)
    await announce(session, family.household, at)


async def name_guardian(session: AsyncSession, actor_id: UUID, child_id: UUID, guardian_id: UUID) -> None:
    """A guardian names another adult of the household a guardian too; named again, nothing changes.

    Raises PersonGone, NoHousehold, ChildNotFound, NotGuardian, NotAnAdultMember, TooManyGuardians.
    """
    family = await households.lock_own_family(session, actor_id)
    rules.guarded(family, child_id, actor_id)
    if guardian_id in family.guardians[child_id]:
        return
    rules.check_new_guardian(family, child_id, guardian_id)
    _appoint(session, child_id, guardian_id, clock.now())


async def give_consent(session: AsyncSession, actor_id: UUID, body: ConsentIn) -> Consent:
    """A guardian's consent; given again while it is in force, it is the same one. One to an older text is replaced.

    Raises ConsentTextOutdated, PersonGone, NoHousehold, ChildNotFound, NotGuardian, NoConsentNeeded.
    """
    at = clock.now()
    rules.check_text(body.purpose, body.text_version)
    family = await households.lock_own_family(session, actor_id)
    rules.check_needs_consent(rules.guarded(family, body.child_id, actor_id))
    living = (await queries.consents_in_force(session, body.child_id)).get(body.purpose)
    if living is not None and living.text_version == body.text_version:
        return living
    if living is not None:
        rules.end(living, rules.RENEWED, at, by=actor_id)
        await session.flush()
    consent = _consent(session, body.child_id, body.purpose, actor_id, at)
    if body.purpose is ConsentPurpose.ACTIVITIES and living is None:
        await announce(session, family.household, at)
    return consent


async def withdraw_consent(session: AsyncSession, actor_id: UUID, consent_id: UUID) -> Consent:
    """Any guardian withdraws; withdrawn again, nothing changes. Without the consent to its record, a child is erased.

    Raises PersonGone, NoHousehold, ConsentNotFound (of another household's child), NotGuardian.
    """
    at = clock.now()
    family = await households.lock_own_family(session, actor_id)
    consent = await queries.consent(session, consent_id)
    if consent.ended_at is not None and consent.ended_by == actor_id:
        return consent
    if consent.child_id not in family.people:
        raise ConsentNotFound
    rules.guarded(family, consent.child_id, actor_id)
    if consent.ended_at is not None:
        return consent
    if consent.purpose == ConsentPurpose.CHILD_RECORD:
        await erase_child(session, family, consent.child_id, at, because=rules.WITHDRAWN, by=actor_id)
    else:
        rules.end(consent, rules.WITHDRAWN, at, by=actor_id)
    await announce(session, family.household, at)
    return consent


async def erase_child(
    session: AsyncSession, family: Family, child_id: UUID, at: datetime, *, because: str, by: UUID
) -> None:
    """Name and birth are gone, and so are membership, guardians and consents. The caller announces the household."""
    erase(family.people[child_id])
    await idempotency.forget_answers(session, family.adults)
    for guardianship in await queries.guardianships_of(session, [child_id]):
        guardianship.ended_at = at
    for consent in (await queries.consents_in_force(session, child_id)).values():
        rules.end(consent, because, at, by=by)
    await session.execute(delete(Membership).where(Membership.person_id == child_id))
    await publish(session, PersonDeleted(occurred_at=at, person_id=child_id))


async def children_who_turned_fourteen(
    session: AsyncSession, vault: Vault, today: date, *, after: UUID | None, limit: int
) -> tuple[list[UUID], set[UUID], UUID | None]:
    """Among the next `limit` children: who turned fourteen and has no household, the households of the others, and
    where to go on; None at the end.
    """
    births = await queries.sealed_births(session, after=after, limit=limit)
    due = [
        (child_id, household_id)
        for child_id, sealed, household_id in births
        if not is_under_fourteen(_birth(vault, child_id, sealed), today)
    ]
    alone = [child_id for child_id, household_id in due if household_id is None]
    homes = {household_id for _, household_id in due if household_id is not None}
    return alone, homes, births[-1][0] if len(births) == limit else None


async def come_of_age(session: AsyncSession, vault: Vault, household_id: UUID, today: date) -> None:
    """Members of this household who turned fourteen need no consents any more, and their birth is no longer kept.

    They stay members, and their guardians go on to act for them as long as they have no phone of their own.
    """
    at = clock.now()
    family = (await households.lock_families(session, [household_id]))[household_id]
    grown = [person for person in family.people.values() if _has_turned_fourteen(vault, person, today)]
    for person in grown:
        await _grow_up(session, person, at)
    if grown:
        await announce(session, family.household, at)


async def come_of_age_alone(session: AsyncSession, vault: Vault, child_id: UUID, today: date) -> None:
    """The same for a child that belongs to no household."""
    person = (await people.lock_people(session, [child_id]))[child_id]
    if _has_turned_fourteen(vault, person, today):
        await _grow_up(session, person, clock.now())


async def record_care(session: AsyncSession, household_id: UUID, care: Mapping[UUID, ChildCare]) -> None:
    """The guardians of a recorded household's children, by child, and what they consent to, by the texts in force.

    Recorded again, nothing changes, even of what has ended since. Raises ChildNotFound, NotAnAdultMember,
    TooManyGuardians, NotGuardian, NoConsentNeeded.
    """
    at = clock.now()
    named, consented = await queries.ever_named(session, care), await queries.ever_consented(session, care)
    new_guardians = [(child, who) for child in care for who in care[child].guardians if (child, who) not in named]
    new_consents = [
        (child, purpose, who)
        for child in care
        for purpose, who in care[child].consents.items()
        if (child, purpose) not in consented
    ]
    if not new_guardians and not new_consents:
        return
    family = (await households.lock_families(session, [household_id]))[household_id]
    for child_id, guardian_id in new_guardians:
        rules.check_new_guardian(family, child_id, guardian_id)
        family = family.with_guardian(child_id, guardian_id)
        _appoint(session, child_id, guardian_id, at)
    for child_id, purpose, guardian_id in new_consents:
        rules.check_needs_consent(rules.guarded(family, child_id, guardian_id))
        _consent(session, child_id, purpose, guardian_id, at)
    await session.flush()
    if any(purpose is ConsentPurpose.ACTIVITIES for _, purpose, _ in new_consents):
        await announce(session, family.household, at)


def _child(vault: Vault, child_id: UUID, name: str, birth: date, at: datetime) -> Person:
    return Person(
        id=child_id,
        state=PersonState.ACTIVE,
        child=True,
        name_sealed=vault.seal(name, name_context(child_id)),
        birth_sealed=vault.seal(birth.isoformat(), birth_context(child_id)),
        recorded_at=at,
    )


def _birth(vault: Vault, child_id: UUID, sealed: bytes) -> date:
    return date.fromisoformat(vault.open(sealed, birth_context(child_id)))


def _has_turned_fourteen(vault: Vault, person: Person, today: date) -> bool:
    return person.birth_sealed is not None and not is_under_fourteen(
        _birth(vault, person.id, person.birth_sealed), today
    )


async def _grow_up(session: AsyncSession, person: Person, at: datetime) -> None:
    person.child, person.birth_sealed = False, None
    for consent in (await queries.consents_in_force(session, person.id)).values():
        rules.end(consent, rules.FOURTEEN, at, by=None)
    await session.flush()


def _appoint(session: AsyncSession, child_id: UUID, guardian_id: UUID, at: datetime) -> None:
    session.add(Guardianship(id=ids.new_id(), child_id=child_id, guardian_id=guardian_id, began_at=at))


def _consent(session: AsyncSession, child_id: UUID, purpose: ConsentPurpose, by: UUID, at: datetime) -> Consent:
    consent = Consent(
        id=ids.new_id(),
        child_id=child_id,
        purpose=purpose,
        text_version=TEXTS[purpose].version,
        given_at=at,
        given_by=by,
    )
    session.add(consent)
    return consent
