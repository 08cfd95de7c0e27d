"""Bodies about sign-ups."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from chassis.core.schema import In, Out, Text
from services.events.activities.schemas import ActivityRef
from services.events.terms import SignupState

MEMBERS_MAX = 20


def _distinct(members: list[UUID]) -> list[UUID]:
    if len(set(members)) < len(members):
        raise ValueError("names somebody twice")
    return members


class SignupIn(In):
    """Which members of the household sign up: all of them or none."""

    members: Annotated[list[UUID], Field(min_length=1, max_length=MEMBERS_MAX), AfterValidator(_distinct)]


class OwnSignupFilters(In):
    """`owner=me`: one's household's. `upcoming`: what stands and is not over, the soonest first."""

    owner: Literal["me"]
    upcoming: bool = False
    cursor: Annotated[str, Text(2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class SignupFilters(In):
    """An activity's sign-ups, from the first on."""

    state: SignupState | None = None
    cursor: Annotated[str, Text(2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class MemberRef(Out):
    """A member who was signed up."""

    person_id: UUID


class SignupOut(Out):
    """A sign-up as its household sees it.

    `rank` is its number on the waitlist, which it keeps; null if it was confirmed at once. `ahead`: how many sign-ups
    wait before it now; 0 unless it waits. `passed_over`: how often later ones got seats too few for all of its members.
    `why` it ended: by_household, consent_withdrawn, left_household, activity_cancelled.
    """

    id: UUID
    activity_id: UUID
    state: SignupState
    rank: int | None
    ahead: int
    passed_over: int
    seats: int
    members: list[MemberRef]
    created_at: datetime
    changed_at: datetime
    why: str | None


class OwnSignupOut(SignupOut):
    """A sign-up of one's household, with its activity."""

    activity: ActivityRef


class NamedMember(Out):
    """A member with a masked name (张*), null where it cannot be told now. `child` is under fourteen."""

    person_id: UUID
    name: str | None
    child: bool


class ListedSignupOut(Out):
    """A sign-up as the organisers see it."""

    id: UUID
    household_id: UUID
    state: SignupState
    rank: int | None
    passed_over: int
    seats: int
    members: list[NamedMember]
    created_at: datetime
    changed_at: datetime
    why: str | None
