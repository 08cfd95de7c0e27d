"""Households as identity tells them."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict


class MemberView(BaseModel):
    """A member: ids and flags only. `child`: under fourteen. `consented`: a guardian's consent to activities lives."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    person_id: UUID
    child: bool
    consented: bool


class HouseholdChanged(BaseModel):
    """The whole of a household as of `version`; `dissolved_into` is the one that it joined, and then it has nobody."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    occurred_at: AwareDatetime
    household_id: UUID
    version: int
    members: list[MemberView]
    dissolved_into: UUID | None
