"""What is done to activities: one function a use case, each within the caller's transaction.

Cancelling ends their sign-ups too, and stands with those (`signups/actions.py`).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.actor import Actor
from services.events.activities import queries, rules
from services.events.activities.schemas import ActivityIn
from services.events.activities.tables import Activity, ActivityChange, OrganisationSetting
from services.events.terms import ActivityState

_SWEPT_AT_ONCE = 100


def move(
    session: AsyncSession,
    activity: Activity,
    to: ActivityState,
    *,
    by: Actor | None,
    at: datetime,
    why: str | None = None,
) -> None:
    """Change the state of a locked activity and write the one row of history; `by` is None for the clock.

    Raises WrongState where the table has no such transition for the actor's roles. Whether the activity is their
    organisation's, the caller checks.
    """
    rules.check_move(activity.state, to, by.roles if by else {rules.CLOCK})
    _record(session, activity, activity.state, to, by=by, at=at, why=why)
    activity.state = to
    if to is ActivityState.PUBLISHED:
        activity.published_at = at
    if to is ActivityState.ENDED:
        activity.ended_at = at


def _record(
    session: AsyncSession,
    activity: Activity,
    before: ActivityState | None,
    to: ActivityState,
    *,
    by: Actor | None,
    at: datetime,
    why: str | None,
) -> None:
    change = ActivityChange(
        id=ids.new_id(),
        activity_id=activity.id,
        at=at,
        by_id=by.id if by else None,
        from_state=before,
        to_state=to,
        why=why,
    )
    session.add(change)


async def create_activity(
    session: AsyncSession, actor: Actor, body: ActivityIn, *, activity_id: UUID | None = None
) -> Activity:
    """A draft 草稿 of the organiser's organisation, under a fresh id unless one is given.

    Raises Invalid, Forbidden where they act for none.
    """
    at = clock.now()
    rules.check_schedule(body.starts_at, body.ends_at, at)
    activity = Activity(
        id=activity_id or ids.new_id(),
        organisation_id=rules.organisation_of(actor),
        organiser_id=actor.id,
        title=body.title,
        category=body.category,
        description=body.description,
        place=body.place,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        capacity=body.capacity,
        taken=0,
        last_rank=0,
        state=ActivityState.DRAFT,
        created_at=at,
        published_at=None,
        ended_at=None,
    )
    session.add(activity)
    _record(session, activity, None, ActivityState.DRAFT, by=actor, at=at, why=None)
    await session.flush()
    return activity


async def publish_activity(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """Everybody can see it from now on; or an administrator looks at it first, where that is set.

    Raises ActivityNotFound, NotOrganiser, ActivityOver, WrongState.
    """
    activity = await queries.lock_own(session, actor, activity_id)
    at = clock.now()
    reviewed = await queries.reviews_before_publication(session, activity.organisation_id)
    to = ActivityState.REVIEW if reviewed else ActivityState.PUBLISHED
    rules.check_move(activity.state, to, actor.roles)
    rules.check_not_over(activity, at)
    move(session, activity, to, by=actor, at=at)
    return activity


async def approve_activity(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """An administrator lets it be published. Raises ActivityNotFound, ActivityOver, WrongState."""
    activity = await _lock_seen(session, actor, activity_id)
    at = clock.now()
    rules.check_move(activity.state, ActivityState.PUBLISHED, actor.roles & {"administrator"})
    rules.check_not_over(activity, at)
    move(session, activity, ActivityState.PUBLISHED, by=actor, at=at)
    return activity


async def return_activity(session: AsyncSession, actor: Actor, activity_id: UUID, reason: str) -> Activity:
    """An administrator gives it back to the organiser, with the reason. Raises ActivityNotFound, WrongState."""
    activity = await _lock_seen(session, actor, activity_id)
    move(session, activity, ActivityState.DRAFT, by=actor, at=clock.now(), why=reason)
    return activity


async def _lock_seen(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    activity = await queries.lock_activity(session, activity_id)
    rules.check_seen(actor, activity)
    return activity


async def open_activity(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """Families may sign up 开始报名. Raises ActivityNotFound, NotOrganiser, ActivityOver, WrongState."""
    activity = await queries.lock_own(session, actor, activity_id)
    at = clock.now()
    rules.check_move(activity.state, ActivityState.OPEN, actor.roles)
    rules.check_not_over(activity, at)
    move(session, activity, ActivityState.OPEN, by=actor, at=at)
    return activity


async def close_activity(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """Nobody signs up any more 报名截止; the queue still moves. Raises ActivityNotFound, NotOrganiser, WrongState."""
    activity = await queries.lock_own(session, actor, activity_id)
    move(session, activity, ActivityState.CLOSED, by=actor, at=clock.now())
    return activity


async def end_overdue(session: AsyncSession, at: datetime) -> int:
    """End what nobody ended half an hour after its schedule, a hundred at a time; returns how many were ended."""
    ended = 0
    for activity_id in await queries.overdue(session, at - rules.ENDS_BY_ITSELF, _SWEPT_AT_ONCE):
        activity = await queries.lock_activity(session, activity_id)
        if (activity.state, ActivityState.ENDED) in rules.TRANSITIONS:  # else somebody moved it meanwhile
            move(session, activity, ActivityState.ENDED, by=None, at=at)
            ended += 1
    return ended


async def set_review(session: AsyncSession, organisation_id: UUID, review: bool) -> None:
    """Whether this organisation's activities are reviewed before publication, from now on."""
    statement = insert(OrganisationSetting).values(organisation_id=organisation_id, review_before_publication=review)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[OrganisationSetting.organisation_id],
            set_={"review_before_publication": review},
        )
    )
