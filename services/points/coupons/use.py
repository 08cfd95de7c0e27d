"""核销: using coupons, for as many tills as come together, in the transaction that posts what merchants are owed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.coupons import life
from services.points.coupons.life import Standing
from services.points.coupons.record import Record, posted
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponEventKind
from services.points.coupons.tills import CouponsAtTills, Shown
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, merchant_payable
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Use(Shown):
    """A merchant takes a coupon. `use_time` is what the till says; what counts is our own clock.

    `operator_id` is the person at a counter; a till has a number for it instead, `out_request_no`.
    """

    mchid: str
    use_time: datetime
    out_trade_no: str | None
    out_request_no: str | None = None
    operator_id: UUID | None = None


class UseCoupons:
    """The deed: the coupon's points become what the merchant is owed, or nothing happens but that a try is counted.

    Refuses with TooManyWrongCodes; CouponCodeWrong (a CouponNotFound) where the code never was right or the merchant
    does not honour the coupon there, CouponCodeStale; CouponNotFound, CouponUsed, CouponLocked (by another till),
    CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._tills, self._record = CouponsAtTills(), Record()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Use], /) -> Needs:
        """The coupons (locked), who honours them, and the counts of wrong codes."""
        self._at = at
        await self._tills.read(session, at, requests)
        known = [(self._tills.known(request), request) for request in requests]
        return needs_of([self._order(coupon, request) for coupon, request in known if coupon])

    def decide(self, book: Book, request: Use, /) -> Standing:
        """The coupon, used. Of several who want it in one batch the first gets it."""
        coupon = self._tills.meant(request)
        life.check_usable(coupon, self._at, request.till)
        transfer = posted(book.apply(self._order(coupon, request)).transfer)
        life.use(coupon, request.till, request.mchid, request.use_time, transfer.posted_at)
        coupon.use_transfer_id = transfer.id
        used = Standing.of(coupon, transfer.posted_at)
        event = self._record.add(coupon, CouponEventKind.USED, transfer, by=request.operator_id)
        event.out_trade_no = request.out_trade_no
        self._record.say_where(event, used, "COUPON.USED", out_request_no=request.out_request_no)
        return used

    async def write(self, session: AsyncSession, /) -> None:
        """The tries that count, the coupons, that they were used, and what merchants are told."""
        await self._record.write(session)

    def _order(self, coupon: Coupon, request: Use) -> Transfer:
        return Transfer(
            debit=coupon_liability(),
            credit=merchant_payable(request.merchant_id),
            amount=coupon.cost,
            code=TransferCode.USE,
            reference=f"coupon/{coupon.id}/use/{life.next_use_no(coupon)}",
            occurred_at=self._at,
        )
