"""账单: what a merchant's coupons came to on a day of Beijing, the same to the byte whenever it is made."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.beijing import BEIJING, day_of
from services.points.settlement import lines
from services.points.settlement.terms import NO_SUMS, Line, Sums

COLUMNS = (
    "bill_date",
    "store_id",
    "stock_id",
    "coupon_id",
    "out_request_no",
    "use_no",
    "op",
    "use_time",
    "face_fen",
    "payable_fen",
    "points",
)
TOTAL = "total"

Cell = str | int


@dataclass(frozen=True, slots=True)
class DailyBill:
    """A bill as it is given out: UTF-8, a line of headings, and lines that end with CR and LF."""

    csv: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the CSV, in hexadecimal: what a bill is known by, however it was compressed."""
        return hashlib.sha256(self.csv).hexdigest()

    def gzipped(self) -> bytes:
        """The CSV compressed: no time and no name in it."""
        return gzip.compress(self.csv, mtime=0)


async def daily_bill(session: AsyncSession, merchant_id: UUID, bill_date: date) -> DailyBill:
    """What was posted to a merchant's account on a day of Beijing, in the order of posting.

    Of a day that is over it is the same to the byte whenever it is made.
    """
    numbers = await lines.day_numbers(session, bill_date)
    content, sums = [written([COLUMNS])], NO_SUMS
    async for part in lines.in_parts(session, merchant_id, numbers):
        content.append(written(map(cells, part)))
        sums = sum_of(part, sums)
    return DailyBill(b"".join([*content, written([total(sums)])]))


def bill_of(found: Sequence[Line]) -> DailyBill:
    """The bill of these lines; without any it is the bill of a day on which nothing was posted."""
    return DailyBill(written([COLUMNS, *map(cells, found), total(sum_of(found))]))


def sum_of(found: Iterable[Line], so_far: Sums = NO_SUMS) -> Sums:
    """What lines come to, with those before them."""
    count, face_fen, payable_fen, points = so_far
    for line in found:
        count, face_fen = count + 1, face_fen + line.face_fen
        payable_fen, points = payable_fen + line.payable_fen, points + line.points
    return Sums(count, face_fen, payable_fen, points)


def cells(line: Line) -> tuple[Cell, ...]:
    """A line under `COLUMNS`. Its day is that of posting, never that of the till's clock."""
    return (
        day_of(line.posted_at).isoformat(),
        line.store_id,
        str(line.stock_id),
        line.coupon_id,
        line.out_request_no or "",
        line.use_no,
        line.op,
        line.use_time.astimezone(BEIJING).isoformat(),
        line.face_fen,
        line.payable_fen,
        line.points,
    )


def total(sums: Sums) -> tuple[Cell, ...]:
    """The last line: how many came before it, and the sums of their last three columns beneath these."""
    return (TOTAL, sums.lines, "", "", "", "", "", "", sums.face_fen, sums.payable_fen, sums.points)


def written(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as comma-separated values (RFC 4180)."""
    into = io.StringIO(newline="")
    csv.writer(into, lineterminator="\r\n").writerows(rows)
    return into.getvalue().encode()
