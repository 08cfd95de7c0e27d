"""The award rules over HTTP."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import In, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.awards import actions, queries, simulation
from services.points.awards.errors import (
    EffectiveTimeTaken,
    RuleApprovedAlready,
    RuleFaulty,
    RuleNotFound,
    SecondPersonNeeded,
)
from services.points.awards.schemas import RuleCode, RuleDraft, RuleOut, SimulationIn, SimulationOut
from services.points.permissions import MayAdminister, SignedIn

router = Router(prefix="/api/points/rules", tags=["rules"])


class RulePaging(In):
    """Which page of the rules."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=100, ge=1, le=200)


@router.get("", responses=problems(InvalidCursor))
async def list_rules(
    paging: Annotated[RulePaging, Query()], actor: SignedIn, session: SessionDep, cursors: CursorsDep
) -> Page[RuleOut]:
    """积分规则: what earns how much, every version. A fact meets the version in force when it happened.

    Drafts are shown to administrators and auditors.
    """
    filters = {"list": "rules"}
    rules = await queries.rule_page(session, actor, cursors.decode(paging.cursor, filters), paging.limit + 1)
    page, more = rules[: paging.limit], len(rules) > paging.limit
    return Page(items=page, next_cursor=cursors.encode(filters, [page[-1].code, page[-1].version]) if more else None)


@router.post("", status_code=201, responses=problems(RuleFaulty))
async def draft_rule(draft: RuleDraft, actor: MayAdminister, session: SessionDep) -> RuleOut:
    """起草规则: a rule's next version, or a new rule. Another administrator approves it; until then nothing changes.

    It is tried on a sample of its fact type: what would fail for any fact is refused, with the field named.
    """
    rule = await actions.draft_rule(session, actor, draft)
    return RuleOut.of(rule, None, None, clock.now())


@router.post(
    "/{code}/versions/{number}/approve",
    responses=problems(RuleNotFound, RuleApprovedAlready, SecondPersonNeeded, EffectiveTimeTaken, RuleFaulty),
)
async def approve_rule(
    code: RuleCode,
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
    actor: MayAdminister,
    session: SessionDep,
) -> RuleOut:
    """批准规则: by another administrator than drafted it. It is in force from `effective_from`, never earlier than now.

    Facts that happened before that keep to the version that was in force then, however late they come.
    """
    rule, approval, until = await actions.approve_rule(session, actor, code, number)
    return RuleOut.of(rule, approval, until, approval.approved_at)


@router.post("/simulate", responses=problems(RuleFaulty))
async def simulate_rule(asked: SimulationIn, actor: MayAdminister, session: SessionDep) -> SimulationOut:
    """试算: who would have got what by a draft, for the facts of a period, against what they got. Changes nothing."""
    return await simulation.simulate(session, actor, asked)
