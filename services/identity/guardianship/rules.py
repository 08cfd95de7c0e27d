"""Decisions about children, guardians and consents. Pure."""

from datetime import date, datetime
from uuid import UUID

from services.identity.guardianship.errors import (
    BirthDateInvalid,
    ChildNotFound,
    ConsentTextOutdated,
    NoConsentNeeded,
    NotAnAdultMember,
    NotGuardian,
    TooManyChildren,
    TooManyGuardians,
)
from services.identity.guardianship.tables import Consent
from services.identity.guardianship.terms import MAX_CHILDREN, MAX_GUARDIANS, TEXTS
from services.identity.households.rules import Family
from services.identity.people.rules import is_under_fourteen
from services.identity.people.tables import Person
from services.identity.terms import ConsentPurpose

WITHDRAWN, RENEWED, FOURTEEN, DELETED = "withdrawn", "renewed", "fourteen", "deleted"
"""Why a consent ended."""


def check_birth_date(birth: date, today: date) -> None:
    """Raises BirthDateInvalid unless somebody born on that day is under fourteen. Both are days in Beijing."""
    if birth > today:
        raise BirthDateInvalid("has not come yet")
    if not is_under_fourteen(birth, today):
        raise BirthDateInvalid("is fourteen years ago or more; from fourteen on one needs no guardian to sign up")


def check_text(purpose: ConsentPurpose, version: str) -> None:
    """Raises ConsentTextOutdated."""
    if version != TEXTS[purpose].version:
        raise ConsentTextOutdated(TEXTS[purpose].version)


def check_room_for_child(family: Family) -> None:
    """Raises TooManyChildren."""
    if sum(person.child for person in family.people.values()) >= MAX_CHILDREN:
        raise TooManyChildren(f"A household has at most {MAX_CHILDREN} children.")


def guarded(family: Family, child_id: UUID, actor_id: UUID) -> Person:
    """A dependant of the household, for a guardian of theirs. Raises ChildNotFound, NotGuardian."""
    if child_id not in family.people:
        raise ChildNotFound
    if actor_id not in family.guardians.get(child_id, frozenset()):
        raise NotGuardian
    return family.people[child_id]


def check_new_guardian(family: Family, child_id: UUID, guardian_id: UUID) -> None:
    """Raises ChildNotFound, NotAnAdultMember, TooManyGuardians."""
    if child_id not in family.people:
        raise ChildNotFound
    if guardian_id not in family.adults:
        raise NotAnAdultMember
    if len(family.guardians.get(child_id, frozenset())) >= MAX_GUARDIANS:
        raise TooManyGuardians(f"A child has at most {MAX_GUARDIANS} guardians.")


def check_needs_consent(person: Person) -> None:
    """Raises NoConsentNeeded."""
    if not person.child:
        raise NoConsentNeeded


def end(consent: Consent, because: str, at: datetime, *, by: UUID | None) -> None:
    """The consent is no longer in force. The first end stays."""
    if consent.ended_at is None:
        consent.ended_at, consent.ended_by, consent.ended_because = at, by, because
