"""Statements as files: comma-separated values, sent as they are read, and spreadsheets. The same bytes whenever made.

They are made of what never changes: the ledger's numbers of the month, the adjustments that were approved, and the
merchant as it was called then.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from chassis.core.beijing import day_of
from chassis.core.db import Database
from services.points.settlement import bills, lines
from services.points.settlement.bills import Cell
from services.points.settlement.tables import Adjustment, Statement
from services.points.settlement.terms import Op, StoreSums, Sums
from services.points.statements.exports import BOM, as_text
from services.points.statements.terms import Range

SHEET_ROWS = 1_000_000
"""Lines on one sheet; a spreadsheet has no more than 1,048,576."""

COLUMNS = (*bills.COLUMNS, "remark")
HEADINGS = (
    "Day 日期",
    "Store 门店",
    "Reward 批次",
    "Coupon 券号",
    "Your number 商户请求单号",
    "Use 核销流水号",
    "Kind 类型",
    "Till's time 核销时间",
    "Face (fen) 面值(分)",
    "Payable (fen) 应付(分)",
    "Points 积分",
    "Remark 备注",
)
_STORE_HEADINGS = (
    "Store 门店",
    "Uses 核销笔数",
    "Returns 撤销笔数",
    "Face (yuan) 面值(元)",
    "Payable (yuan) 应付(元)",
    "Points 积分",
)
_WIDTHS = (12, 14, 38, 17, 26, 22, 10, 28, 14, 14, 10, 40)
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""What every spreadsheet says of when it was made: nothing about it depends on that."""


async def csv_parts(db: Database, statement: Statement, added: Sequence[Adjustment]) -> AsyncIterator[bytes]:
    """A statement as CSV in parts; no transaction stays open while a part is sent."""
    yield BOM.encode() + bills.written([COLUMNS])
    async with db.sessions() as session:
        async for part in lines.in_parts(session, statement.merchant_id, _numbers(statement)):
            yield bills.written((*bills.cells(line), "") for line in part)
    yield bills.written([as_text(cell) for cell in row] for row in _ending(statement, added))


async def make_xlsx(db: Database, statement: Statement, added: Sequence[Adjustment], path: Path) -> None:
    """A statement as a spreadsheet. Rows are written as they are read, in another thread than the event loop's."""
    async with db.sessions() as session:
        stores = await lines.sums_by_store(session, statement.merchant_id, _numbers(statement))
        await session.commit()
        book = await asyncio.to_thread(_Book, path)
        await asyncio.to_thread(book.summarise, statement, stores, added)
        async for part in lines.in_parts(session, statement.merchant_id, _numbers(statement)):
            await asyncio.to_thread(book.write, [(*bills.cells(line), "") for line in part])
    await asyncio.to_thread(book.write, _ending(statement, added))
    await asyncio.to_thread(book.close)


def _numbers(statement: Statement) -> Range:
    return Range(statement.first_number, statement.end_number)


def _ending(statement: Statement, added: Sequence[Adjustment]) -> list[tuple[Cell, ...]]:
    """What follows the uses and returns."""
    return [*map(_adjusted, added), (*bills.total(sums_of(statement, added)), "")]


def _adjusted(adjustment: Adjustment) -> tuple[Cell, ...]:
    """An adjustment as a line: of the day on which it was approved."""
    assert adjustment.decided_at is not None
    day = day_of(adjustment.decided_at).isoformat()
    return (day, "", "", "", "", "", Op.ADJUST, "", 0, adjustment.fen, 0, adjustment.reason)


def sums_of(statement: Statement, added: Sequence[Adjustment]) -> Sums:
    """What all the lines of a statement come to, adjustments included."""
    count = statement.uses + statement.returns + len(added)
    payable_fen = statement.payable_fen + sum(adjustment.fen for adjustment in added)
    return Sums(count, statement.face_fen, payable_fen, statement.points)


class _Book:
    """A spreadsheet that is written row by row, and in its folder until it is whole.

    What it is packed of are temporary files, which nobody else may read and which the library dates 31 January 1980: so
    its bytes depend on neither the clock nor on how files are made on this machine.
    """

    def __init__(self, path: Path) -> None:
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.set_properties({"created": _MADE})
        self._bold = self._book.add_format({"bold": True})
        self._yuan = self._book.add_format({"num_format": "0.00"})
        self._sheet: Any = None
        self._sheets = self._row = 0

    def summarise(self, statement: Statement, stores: Sequence[StoreSums], added: Sequence[Adjustment]) -> None:
        """The first sheet: whose month it is, what it comes to, and at which store."""
        sheet = self._book.add_worksheet("Summary 汇总")
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, len(_STORE_HEADINGS), 18)
        rows: list[tuple[str, Cell | float]] = [
            ("Merchant 商户", statement.merchant_name),
            ("Merchant number 商户号", statement.mchid),
            ("Month 月份", f"{statement.month:%Y-%m}"),
            ("Uses 核销笔数", statement.uses),
            ("Returns 撤销笔数", statement.returns),
            ("Face (yuan) 面值(元)", statement.face_fen / 100),
            ("Uses less returns (yuan) 核销净额(元)", statement.payable_fen / 100),
            ("Adjustments (yuan) 调整(元)", sum(adjustment.fen for adjustment in added) / 100),
            ("Due (yuan) 应付(元)", sums_of(statement, added).payable_fen / 100),
            ("Points 积分", statement.points),
        ]
        for row, (heading, value) in enumerate(rows):
            sheet.write_string(row, 0, heading, self._bold)
            self._put(sheet, row, 1, value)
        for column, heading in enumerate(_STORE_HEADINGS):
            sheet.write_string(len(rows) + 1, column, heading, self._bold)
        for row, store in enumerate(stores, start=len(rows) + 2):
            self._put(sheet, row, 0, store.store_id)
            yuan = (store.face_fen / 100, store.payable_fen / 100)
            for column, figure in enumerate((store.uses, store.returns, *yuan, store.points), start=1):
                self._put(sheet, row, column, figure)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Lines, on another sheet where one is full."""
        for row in rows:
            if self._sheet is None or self._row > SHEET_ROWS:
                self._begin_sheet()
            for column, cell in enumerate(row):
                if cell != "":
                    self._put(self._sheet, self._row, column, cell)
            self._row += 1

    def close(self) -> None:
        """Nothing more is written."""
        self._book.close()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet("Lines 明细" if self._sheets == 1 else f"Lines 明细 {self._sheets}")
        for column, width in enumerate(_WIDTHS):
            self._sheet.set_column(column, column, width)
        self._sheet.freeze_panes(1, 0)
        for column, heading in enumerate(HEADINGS):
            self._sheet.write_string(0, column, heading, self._bold)
        self._row = 1

    def _put(self, sheet: Any, row: int, column: int, value: Cell | float) -> None:
        if isinstance(value, str):
            sheet.write_string(row, column, value)  # never a formula
        elif isinstance(value, float):
            sheet.write_number(row, column, value, self._yuan)
        else:
            sheet.write_number(row, column, value)
