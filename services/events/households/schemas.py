"""A household as identity tells it: by message and when it is asked."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

MEMBERS_MAX = 1000
VERSION_MAX = 2**31 - 1


class MemberSnapshot(BaseModel):
    """A member: `child` is under fourteen, `consented` has a guardian's living consent to activities."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    person_id: UUID
    child: bool
    consented: bool


class HouseholdSnapshot(BaseModel):
    """The whole household as of `version`, which counts up with every change of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    household_id: UUID
    version: Annotated[int, Field(ge=1, le=VERSION_MAX)]
    members: Annotated[tuple[MemberSnapshot, ...], Field(max_length=MEMBERS_MAX)]
    dissolved_into: UUID | None
