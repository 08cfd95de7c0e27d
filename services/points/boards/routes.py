"""Boards over HTTP."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.errors import Forbidden
from chassis.web.deps import SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.boards import actions, queries, rules
from services.points.boards.errors import BoardsBehind
from services.points.boards.schemas import (
    BoardFilters,
    BoardOut,
    OwnFilters,
    StandingOut,
    StandingsOut,
    SubjectFilters,
)
from services.points.boards.terms import BoardKind, BoardPeriod, Mark, Standing, Top, Which
from services.points.households.queries import household_of, standing_household
from services.points.permissions import SignedIn
from services.points.terms import LedgerName

router = Router(prefix="/api/points/boards", tags=["boards"])


@router.get("/{period}", responses=problems(Forbidden, BoardsBehind))
async def show_board(
    period: BoardPeriod, filters: Annotated[BoardFilters, Query()], actor: SignedIn, session: SessionDep
) -> BoardOut:
    """排行榜: the highest of a board, equal to the ledger as of the number that the answer names.

    Awards less reversals count when they were posted; spending lowers nobody; what expired leaves the board of all time
    alone. The staff ledger's boards are for staff. Of people and families, residents see ranks and scores, and
    no ids but their own: the board is to cheer, not to tell who did what when. Communities and units are named to all.
    """
    if not rules.may_see(actor, filters.ledger):
        raise Forbidden
    which = _which(filters.ledger, period, filters.at)
    actor = await _as_of_now(session, actor)

    async def ask() -> tuple[Mark, Top]:
        top = await queries.top(session, which, filters.kind, filters.limit)
        return top.mark, top

    _, top = await actions.read(session, which.ledger, ask)
    own = rules.own_subjects(actor, which.ledger).get(filters.kind)
    return BoardOut.of(which, filters.kind, top, own=own, shown=rules.shows_subjects(actor, filters.kind))


@router.get("/{period}/mine", responses=problems(BoardsBehind))
async def show_own_standings(
    period: BoardPeriod, filters: Annotated[OwnFilters, Query()], actor: SignedIn, session: SessionDep
) -> StandingsOut:
    """我的排名: one's own rank and score on every board that one may see and be on.

    That is as a person, as a family, and with one's unit (and community, for who works for it). Who has nothing on a
    board has no rank there.
    """
    actor = await _as_of_now(session, actor)
    answers = []
    for ledger in (ledger for ledger in LedgerName if rules.may_see(actor, ledger)):
        which = _which(ledger, period, filters.at)
        mark, found = await _standings(session, which, rules.own_subjects(actor, ledger))
        answers.append((which, mark, found))
    return StandingsOut.of(answers)


@router.get("/{period}/{subject_id}", responses=problems(Forbidden, BoardsBehind))
async def show_standing(
    period: BoardPeriod,
    subject_id: UUID,
    filters: Annotated[SubjectFilters, Query()],
    actor: SignedIn,
    session: SessionDep,
) -> StandingOut:
    """查排名: the rank and score of a person, family, unit or community on its board.

    Of people and families for staff; for others, of themselves alone. Units and communities are public. A family that
    joined another is that one. Whom nobody knows has no rank.
    """
    if filters.kind is BoardKind.HOUSEHOLD:
        subject_id = await standing_household(session, subject_id)
    if not rules.may_look_up(await _as_of_now(session, actor), filters.ledger, filters.kind, subject_id):
        raise Forbidden
    which = _which(filters.ledger, period, filters.at)
    mark, [found] = await _standings(session, which, {filters.kind: subject_id})
    return StandingOut.of(which, mark, found)


async def _standings(
    session: AsyncSession, which: Which, subjects: Mapping[BoardKind, UUID]
) -> tuple[Mark, list[Standing]]:
    async def ask() -> tuple[Mark, list[Standing]]:
        mark, found = await queries.standings(session, which, subjects)
        return mark, list(found)

    return await actions.read(session, which.ledger, ask)


def _which(ledger: LedgerName, period: BoardPeriod, at: datetime | None) -> Which:
    return Which(ledger, period, rules.starts_on(period, at or clock.now()))


async def _as_of_now(session: AsyncSession, actor: Actor) -> Actor:
    """The actor with the household that is theirs now, whatever their token says."""
    return replace(actor, household_id=await household_of(session, actor))
