"""Bodies about people."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out, Phone
from services.identity.households.schemas import OwnHousehold


class OwnOrganisation(Out):
    """Where somebody holds their posts."""

    id: UUID
    name: str
    level: str


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


class NamesQuery(In):
    """What are these people called? Asked by services only."""

    person_ids: Annotated[list[UUID], Field(max_length=200)]


class MaskedName(Out):
    """A person's name as others may see it: 张*."""

    person_id: UUID
    name: str


class MaskedNames(Out):
    """The masked names of those people who are there."""

    names: list[MaskedName]
