"""Decisions about households and invitations. Pure."""

import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.identity.guardianship.tables import Guardianship
from services.identity.households.errors import (
    GuardianStays,
    HouseholdFull,
    LastAdult,
    LivesAlone,
    MemberNotFound,
    NotAdult,
    NotEarlier,
    TooManyInvitations,
    TooManyInvitationsToday,
    TooManyWrongInvitations,
)
from services.identity.households.tables import Invitation, JoinTries
from services.identity.households.terms import (
    CODE_ALPHABET,
    CODE_LENGTH,
    MAX_INVITATIONS_A_DAY,
    MAX_MEMBERS,
    MAX_OPEN_INVITATIONS,
)
from services.identity.people.tables import Household, Person

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Family:
    """A locked household with its members, and who among them are the guardians of whom."""

    household: Household
    people: Mapping[UUID, Person]
    guardians: Mapping[UUID, frozenset[UUID]]

    @property
    def dependants(self) -> frozenset[UUID]:
        """Children, and those who were children and have guardians but no phone: they cannot sign in."""
        return frozenset(
            person.id
            for person in self.people.values()
            if person.child or (person.phone_sealed is None and self.guardians.get(person.id))
        )

    @property
    def adults(self) -> frozenset[UUID]:
        """Everybody else."""
        return frozenset(self.people) - self.dependants

    def with_guardian(self, child_id: UUID, guardian_id: UUID) -> "Family":
        """The same, with one guardian more."""
        guardians = self.guardians.get(child_id, frozenset()) | {guardian_id}
        return replace(self, guardians={**self.guardians, child_id: guardians})

    def left_without_guardian(self, leaver_id: UUID) -> frozenset[UUID]:
        """Who would have nobody to act for them here, were this person to go alone."""
        if self.adults <= {leaver_id}:
            return self.dependants
        return frozenset(who for who in self.dependants if self.guardians.get(who, frozenset()) == {leaver_id})


@dataclass(frozen=True, slots=True)
class JoinLimits:
    """How many wrong codes an hour may come from one person, and from one address."""

    per_person: int
    per_address: int


def check_adult(family: Family, person_id: UUID) -> None:
    """Raises NotAdult."""
    if person_id in family.dependants:
        raise NotAdult


def check_room(family: Family, newcomers: int) -> None:
    """Raises HouseholdFull."""
    if len(family.people) + newcomers > MAX_MEMBERS:
        raise HouseholdFull(f"A household has at most {MAX_MEMBERS} members.")


def check_may_leave(family: Family, person_id: UUID) -> None:
    """Raises LivesAlone, LastAdult."""
    if len(family.people) == 1:
        raise LivesAlone
    if family.adults == {person_id}:
        raise LastAdult("You may join another household together with them.")


def who_moves(family: Family, person_id: UUID) -> frozenset[UUID]:
    """This adult, and whoever would be left without a guardian: every child has one in its own household."""
    return frozenset({person_id}) | family.left_without_guardian(person_id)


def who_is_put_out(
    family: Family,
    guardianships: Iterable[Guardianship],
    joined: Mapping[UUID, datetime],
    person_id: UUID,
    *,
    by: UUID,
) -> frozenset[UUID]:
    """This adult, and the children whose first guardian they are. `joined`: when each member came to the household.

    Whoever is invited by mistake cannot make themselves stay: neither by children of their own, whoever else is named a
    guardian of those, nor by whom they invite. Raises MemberNotFound, NotEarlier; GuardianStays where somebody who was
    here no later made them a guardian of a child that stays.
    """
    if person_id not in family.adults:
        raise MemberNotFound
    if joined[by] >= joined[person_id]:
        raise NotEarlier
    first: dict[UUID, UUID] = {}
    for guardianship in sorted(guardianships, key=lambda one: (one.began_at, one.id)):
        first.setdefault(guardianship.child_id, guardianship.guardian_id)
    wards = {child_id for child_id, guardians in family.guardians.items() if person_id in guardians}
    going = {child_id for child_id in wards if first[child_id] == person_id}
    if any(joined[first[child_id]] <= joined[person_id] for child_id in wards - going):
        raise GuardianStays
    return frozenset({person_id}) | going


def new_code() -> str:
    """A random code: 25 characters in 8 places are 37 bits, which tries that are counted do not search."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def check_may_invite(still_open: int, within_a_day: int) -> None:
    """Raises TooManyInvitations, TooManyInvitationsToday."""
    if still_open >= MAX_OPEN_INVITATIONS:
        raise TooManyInvitations(f"At most {MAX_OPEN_INVITATIONS} may be open; revoke one that is not needed.")
    if within_a_day >= MAX_INVITATIONS_A_DAY:
        raise TooManyInvitationsToday(retry_after_seconds=3600)


def is_open(invitation: Invitation, at: datetime) -> bool:
    """Whether somebody can still join by it."""
    return invitation.used_at is None and invitation.ended_at is None and at < invitation.expires_at


def check_may_try(tries: JoinTries, limit: int, at: datetime) -> None:
    """Raises TooManyWrongInvitations if this person or address has offered too many wrong codes this hour."""
    if tries.wrong >= limit:
        wait = (tries.hour + _HOUR - at).total_seconds()
        raise TooManyWrongInvitations(retry_after_seconds=max(1, math.ceil(wait)))
