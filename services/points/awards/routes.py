"""The award rules over HTTP."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from chassis.core.schema import In, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.router import Router
from services.points.awards import queries
from services.points.awards.schemas import RuleOut
from services.points.permissions import SignedIn

router = Router(prefix="/api/points/rules", tags=["rules"])


class RulePaging(In):
    """Which page of the rules."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=100, ge=1, le=200)


@router.get("")
async def list_rules(
    paging: Annotated[RulePaging, Query()], actor: SignedIn, session: SessionDep, cursors: CursorsDep
) -> Page[RuleOut]:
    """积分规则: what earns how much, every version. A fact meets the version in force when it happened."""
    filters = {"list": "rules"}
    rules = await queries.rule_page(session, cursors.decode(paging.cursor, filters), paging.limit + 1)
    page, more = rules[: paging.limit], len(rules) > paging.limit
    return Page(
        items=[RuleOut.of(rule) for rule in page],
        next_cursor=cursors.encode(filters, [page[-1].code, page[-1].version]) if more else None,
    )
