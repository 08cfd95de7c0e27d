"""日账单: when a merchant may have the bill of a day, and what the sandbox gives in its place."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.beijing import day_of
from services.points.merchants import queries
from services.points.merchants.errors import BillDateNotOver, BillNotReady
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Caller, Operation
from services.points.settlement import bills
from services.points.settlement.bills import DailyBill
from services.points.settlement.rules import midnight, ready_at
from services.points.settlement.terms import Line, Op

SANDBOX_LINES = 10_000
"""More of a day's are left out: this is for trying a program that reads bills."""
_SANDBOX_STOCK = UUID(int=0)
_FEN_A_POINT = 100


async def daily_bill(session: AsyncSession, caller: Caller, bill_date: date, at: datetime) -> DailyBill:
    """What was posted to the merchant's account on a day of Beijing.

    In the sandbox it is what was tried that day, as far as it is remembered, and the present day's is there at once.
    Raises BillDateNotOver, BillNotReady.
    """
    if not caller.sandbox:
        check_bill_date(bill_date, at)
        return await bills.daily_bill(session, caller.merchant_id, bill_date)
    if bill_date > day_of(at):
        raise BillDateNotOver
    return bills.bill_of(await _tried(session, caller.merchant_id, bill_date))


def check_bill_date(bill_date: date, at: datetime) -> None:
    """A day's bill is given out from ten the next morning on, in Beijing. Raises BillDateNotOver, BillNotReady."""
    if bill_date >= day_of(at):
        raise BillDateNotOver
    left = ready_at(bill_date) - at
    if left > timedelta():
        raise BillNotReady(retry_after_seconds=math.ceil(left.total_seconds()))


async def _tried(session: AsyncSession, merchant_id: UUID, day: date) -> list[Line]:
    """The uses and returns of the sandbox on a day, made of the answers to them, in their order.

    A return whose use is forgotten is left out: nothing tells any more when the till said that it was.
    """
    since, until = midnight(day), midnight(day + timedelta(days=1))
    done = await queries.sandbox_done(session, merchant_id, since, until, limit=SANDBOX_LINES)
    returned = {request.coupon_id for request in done if request.operation is Operation.RETURN}
    used = [*done, *await queries.sandbox_uses(session, merchant_id, returned)]
    times = {answer["use_no"]: answer["use_time"] for answer in map(_answer, used) if "use_time" in answer}
    return sorted(_lines(done, times), key=lambda line: (line.posted_at, line.use_no, line.op is Op.RETURN))


def _lines(done: Iterable[MerchantRequest], use_times: Mapping[str, str]) -> Iterable[Line]:
    for number, request in enumerate(done, start=1):
        assert request.answered_at is not None
        answer = _answer(request)
        if answer["use_no"] not in use_times:
            continue
        sign = 1 if request.operation is Operation.USE else -1
        yield Line(
            number=number,
            posted_at=request.answered_at,
            store_id=answer["store_id"],
            stock_id=_SANDBOX_STOCK,
            coupon_id=request.coupon_id,
            out_request_no=request.out_request_no,
            use_no=answer["use_no"],
            op=Op.USE if sign > 0 else Op.RETURN,
            use_time=datetime.fromisoformat(use_times[answer["use_no"]]),
            face_fen=sign * answer["face_fen"],
            payable_fen=sign * answer["payable_fen"],
            points=sign * (answer["face_fen"] // _FEN_A_POINT),
        )


def _answer(request: MerchantRequest) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(request.kept().body)
    return answer
