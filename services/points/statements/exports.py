"""Statements as files: comma-separated values, sent as they are read, and spreadsheets, made whole.

Headings are in Chinese and English, times are Beijing's. What people have written is never taken for a formula.
"""

import csv
import io
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import xlsxwriter
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.beijing import BEIJING
from chassis.core.db import Database
from services.points.ledger.terms import TransferCode
from services.points.statements import queries
from services.points.statements.errors import StatementTooLong
from services.points.statements.lines import lines
from services.points.statements.terms import Line, Range, Which

PART = 1000
"""Lines that are read at once."""

MAX_ROWS = 20_000
"""Lines of a spreadsheet."""

HEADINGS = (
    "No. 序号",
    "Posted at (Beijing) 入账时间",
    "Happened at (Beijing) 发生时间",
    "Kind 类型",
    "Amount 积分变动",
    "Balance 余额",
    "For 事由",
    "Rule 规则",
    "Reason 说明",
    "Reference 业务编号",
    "Transfer 交易号",
    "Reverses 冲正交易号",
)
_WIDTHS = (8, 20, 20, 18, 12, 12, 30, 20, 30, 40, 38, 38)

KINDS: dict[TransferCode, str] = {
    TransferCode.AWARD: "award 奖励",
    TransferCode.REVERSAL: "reversal 冲正",
    TransferCode.REDEMPTION: "redemption 兑换",
    TransferCode.USE: "use 核销",
    TransferCode.MERGER: "merger 家庭合并",
    TransferCode.EXPIRY: "expiry 到期",
    TransferCode.ACTIVITY: "activity 活动",
    TransferCode.SETTLEMENT: "settlement 结算",
    TransferCode.ADJUSTMENT: "adjustment 调整",
}

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""By which Excel knows that a file is in UTF-8."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = int | str | datetime


async def csv_parts(db: Database, account_id: UUID, numbers: Range) -> AsyncIterator[bytes]:
    """A statement as CSV, the oldest line first, in parts; no transaction stays open while a part is sent.

    What is in a range of numbers that is past never changes, so the parts fit together.
    """
    yield _written([HEADINGS], start=BOM)
    first = numbers.first
    while True:
        async with db.transaction() as session:
            part = await _part(session, account_id, Range(first, numbers.end))
        if part:
            yield _written([[as_text(cell) for cell in cells(line)] for line in part])
            first = part[-1].transfer.sequence + 1
        if len(part) < PART:
            return


async def all_lines(session: AsyncSession, account_id: UUID, numbers: Range) -> list[Line]:
    """The lines of a spreadsheet, the oldest first. Raises StatementTooLong."""
    found: list[Line] = []
    first = numbers.first
    while True:
        part = await _part(session, account_id, Range(first, numbers.end))
        found += part
        if len(found) > MAX_ROWS:
            raise StatementTooLong
        if len(part) < PART:
            return found
        first = part[-1].transfer.sequence + 1


async def _part(session: AsyncSession, account_id: UUID, numbers: Range) -> list[Line]:
    transfers = await queries.entries(session, account_id, Which(), numbers, PART, oldest_first=True)
    return await lines(session, account_id, transfers)


def xlsx(found: Iterable[Line]) -> bytes:
    """A statement as a spreadsheet. It takes a core for a second or so: not for the event loop."""
    with tempfile.TemporaryDirectory() as folder:  # where rows go that were written
        into = io.BytesIO()
        options = {"constant_memory": True, "tmpdir": folder, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        with xlsxwriter.Workbook(into, options) as book:
            sheet = book.add_worksheet("Statement 对账单")
            bold = book.add_format({"bold": True})
            for column, width in enumerate(_WIDTHS):
                sheet.set_column(column, column, width)
            sheet.freeze_panes(1, 0)
            for column, heading in enumerate(HEADINGS):
                sheet.write_string(0, column, heading, bold)
            for row, line in enumerate(found, start=1):
                for column, cell in enumerate(cells(line)):
                    if isinstance(cell, int):
                        sheet.write_number(row, column, cell)
                    elif isinstance(cell, datetime):
                        sheet.write_datetime(row, column, cell)
                    elif cell:
                        sheet.write_string(row, column, cell)
        return into.getvalue()


def cells(line: Line) -> Sequence[Cell]:
    """A line as numbers, texts, and times of Beijing (without a zone, as spreadsheets have them)."""
    transfer = line.transfer
    rule = f"{transfer.rule_code} v{transfer.rule_version}" if transfer.rule_code else ""
    return (
        line.version,
        _beijing(transfer.posted_at),
        _beijing(transfer.occurred_at),
        KINDS[transfer.code],
        line.amount,
        line.balance,
        _what_for(line),
        rule,
        line.reason or "",
        transfer.reference,
        str(transfer.id),
        str(transfer.reverses_id or ""),
    )


def _what_for(line: Line) -> str:
    if line.coupon:
        return line.coupon.reward
    if line.subject:
        return line.subject.label or str(line.subject.id)
    return ""


def _beijing(moment: datetime) -> datetime:
    return moment.astimezone(BEIJING).replace(tzinfo=None, microsecond=0)


def as_text(cell: Cell) -> int | str:
    """A cell of CSV: what a spreadsheet program would take for a formula gets an apostrophe before it."""
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, str) and cell.lstrip().startswith(_FORMULA):
        return f"'{cell}"
    return cell


def _written(rows: Iterable[Sequence[int | str]], *, start: str = "") -> bytes:
    into = io.StringIO(newline="")
    into.write(start)
    csv.writer(into).writerows(rows)
    return into.getvalue().encode()
