"""Reading and locking activities."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.events.activities import rules
from services.events.activities.errors import ActivityNotFound
from services.events.activities.schemas import (
    ActivityChangeOut,
    ActivityDetail,
    ActivityFilters,
    ActivityOut,
    SettingsOut,
)
from services.events.activities.tables import Activity, ActivityChange, OrganisationSetting
from services.events.signups.tables import Signup
from services.events.terms import UNDER_WAY, ActivityState, SignupState

_PRIVATE = frozenset({ActivityState.DRAFT, ActivityState.REVIEW})


async def lock_activity(session: AsyncSession, activity_id: UUID) -> Activity:
    """The activity, locked until the transaction ends: its seats, its queue and its state. Raises ActivityNotFound.

    Whoever locks households too locks them first, and several activities in the order of their ids.
    """
    statement = select(Activity).where(Activity.id == activity_id).with_for_update(key_share=True)
    activity = (await session.scalars(statement.execution_options(populate_existing=True))).one_or_none()
    if activity is None:
        raise ActivityNotFound
    return activity


async def lock_own(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """The same, for an organiser of its organisation. Raises ActivityNotFound, NotOrganiser."""
    activity = await lock_activity(session, activity_id)
    rules.check_organiser(actor, activity)
    return activity


async def visible_activity(session: AsyncSession, actor: Actor | None, activity_id: UUID) -> Activity:
    """The activity, if they may know of it. Raises ActivityNotFound."""
    activity = await session.get(Activity, activity_id)
    if activity is None or not rules.sees(actor, activity):
        raise ActivityNotFound
    return activity


async def own_activity(session: AsyncSession, actor: Actor, activity_id: UUID) -> Activity:
    """The activity for an organiser of its organisation, not locked. Raises ActivityNotFound, NotOrganiser."""
    activity = await visible_activity(session, actor, activity_id)
    rules.check_organiser(actor, activity)
    return activity


async def show_activity(session: AsyncSession, activity: Activity, at: datetime) -> ActivityOut:
    """The activity as it stands at this moment."""
    waiting = await _waiting(session, [activity.id])
    return ActivityOut.show(activity, at, waiting.get(activity.id, 0))


async def activity_detail(session: AsyncSession, actor: Actor | None, activity_id: UUID) -> ActivityDetail:
    """The activity with its history, for those who may know of it. Raises ActivityNotFound."""
    activity = await visible_activity(session, actor, activity_id)
    inside = rules.organises(actor, activity) or (actor is not None and actor.has("administrator", "auditor"))
    history = [
        ActivityChangeOut.of(change, inside=inside)
        for change in await _history_of(session, activity_id)
        if inside or change.to_state not in _PRIVATE
    ]
    return ActivityDetail(**dict(await show_activity(session, activity, clock.now())), history=history)


async def list_activities(
    session: AsyncSession, cursors: Cursors, actor: Actor | None, filters: ActivityFilters
) -> Page[ActivityOut]:
    """A page of the activities that they may know of, the latest start first. Raises InvalidCursor."""
    carried = filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    at = clock.now()
    statement = (
        select(Activity)
        .where(_visible(actor), *_conditions(filters, at))
        .order_by(Activity.starts_at.desc(), Activity.id.desc())
        .limit(filters.limit + 1)
    )
    if after is not None:
        last = (datetime.fromisoformat(str(after[0])), UUID(str(after[1])))
        statement = statement.where(tuple_(Activity.starts_at, Activity.id) < last)
    found = (await session.scalars(statement)).all()
    shown = found[: filters.limit]
    waiting = await _waiting(session, [activity.id for activity in shown])
    more = len(found) > filters.limit
    return Page(
        items=[ActivityOut.show(activity, at, waiting.get(activity.id, 0)) for activity in shown],
        next_cursor=cursors.encode(carried, [shown[-1].starts_at.isoformat(), str(shown[-1].id)]) if more else None,
    )


def _visible(actor: Actor | None) -> ColumnElement[bool]:
    """`rules.sees` as a condition on `Activity`."""
    seen: list[ColumnElement[bool]] = [Activity.published_at.is_not(None)]
    if actor is not None and actor.has("organiser"):
        seen.append(Activity.organisation_id == actor.organisation_id)
    if actor is not None and actor.has("administrator"):
        seen.append(Activity.state == ActivityState.REVIEW)
    if actor is not None and actor.has("auditor"):
        seen.append(true())
    return or_(*seen)


def _conditions(filters: ActivityFilters, at: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.category is not None:
        conditions.append(Activity.category == filters.category)
    if filters.organisation is not None:
        conditions.append(Activity.organisation_id == filters.organisation)
    if filters.from_ is not None:
        conditions.append(Activity.ends_at > filters.from_)
    if filters.to is not None:
        conditions.append(Activity.starts_at < filters.to)
    if filters.state is ActivityState.RUNNING:
        conditions += [Activity.state.in_(UNDER_WAY), Activity.starts_at <= at]
    elif filters.state is not None:
        conditions.append(Activity.state == filters.state)
        if filters.state in UNDER_WAY:
            conditions.append(Activity.starts_at > at)
    return conditions


async def _waiting(session: AsyncSession, activity_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """How many sign-ups wait, by activity; those without any are left out."""
    statement = (
        select(Signup.activity_id, func.count())
        .where(Signup.activity_id.in_(activity_ids), Signup.state == SignupState.WAITLISTED)
        .group_by(Signup.activity_id)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def _history_of(session: AsyncSession, activity_id: UUID) -> Sequence[ActivityChange]:
    statement = select(ActivityChange).where(ActivityChange.activity_id == activity_id).order_by(ActivityChange.id)
    return (await session.scalars(statement)).all()


async def overdue(session: AsyncSession, before: datetime, limit: int) -> Sequence[UUID]:
    """Activities whose schedule ended before this moment and that nobody ended, by id."""
    open_states = (ActivityState.PUBLISHED, *UNDER_WAY)
    statement = select(Activity.id).where(Activity.state.in_(open_states), Activity.ends_at <= before)
    return (await session.scalars(statement.order_by(Activity.id).limit(limit))).all()


async def reviews_before_publication(session: AsyncSession, organisation_id: UUID) -> bool:
    """Whether an administrator approves this organisation's activities first."""
    setting = await session.get(OrganisationSetting, organisation_id)
    return setting is not None and setting.review_before_publication


async def settings_of(session: AsyncSession, organisation_id: UUID) -> SettingsOut:
    """What is set for an organisation; what nobody set is as it was made."""
    review = await reviews_before_publication(session, organisation_id)
    return SettingsOut(organisation_id=organisation_id, review_before_publication=review)
