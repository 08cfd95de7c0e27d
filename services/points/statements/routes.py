"""Accounts and statements over HTTP."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, RuntimeDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.downloads import CSV_TYPE, XLSX_TYPE, SpreadsheetsDep, TooManySpreadsheets, file_of
from services.points.permissions import SignedIn
from services.points.statements import exports, queries, rules
from services.points.statements.errors import AccountNotFound, PeriodTooLong, StatementTooLong
from services.points.statements.lines import lines
from services.points.statements.schemas import (
    AccountFilters,
    AccountOut,
    AsOf,
    EntryFilters,
    EntryOut,
    ExpiringOut,
    StatementPeriod,
)
from services.points.statements.terms import Range, Which

router = Router(prefix="/api/points/accounts", tags=["accounts"])


@router.get("")
async def list_accounts(
    filters: Annotated[AccountFilters, Query()], actor: SignedIn, session: SessionDep
) -> Page[AccountOut]:
    """我的积分: one's own staff account, for those with a staff post, and one's household's civic wallet.

    An account is shown with nothing on it before its first points arrive.
    """
    accounts = await queries.own_accounts(session, actor, filters.ledger)
    return Page(items=[AccountOut.of(account) for account in accounts], next_cursor=None)


@router.get("/{account_id}", responses=problems(AccountNotFound))
async def show_account(
    account_id: UUID, when: Annotated[AsOf, Query()], actor: SignedIn, session: SessionDep
) -> AccountOut:
    """账户: an account as it is now, or as it was at any moment (`as_of`).

    For those who may read its entries.
    """
    account = await queries.readable_account(session, actor, account_id)
    if when.as_of is None or when.as_of >= clock.now():
        return AccountOut.of(await queries.standing(session, account))
    return AccountOut.of(await queries.standing_at(session, account, when.as_of))


@router.get("/{account_id}/entries", responses=problems(AccountNotFound, InvalidCursor))
async def list_entries(
    account_id: UUID,
    filters: Annotated[EntryFilters, Query()],
    actor: SignedIn,
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[EntryOut]:
    """积分明细: an account's entries, newest first, each with the rule, its version, and what it was for.

    For the owner (of a household, everybody who is a member of it now, also for a wallet that was joined to theirs),
    auditors and administrators; for others there is no such account.
    """
    asked = filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    carried = {"list": "entries", "account": str(account_id)} | asked
    last = cursors.decode(filters.cursor, carried)
    account = await queries.readable_account(session, actor, account_id)
    numbers = await queries.numbers_between(session, account.ledger, filters.from_, filters.to)
    ends = [numbers.end] + ([int(last[0])] if last else [])
    if filters.as_of is not None:
        ends.append(await queries.number_at(session, account.ledger, filters.as_of, after=True))
    which = Which(filters.code, filters.reference, filters.fact)
    found = await queries.entries(session, account.id, which, Range(numbers.first, min(ends)), filters.limit + 1)
    shown = found[: filters.limit]
    return Page(
        items=[EntryOut.of(line) for line in await lines(session, account.id, shown)],
        next_cursor=cursors.encode(carried, [shown[-1].sequence]) if len(found) > filters.limit else None,
    )


@router.get("/{account_id}/expiring", responses=problems(AccountNotFound))
async def list_expiring(account_id: UUID, actor: SignedIn, session: SessionDep) -> Page[ExpiringOut]:
    """即将到期: what of an account expires when, the first first; all of it on one page."""
    account = await queries.readable_account(session, actor, account_id)
    lots = await queries.expiring(session, account)
    return Page(items=[ExpiringOut.of(*lot) for lot in lots], next_cursor=None)


@router.get(
    "/{account_id}/statement.csv",
    response_class=Response,
    responses=file_of(CSV_TYPE) | problems(AccountNotFound, PeriodTooLong),
)
async def download_csv(
    account_id: UUID,
    period: Annotated[StatementPeriod, Query()],
    actor: SignedIn,
    session: SessionDep,
    runtime: RuntimeDep,
) -> Response:
    """对账单 as comma-separated values, the oldest line first: UTF-8 with a mark that Excel knows it by.

    A year at most; whole days in Beijing, both included.
    """
    numbers = await _numbers(session, actor, account_id, period)
    parts = exports.csv_parts(runtime.db, account_id, numbers)
    name = {"Content-Disposition": f'attachment; filename="statement-{account_id}.csv"'}
    return StreamingResponse(parts, media_type=CSV_TYPE, headers=name)


@router.get(
    "/{account_id}/statement.xlsx",
    response_class=Response,
    responses=file_of(XLSX_TYPE) | problems(AccountNotFound, PeriodTooLong, StatementTooLong, TooManySpreadsheets),
)
async def download_xlsx(
    account_id: UUID,
    period: Annotated[StatementPeriod, Query()],
    actor: SignedIn,
    session: SessionDep,
    runtime: RuntimeDep,
    spreadsheets: SpreadsheetsDep,
) -> Response:
    """对账单 as a spreadsheet, the oldest line first. A year and 20,000 lines at most."""
    numbers = await _numbers(session, actor, account_id, period)
    await exports.check_length(session, account_id, numbers)
    make = partial(exports.make_xlsx, runtime.db, account_id, numbers)
    return spreadsheets.answer(make, f"statement-{account_id}.xlsx")


async def _numbers(session: SessionDep, actor: SignedIn, account_id: UUID, period: StatementPeriod) -> Range:
    account = await queries.readable_account(session, actor, account_id)
    start, end = rules.bounds(period.from_, period.to, clock.today())
    return await queries.numbers_between(session, account.ledger, start, min(end, clock.now()))
