"""HTTP of activities 活动 and of what is set for their organisations."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.events.activities import actions, queries
from services.events.activities.errors import ActivityNotFound, ActivityOver, NotOrganiser, WrongState
from services.events.activities.schemas import (
    ActivityDetail,
    ActivityFilters,
    ActivityIn,
    ActivityOut,
    ReasonIn,
    SettingsIn,
    SettingsOut,
)
from services.events.deps import TurnDep
from services.events.permissions import Anybody, MayApprove, MayOrganise, MaySet
from services.events.signups.actions import cancel_activity as cancel

router = Router(prefix="/api/events/activities", tags=["activities"])
organisations = Router(prefix="/api/events/organisations", tags=["organisations"])


@router.get("", responses=problems(InvalidCursor))
async def list_activities(
    filters: Annotated[ActivityFilters, Query()], actor: Anybody, session: SessionDep, cursors: CursorsDep
) -> Page[ActivityOut]:
    """The activities that were published, the latest start first.

    Organisers see their organisation's drafts too, administrators what waits for their review, auditors all.
    """
    return await queries.list_activities(session, cursors, actor, filters)


@router.post("", status_code=201)
async def create_activity(body: ActivityIn, actor: MayOrganise, session: SessionDep) -> ActivityOut:
    """A draft 草稿 of one's organisation."""
    activity = await actions.create_activity(session, actor, body)
    return await queries.show_activity(session, activity, clock.now())


@router.get("/{activity_id}", responses=problems(ActivityNotFound))
async def show_activity(activity_id: UUID, actor: Anybody, session: SessionDep) -> ActivityDetail:
    """One activity with its history."""
    return await queries.activity_detail(session, actor, activity_id)


@router.post("/{activity_id}/publish", responses=problems(ActivityNotFound, NotOrganiser, ActivityOver, WrongState))
async def publish_activity(
    activity_id: UUID, actor: MayOrganise, session: SessionDep, body: Nothing | None = None
) -> ActivityOut:
    """Everybody can see it; or an administrator reviews it first, where that is set for the organisation."""
    activity = await actions.publish_activity(session, actor, activity_id)
    return await queries.show_activity(session, activity, clock.now())


@router.post("/{activity_id}/approve", responses=problems(ActivityNotFound, ActivityOver, WrongState))
async def approve_activity(
    activity_id: UUID, actor: MayApprove, session: SessionDep, body: Nothing | None = None
) -> ActivityOut:
    """审核通过: what was reviewed is published."""
    activity = await actions.approve_activity(session, actor, activity_id)
    return await queries.show_activity(session, activity, clock.now())


@router.post("/{activity_id}/return", responses=problems(ActivityNotFound, WrongState))
async def return_activity(activity_id: UUID, body: ReasonIn, actor: MayApprove, session: SessionDep) -> ActivityOut:
    """审核退回: it is a draft again, with the reason in its history."""
    activity = await actions.return_activity(session, actor, activity_id, body.reason)
    return await queries.show_activity(session, activity, clock.now())


@router.post("/{activity_id}/open", responses=problems(ActivityNotFound, NotOrganiser, ActivityOver, WrongState))
async def open_activity(
    activity_id: UUID, actor: MayOrganise, session: SessionDep, body: Nothing | None = None
) -> ActivityOut:
    """开始报名: families may sign up."""
    activity = await actions.open_activity(session, actor, activity_id)
    return await queries.show_activity(session, activity, clock.now())


@router.post("/{activity_id}/close", responses=problems(ActivityNotFound, NotOrganiser, WrongState))
async def close_activity(
    activity_id: UUID, actor: MayOrganise, turn: TurnDep, session: SessionDep, body: Nothing | None = None
) -> ActivityOut:
    """报名截止: nobody signs up any more; freed seats still go to those who wait."""
    activity = await actions.close_activity(session, actor, activity_id)
    return await queries.show_activity(session, activity, clock.now())


@router.post("/{activity_id}/cancel", responses=problems(ActivityNotFound, NotOrganiser, WrongState))
async def cancel_activity(
    activity_id: UUID, body: ReasonIn, actor: MayOrganise, turn: TurnDep, session: SessionDep
) -> ActivityOut:
    """取消: it does not take place, and every sign-up ends."""
    activity = await cancel(session, actor, activity_id, body.reason)
    return await queries.show_activity(session, activity, clock.now())


@organisations.get("/{organisation_id}/settings")
async def show_settings(organisation_id: UUID, actor: MaySet, session: SessionDep) -> SettingsOut:
    """What is set for an organisation."""
    return await queries.settings_of(session, organisation_id)


@organisations.put("/{organisation_id}/settings")
async def change_settings(organisation_id: UUID, body: SettingsIn, actor: MaySet, session: SessionDep) -> SettingsOut:
    """Set whether an administrator reviews this organisation's activities before their publication."""
    await actions.set_review(session, organisation_id, body.review_before_publication)
    return SettingsOut(organisation_id=organisation_id, review_before_publication=body.review_before_publication)
