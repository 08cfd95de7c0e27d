"""HTTP of rewards, for residents."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from chassis.core.errors import Unauthenticated
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.auth import OptionalActor
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.rewards import queries
from services.points.rewards.errors import RewardNotFound, RewardPictureNotFound
from services.points.rewards.schemas import RewardFilters, RewardOut
from services.points.statements.queries import own_accounts
from services.points.terms import LedgerName

rewards = Router(prefix="/api/points/rewards", tags=["rewards"])

Size = Annotated[Literal["full", "thumb"], Query(description="`thumb`: at most 320 pixels a side.")]

JPEG: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@rewards.get("", responses=problems(InvalidCursor, Unauthenticated))
async def list_rewards(
    filters: Annotated[RewardFilters, Query()], actor: OptionalActor, session: SessionDep, cursors: CursorsDep
) -> Page[RewardOut]:
    """兑换目录: what is on offer now (or soon), also where nothing is left of it. Open to all.

    Only who asks for what is `affordable` must be signed in.
    """
    affordable_with = None
    if filters.affordable:
        if actor is None:
            raise Unauthenticated
        wallets = await own_accounts(session, actor, LedgerName.CIVIC)
        affordable_with = sum(wallet.available for wallet in wallets)
    return await queries.list_rewards(session, cursors, filters, affordable_with)


@rewards.get("/{reward_id}", responses=problems(RewardNotFound))
async def show_reward(reward_id: UUID, session: SessionDep) -> RewardOut:
    """One reward that was listed, on offer or not. Open to all."""
    return await queries.reward_detail(session, reward_id)


@rewards.get(
    "/{reward_id}/pictures/{picture_id}",
    response_class=Response,
    responses=JPEG | problems(RewardPictureNotFound),
)
async def show_reward_picture(
    reward_id: UUID, picture_id: UUID, actor: OptionalActor, session: SessionDep, size: Size = "full"
) -> Response:
    """A picture of a reward. Open to all once the reward was listed; before, to administrators and auditors."""
    content, public = await queries.picture(session, reward_id, picture_id, thumbnail=size == "thumb")
    if not public and (actor is None or not actor.has("administrator", "auditor")):
        raise RewardPictureNotFound
    kept = "public, max-age=86400, immutable" if public else "private, no-store"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="image/jpeg", headers=headers)
