"""Bodies about activities."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from chassis.core.schema import In, Out, Text
from services.events.activities import rules
from services.events.activities.tables import Activity, ActivityChange
from services.events.terms import CATEGORY_ZH, ActivityState, Category

CAPACITY_MAX = 5000
_BY_NAME = {name: category for category, name in CATEGORY_ZH.items()}


def _category(value: object) -> object:
    return _BY_NAME.get(value.strip(), value) if isinstance(value, str) else value


CategoryIn = Annotated[
    Category, BeforeValidator(_category), Field(description="The slug, or the Chinese name of the category.")
]


class ReasonIn(In):
    """Why."""

    reason: Annotated[str, Text(500)]


class ActivityIn(In):
    """A new activity. It lasts 14 days at most and ends in the future; it may have begun already."""

    title: Annotated[str, Text(100)]
    category: CategoryIn
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    capacity: Annotated[int, Field(strict=True, ge=1, le=CAPACITY_MAX, description="Seats, in persons.")]
    place: Annotated[str, Text(200)]
    description: Annotated[str, Text(5000, min_length=0)] = ""


class ActivityFilters(In):
    """Which activities, and from where on. `from` and `to`: those that take place, in part, in this time."""

    category: CategoryIn | None = None
    state: ActivityState | None = None
    from_: Annotated[AwareDatetime | None, Field(alias="from")] = None
    to: AwareDatetime | None = None
    organisation: UUID | None = None
    cursor: Annotated[str, Text(2000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class ActivityRef(Out):
    """An activity as far as its participants need it."""

    id: UUID
    title: str
    category: Category
    category_zh: str
    place: str
    starts_at: datetime
    ends_at: datetime
    state: ActivityState

    @classmethod
    def of(cls, activity: Activity, at: datetime) -> Self:
        """The activity as it stands at this moment."""
        return cls(
            id=activity.id,
            title=activity.title,
            category=activity.category,
            category_zh=activity.category.zh,
            place=activity.place,
            starts_at=activity.starts_at,
            ends_at=activity.ends_at,
            state=rules.shown_state(activity, at),
        )


class ActivityOut(ActivityRef):
    """An activity. `free`: seats (persons) that nobody has; `waitlisted`: how many sign-ups wait for one."""

    organisation_id: UUID
    description: str
    capacity: int
    taken: int
    free: int
    full: bool
    waitlisted: int
    signup_open: bool
    published_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def show(cls, activity: Activity, at: datetime, waitlisted: int) -> Self:
        """The activity as it stands at this moment; `waitlisted` is how many sign-ups wait."""
        free = activity.capacity - activity.taken
        return cls(
            **dict(ActivityRef.of(activity, at)),
            organisation_id=activity.organisation_id,
            description=activity.description,
            capacity=activity.capacity,
            taken=activity.taken,
            free=free,
            full=free == 0,
            waitlisted=waitlisted,
            signup_open=rules.takes_signups(activity, at),
            published_at=activity.published_at,
            ended_at=activity.ended_at,
        )


class ActivityChangeOut(Out):
    """One row of the history. `by` is null for the clock, and towards those who are not of the organisation."""

    at: datetime
    by: UUID | None
    from_state: ActivityState | None
    to_state: ActivityState
    why: str | None

    @classmethod
    def of(cls, change: ActivityChange, *, inside: bool) -> Self:
        """The row; `inside`: for the organisation, those who review and those who audit."""
        return cls(
            at=change.at,
            by=change.by_id if inside else None,
            from_state=change.from_state,
            to_state=change.to_state,
            why=change.why,
        )


class ActivityDetail(ActivityOut):
    """An activity with its history; towards the public, from its publication on."""

    history: list[ActivityChangeOut]


class SettingsIn(In):
    """What an administrator sets for an organisation."""

    review_before_publication: Annotated[bool, Field(strict=True)]


class SettingsOut(Out):
    """What is set for an organisation. `review_before_publication`: an administrator approves its activities first."""

    organisation_id: UUID
    review_before_publication: bool
