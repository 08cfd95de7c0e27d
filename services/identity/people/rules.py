"""Decisions about people and households."""

from collections.abc import Iterable
from uuid import UUID

from services.identity.people.errors import ChildWithPhone, InAnotherHousehold
from services.identity.people.tables import Membership


def name_of_new_resident(phone: str) -> str:
    """What somebody is called who did not say: 居民 and the end of their own number."""
    return f"居民{phone[-4:]}"


def check_phone(*, child: bool, phone: str | None) -> None:
    """Raises ChildWithPhone."""
    if child and phone is not None:
        raise ChildWithPhone


def check_one_household(memberships: Iterable[Membership], household_id: UUID) -> None:
    """Raises InAnotherHousehold if one of these is not of this household."""
    if any(membership.household_id != household_id for membership in memberships):
        raise InAnotherHousehold
