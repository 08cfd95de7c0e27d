"""Decisions about people and households."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from uuid import UUID

from services.identity.people.errors import ChildWithPhone, InAnotherHousehold, PhoneTaken
from services.identity.people.tables import Membership, Person
from services.identity.people.terms import PersonRecord
from services.identity.terms import PersonState

FOURTEEN = 14
"""Years from which on a person's data need no guardian's consent (Personal Information Protection Law, article 31)."""


def name_of_new_resident(phone: str) -> str:
    """What somebody is called who did not say: 居民 and the end of their own number."""
    return f"居民{phone[-4:]}"


def check_phone(*, child: bool, phone: str | None) -> None:
    """Raises ChildWithPhone."""
    if child and phone is not None:
        raise ChildWithPhone


def as_of(record: PersonRecord, today: date) -> PersonRecord:
    """The person as they are today: whoever has turned fourteen is no child, and only a child's birth is kept."""
    birth = record.birth_date
    child = record.child and (birth is None or is_under_fourteen(birth, today))
    return replace(record, child=child, birth_date=birth if child else None)


def check_phones_free(records: Iterable[PersonRecord], owners: Mapping[str, UUID]) -> None:
    """Raises PhoneTaken if a number is, by `owners` or among the records, somebody else's."""
    known = dict(owners)
    for record in records:
        if record.phone is not None and known.setdefault(record.phone, record.id) != record.id:
            raise PhoneTaken


def check_one_household(memberships: Iterable[Membership], household_id: UUID) -> None:
    """Raises InAnotherHousehold if one of these is not of this household."""
    if any(membership.household_id != household_id for membership in memberships):
        raise InAnotherHousehold


def is_under_fourteen(birth: date, today: date) -> bool:
    """Whether the fourteenth birthday is still to come. Who was born on 29 February has it on 1 March."""
    return (today.year - birth.year, today.month, today.day) < (FOURTEEN, birth.month, birth.day)


def erase(person: Person) -> None:
    """Nothing is left of the person but the id, and that they were there."""
    person.state = PersonState.DELETED
    person.child = False
    person.name_sealed = person.phone_sealed = person.phone_fingerprint = person.birth_sealed = None
