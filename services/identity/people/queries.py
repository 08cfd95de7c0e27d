"""Reading and locking people and households."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.crypto import Vault, mask_name
from services.identity.households.schemas import OwnHousehold
from services.identity.organisations.tables import Organisation, Post
from services.identity.people.errors import PersonGone, PersonNotFound
from services.identity.people.schemas import MaskedName, Me, OwnOrganisation, PersonFound
from services.identity.people.tables import Membership, Person
from services.identity.people.terms import name_context
from services.identity.terms import PersonState, Role


def fingerprint(vault: Vault, phone: str) -> bytes:
    """By which a phone number is found again."""
    return vault.fingerprint(phone, "person.phone")


async def person_by_phone(session: AsyncSession, vault: Vault, phone: str) -> Person | None:
    """The active person of this number, if there is one."""
    statement = select(Person).where(
        Person.phone_fingerprint == fingerprint(vault, phone), Person.state == PersonState.ACTIVE
    )
    return (await session.scalars(statement)).one_or_none()


async def owners_of_phones(session: AsyncSession, vault: Vault, phones: Collection[str]) -> dict[str, UUID]:
    """Whose these numbers are, of those that are somebody's."""
    numbers = {fingerprint(vault, phone): phone for phone in phones}
    statement = select(Person.phone_fingerprint, Person.id).where(Person.phone_fingerprint.in_(numbers))
    return {numbers[found]: person_id for found, person_id in await session.execute(statement) if found is not None}


async def active_person(session: AsyncSession, person_id: UUID) -> Person:
    """The person as they are at this moment. Raises PersonNotFound."""
    person = await session.get(Person, person_id, populate_existing=True)
    if person is None or person.state != PersonState.ACTIVE:
        raise PersonNotFound
    return person


async def present_person(session: AsyncSession, person_id: UUID) -> Person:
    """Whoever holds a token: an account may have been deleted since. Raises PersonGone."""
    try:
        return await active_person(session, person_id)
    except PersonNotFound:
        raise PersonGone from None


async def lock_people(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, Person]:
    """These people by id, locked. Raises PersonNotFound if one of them is not there."""
    statement = select(Person).where(Person.id.in_(person_ids)).order_by(Person.id).with_for_update()
    found = await session.scalars(statement, execution_options={"populate_existing": True})
    people = {person.id: person for person in found}
    if len(people) < len(set(person_ids)):
        raise PersonNotFound
    return people


async def check_active(session: AsyncSession, person_ids: Collection[UUID]) -> None:
    """Raises PersonNotFound if one of these was deleted, or never was. Lock them first, so that it stays so."""
    statement = select(Person.id).where(Person.id.in_(person_ids), Person.state == PersonState.ACTIVE)
    if not set(await session.scalars(statement)) >= set(person_ids):
        raise PersonNotFound


async def memberships(session: AsyncSession, person_ids: Collection[UUID]) -> Sequence[Membership]:
    """To which households these people belong."""
    return (await session.scalars(select(Membership).where(Membership.person_id.in_(person_ids)))).all()


async def actor(session: AsyncSession, person_id: UUID) -> Actor:
    """The person as an access token describes them. Raises PersonNotFound."""
    await active_person(session, person_id)
    posts = await _posts(session, person_id)
    household_id = await session.scalar(select(Membership.household_id).where(Membership.person_id == person_id))
    organisation = posts[0][1] if posts else None
    return Actor(
        id=person_id,
        roles=_roles([post.role for post, _ in posts], household_id),
        organisation_id=organisation.id if organisation else None,
        level=organisation.level if organisation else None,
        household_id=household_id,
    )


async def find_person(session: AsyncSession, vault: Vault, phone: str) -> PersonFound:
    """Whose phone this is, and their household: ids alone."""
    person = await person_by_phone(session, vault, phone)
    if person is None:
        return PersonFound(person_id=None, household_id=None)
    household_id = await session.scalar(select(Membership.household_id).where(Membership.person_id == person.id))
    return PersonFound(person_id=person.id, household_id=household_id)


async def masked_names(session: AsyncSession, vault: Vault, person_ids: Collection[UUID]) -> list[MaskedName]:
    """What these people are called, masked, in the order of their ids; unknown and deleted ones are left out."""
    statement = select(Person).where(Person.id.in_(person_ids), Person.state == PersonState.ACTIVE).order_by(Person.id)
    return [
        MaskedName(person_id=person.id, name=mask_name(name_of(vault, person)))
        for person in await session.scalars(statement)
    ]


async def me(session: AsyncSession, vault: Vault, person_id: UUID, household: OwnHousehold | None) -> Me:
    """What somebody may know of themselves: their own name and those of their household in the clear.

    Raises PersonGone.
    """
    person = await present_person(session, person_id)
    posts = await _posts(session, person_id)
    organisation = posts[0][1] if posts else None
    return Me(
        id=person.id,
        name=name_of(vault, person),
        roles=sorted(_roles([post.role for post, _ in posts], household.id if household else None)),
        organisation=OwnOrganisation(id=organisation.id, name=organisation.name, level=organisation.level)
        if organisation
        else None,
        household=household,
    )


def name_of(vault: Vault, person: Person) -> str:
    """The name of an active person, in the clear."""
    assert person.name_sealed is not None
    return vault.open(person.name_sealed, name_context(person.id))


def _roles(posts: Iterable[str], household_id: UUID | None) -> frozenset[str]:
    """Those of the posts, and resident for whoever has a household."""
    return frozenset(posts) | ({Role.RESIDENT.value} if household_id else frozenset())


async def _posts(session: AsyncSession, person_id: UUID) -> Sequence[tuple[Post, Organisation]]:
    statement = (
        select(Post, Organisation)
        .join(Organisation, Organisation.id == Post.organisation_id)
        .where(Post.person_id == person_id)
        .order_by(Post.role)
    )
    return [(post, organisation) for post, organisation in await session.execute(statement)]
