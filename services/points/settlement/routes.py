"""HTTP of settlement: what merchants' managers and those who pay them see and do."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from starlette.responses import Response, StreamingResponse

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, RuntimeDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.deps import WriterDep, require_key
from services.points.downloads import CSV_TYPE, XLSX_TYPE, SpreadsheetsDep, TooManySpreadsheets, file_of
from services.points.merchants.errors import MerchantNotFound
from services.points.permissions import MayAdminister, MayManage, MaySeeMerchants
from services.points.settlement import actions, bills, files, queries, rules
from services.points.settlement.errors import (
    AdjustmentDecided,
    AdjustmentNotFound,
    AdjustmentPending,
    AmountDiffers,
    BankReferenceNeeded,
    BankReferenceUsed,
    DayNotOver,
    DisputeOpen,
    DisputeTooLate,
    EarlierMonthOpen,
    NotConfirmed,
    NotDisputed,
    OwnAdjustment,
    OwnMerchant,
    PaidAlready,
    StatementClosed,
    StatementNotFound,
)
from services.points.settlement.payment import Paid, Pay, PayStatements
from services.points.settlement.schemas import (
    AdjustmentIn,
    AdjustmentOut,
    AnswerIn,
    BillDay,
    DisputeIn,
    PaymentIn,
    PaymentOut,
    StatementDetail,
    StatementFilters,
    StatementOut,
)

router = Router(prefix="/api/points/settlement", tags=["settlement"])


@router.get(
    "/bills/daily", response_class=Response, responses=file_of(CSV_TYPE) | problems(MerchantNotFound, DayNotOver)
)
async def download_bill(day: Annotated[BillDay, Query()], actor: MaySeeMerchants, session: SessionDep) -> Response:
    """日账单: the bill of a day, the same bytes as the merchant interface gives; of days that are over since ten
    o'clock. `HHBY-Bill-SHA256` bears the SHA-256 of the file.
    """
    await queries.check_merchant(session, actor, day.merchant_id)
    rules.check_ready(day.bill_date, clock.now())
    bill = await bills.daily_bill(session, day.merchant_id, day.bill_date)
    name = {"Content-Disposition": f'attachment; filename="bill-{day.bill_date}.csv"'}
    return Response(bill.csv, media_type=CSV_TYPE, headers=name | {"HHBY-Bill-SHA256": bill.sha256})


@router.get("/statements", responses=problems(InvalidCursor))
async def list_statements(
    filters: Annotated[StatementFilters, Query()], actor: MaySeeMerchants, session: SessionDep, cursors: CursorsDep
) -> Page[StatementOut]:
    """月结单: one a month, the latest first. Managers see those of their merchant."""
    return await queries.list_statements(session, cursors, actor, filters)


@router.get("/statements/{statement_id}", responses=problems(StatementNotFound))
async def show_statement(statement_id: UUID, actor: MaySeeMerchants, session: SessionDep) -> StatementDetail:
    """A statement by store, with what was said against it and added to it."""
    return await queries.statement_detail(session, actor, statement_id)


@router.get(
    "/statements/{statement_id}/statement.csv",
    response_class=Response,
    responses=file_of(CSV_TYPE) | problems(StatementNotFound),
)
async def download_statement_csv(
    statement_id: UUID, actor: MaySeeMerchants, session: SessionDep, runtime: RuntimeDep
) -> Response:
    """Every use, return and adjustment of the month under the columns of the daily bills, and a remark.

    UTF-8 with a mark that Excel knows it by. The same bytes whenever it is made.
    """
    statement = await queries.visible_statement(session, actor, statement_id)
    added = await queries.adjustments(session, statement_id, approved_only=True)
    parts = files.csv_parts(runtime.db, statement, added)
    name = {"Content-Disposition": f'attachment; filename="{statement.file_name}.csv"'}
    return StreamingResponse(parts, media_type=CSV_TYPE, headers=name)


@router.get(
    "/statements/{statement_id}/statement.xlsx",
    response_class=Response,
    responses=file_of(XLSX_TYPE) | problems(StatementNotFound, TooManySpreadsheets),
)
async def download_statement_xlsx(
    statement_id: UUID,
    actor: MaySeeMerchants,
    session: SessionDep,
    runtime: RuntimeDep,
    spreadsheets: SpreadsheetsDep,
) -> Response:
    """The same as a spreadsheet, with what the month and each store come to on a sheet of its own."""
    statement = await queries.visible_statement(session, actor, statement_id)
    added = await queries.adjustments(session, statement_id, approved_only=True)
    return spreadsheets.answer(partial(files.make_xlsx, runtime.db, statement, added), f"{statement.file_name}.xlsx")


@router.post(
    "/statements/{statement_id}/dispute",
    responses=problems(StatementNotFound, StatementClosed, DisputeOpen, DisputeTooLate),
)
async def dispute_statement(
    statement_id: UUID, body: DisputeIn, actor: MayManage, session: SessionDep
) -> StatementDetail:
    """提出异议: within five working days, in words. Staff answer, and it is confirmed with what they adjust."""
    await actions.dispute(session, actor, statement_id, body.words)
    return await queries.statement_detail(session, actor, statement_id)


@router.post(
    "/statements/{statement_id}/confirm",
    responses=problems(StatementNotFound, StatementClosed, DisputeOpen, AdjustmentPending, EarlierMonthOpen),
)
async def confirm_statement(
    statement_id: UUID, actor: MayManage, session: SessionDep, body: Nothing | None = None
) -> StatementDetail:
    """确认无误: the merchant agrees before the five days are over. No use of the month can be returned any more."""
    await actions.agree(session, actor, statement_id)
    return await queries.statement_detail(session, actor, statement_id)


@router.post(
    "/statements/{statement_id}/resolve",
    responses=problems(
        StatementNotFound, OwnMerchant, StatementClosed, NotDisputed, AdjustmentPending, EarlierMonthOpen
    ),
)
async def resolve_dispute(
    statement_id: UUID, body: AnswerIn, actor: MayAdminister, session: SessionDep
) -> StatementDetail:
    """答复异议: the merchant is answered, and the statement is confirmed with the adjustments that were approved."""
    await actions.resolve(session, actor, statement_id, body.words)
    return await queries.statement_detail(session, actor, statement_id)


@router.post(
    "/statements/{statement_id}/adjustments",
    status_code=201,
    responses=problems(StatementNotFound, OwnMerchant, StatementClosed),
)
async def propose_adjustment(
    statement_id: UUID, body: AdjustmentIn, actor: MayAdminister, session: SessionDep
) -> AdjustmentOut:
    """调整: a line to add to a draft. It counts once another administrator approves it."""
    adjustment = await actions.propose_adjustment(session, actor, statement_id, body.fen, body.reason)
    return AdjustmentOut.of(adjustment, for_staff=True)


_DECIDING = problems(AdjustmentNotFound, OwnMerchant, StatementClosed, AdjustmentDecided, OwnAdjustment)


@router.post("/adjustments/{adjustment_id}/approve", responses=_DECIDING)
async def approve_adjustment(
    adjustment_id: UUID, actor: MayAdminister, session: SessionDep, body: Nothing | None = None
) -> AdjustmentOut:
    """批准调整: by another administrator. The merchant has five working days anew."""
    adjustment = await actions.decide_adjustment(session, actor, adjustment_id, approve=True)
    return AdjustmentOut.of(adjustment, for_staff=True)


@router.post("/adjustments/{adjustment_id}/reject", responses=_DECIDING)
async def reject_adjustment(
    adjustment_id: UUID, actor: MayAdminister, session: SessionDep, body: Nothing | None = None
) -> AdjustmentOut:
    """驳回调整: by another administrator. It stays on record, and the statement as it was."""
    adjustment = await actions.decide_adjustment(session, actor, adjustment_id, approve=False)
    return AdjustmentOut.of(adjustment, for_staff=True)


@router.post(
    "/statements/{statement_id}/pay",
    status_code=201,
    response_model=PaymentOut,
    dependencies=[Depends(require_key)],
    responses=problems(
        *(StatementNotFound, OwnMerchant, NotConfirmed, PaidAlready),
        *(AmountDiffers, BankReferenceNeeded, BankReferenceUsed),
    ),
)
async def pay_statement(statement_id: UUID, body: PaymentIn, actor: MayAdminister, writer: WriterDep) -> Response:
    """付款: the month was paid, and with it those before it that were not yet.

    `amount_fen` is what they come to together. So a month in which more came back than was used is made up for by a
    later one; where that is not to be waited for, what the merchant paid back is recorded with a minus.
    """
    wanted = Pay(actor, statement_id, body.amount_fen, body.bank_reference)
    return await writer.answer(PayStatements, wanted, _paid, status=201)


def _paid(paid: Paid) -> PaymentOut:
    return PaymentOut.of(paid.payment, paid.months)
