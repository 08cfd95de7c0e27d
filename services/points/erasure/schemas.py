"""What identity tells of the end of an account."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict


class PersonDeleted(BaseModel):
    """Somebody's data were erased: an account was deleted, or a child's record."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    person_id: UUID
