"""Accounts and statements over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from chassis.core.schema import In, Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.permissions import SignedIn
from services.points.statements import queries
from services.points.statements.errors import AccountNotFound
from services.points.statements.schemas import AccountOut, EntryOut
from services.points.terms import LedgerName

router = Router(prefix="/api/points/accounts", tags=["accounts"])


class AccountFilters(In):
    """Whose accounts, and of which ledger (both, if it is not said)."""

    owner: Literal["me"]
    ledger: LedgerName | None = None


class EntryPaging(In):
    """Which page of a statement."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


@router.get("")
async def list_accounts(
    filters: Annotated[AccountFilters, Query()], actor: SignedIn, session: SessionDep
) -> Page[AccountOut]:
    """我的积分: one's own staff account, for those with a staff post, and one's household's civic wallet.

    An account is shown with nothing on it before its first points arrive.
    """
    accounts = await queries.own_accounts(session, actor, filters.ledger)
    return Page(items=[AccountOut.of(account) for account in accounts], next_cursor=None)


@router.get("/{account_id}/entries", responses=problems(AccountNotFound))
async def list_entries(
    account_id: UUID,
    paging: Annotated[EntryPaging, Query()],
    actor: SignedIn,
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[EntryOut]:
    """积分明细: an account's entries, newest first, each with the rule, its version, and what it was for.

    For the owner (of a household, everybody who is a member of it now), auditors and administrators; for others
    there is no such account.
    """
    filters = {"list": "entries", "account": str(account_id)}
    last = cursors.decode(paging.cursor, filters)
    account = await queries.readable_account(session, actor, account_id)
    lines = await queries.lines(session, account.id, int(last[0]) if last else None, paging.limit + 1)
    page, more = lines[: paging.limit], len(lines) > paging.limit
    return Page(
        items=[EntryOut.of(line) for line in page],
        next_cursor=cursors.encode(filters, [page[-1].entry.version]) if more else None,
    )
