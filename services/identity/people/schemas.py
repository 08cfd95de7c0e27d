"""Bodies about people."""

from uuid import UUID

from chassis.core.schema import In, Out, Phone


class OwnOrganisation(Out):
    """Where somebody holds their posts."""

    id: UUID
    name: str
    level: str


class Member(Out):
    """A member of one's own household."""

    id: UUID
    name: str
    child: bool


class OwnHousehold(Out):
    """One's own household, oneself included."""

    id: UUID
    members: list[Member]


class Me(Out):
    """Who is signed in, as they may know themselves."""

    id: UUID
    name: str
    roles: list[str]
    organisation: OwnOrganisation | None
    household: OwnHousehold | None


class PhoneQuery(In):
    """Whose phone is this? Asked by services only."""

    phone: Phone


class PersonFound(Out):
    """The person of a phone and the household whose civic points are theirs, or null."""

    person_id: UUID | None
    household_id: UUID | None
