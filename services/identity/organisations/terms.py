"""Words of organisations and posts."""

from dataclasses import dataclass
from uuid import UUID

from services.identity.terms import Role


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post 岗位 to be given: a role in an organisation."""

    person_id: UUID
    organisation_id: UUID
    role: Role
