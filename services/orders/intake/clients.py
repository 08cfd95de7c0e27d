"""Calls to the identity service."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from chassis.core.client import ServiceClient


class PersonFound(BaseModel):
    """Whose phone it is, as the identity service answers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    person_id: UUID | None
    household_id: UUID | None


async def find_person_by_phone(client: ServiceClient, phone: str) -> PersonFound:
    """The person whose verified phone this is, if there is one. Raises CallRefused, Unavailable."""
    answer = await client.post("identity", "/internal/people/by-phone", {"phone": phone}, safe=True)
    return PersonFound.model_validate(answer)
