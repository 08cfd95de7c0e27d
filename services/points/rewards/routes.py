"""HTTP of rewards, for residents."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.rewards import queries
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.schemas import RewardOut, RewardPaging

rewards = Router(prefix="/api/points/rewards", tags=["rewards"])


@rewards.get("", responses=problems(InvalidCursor))
async def list_rewards(
    paging: Annotated[RewardPaging, Query()], session: SessionDep, cursors: CursorsDep
) -> Page[RewardOut]:
    """兑换目录: what is on offer now, the cheapest first, also where nothing is left of it. Open to all."""
    return await queries.list_rewards(session, cursors, paging)


@rewards.get("/{reward_id}", responses=problems(RewardNotFound))
async def show_reward(reward_id: UUID, session: SessionDep) -> RewardOut:
    """One reward, on offer or not. Open to all."""
    return await queries.reward_detail(session, reward_id)
