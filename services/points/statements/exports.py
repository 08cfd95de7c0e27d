"""Statements as files: comma-separated values, sent as they are read, and spreadsheets, made whole.

Headings are in Chinese and English, times are Beijing's. What people have written is never taken for a formula.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
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
    """A statement as CSV, the oldest line first, in parts; no transaction stays open while a part is sent."""
    yield _written([HEADINGS], start=BOM)
    async for part in _parts(db, account_id, numbers):
        yield _written([[as_text(cell) for cell in cells(line)] for line in part])


async def check_length(session: AsyncSession, account_id: UUID, numbers: Range) -> None:
    """Whether a spreadsheet has room for a statement. Raises StatementTooLong."""
    if await queries.count_entries(session, account_id, numbers, MAX_ROWS + 1) > MAX_ROWS:
        raise StatementTooLong


async def make_xlsx(db: Database, account_id: UUID, numbers: Range, path: Path) -> None:
    """A statement as a spreadsheet. It takes a thread for a second or so."""
    found = [line async for part in _parts(db, account_id, numbers) for line in part]
    await asyncio.to_thread(_write_xlsx, found, path)


async def _parts(db: Database, account_id: UUID, numbers: Range) -> AsyncIterator[list[Line]]:
    """Lines, the oldest first. What is in a range of numbers that is past never changes, so the parts fit together."""
    while True:
        async with db.transaction() as session:
            transfers = await queries.entries(session, account_id, Which(), numbers, PART, oldest_first=True)
            part = await lines(session, account_id, transfers)
        if part:
            yield part
            numbers = Range(part[-1].transfer.sequence + 1, numbers.end)
        if len(part) < PART:
            return


def _write_xlsx(found: Iterable[Line], path: Path) -> None:
    options = {"constant_memory": True, "tmpdir": str(path.parent), "default_date_format": "yyyy-mm-dd hh:mm:ss"}
    with xlsxwriter.Workbook(str(path), options) as book:
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
