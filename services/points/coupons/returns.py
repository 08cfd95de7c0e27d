"""撤销核销: undoing uses, for as many as come together, in the transaction that takes back what was owed for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.coupons import endings, life, queries
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.life import Standing
from services.points.coupons.record import Record, Words, posted
from services.points.coupons.rules import state_at
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.households.queries import households_joined
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Reverse, Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.merchants.queries import settled_before
from services.points.postings.errors import OwnPoints
from services.points.rewards.queries import honoured
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Return:
    """Somebody undoes a use: a merchant (where `store_id` is given, of that store alone), or, where `merchant_id` is
    None, staff, who say why.

    Where `use_no` is given, no other use is undone in its place.
    """

    coupon_id: str
    use_no: str | None
    merchant_id: UUID | None
    store_id: str | None = None
    out_request_no: str | None = None
    operator_id: UUID | None = None
    reason: str | None = None


class ReturnCoupons:
    """The deed: the coupon is good again, and the merchant is owed nothing for it. After its time it expires at once.

    Refuses with CouponNotFound, OwnPoints (of staff), CouponNotUsed, ReturnTooLate (of merchants, after an hour),
    UseSettled.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._record = Record()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Return], /) -> Needs:
        """The coupons (locked), who honours them, of whose household staff are, what is settled, and what of the ledger
        their uses have moved.
        """
        self._at = at
        self._coupons = await queries.lock_coupons(session, {request.coupon_id for request in requests})
        coupons = self._coupons.values()
        asking = {request.merchant_id for request in requests if request.merchant_id}
        self._honoured = await honoured(session, {coupon.reward_id for coupon in coupons}, asking)
        staff = {request.operator_id for request in requests if request.operator_id and not request.merchant_id}
        self._own = await households_joined(session, staff)
        used_by = {coupon.used_by for coupon in coupons if coupon.used_by}
        self._settled_before = await settled_before(session, used_by)
        used = [coupon for coupon in coupons if coupon.use_transfer_id]
        orders: list[Reverse | Transfer] = [self._order(coupon, None) for coupon in used]
        return needs_of(orders + [endings.expiry(coupon, at) for coupon in used if at >= coupon.expires_at])

    def decide(self, book: Book, request: Return, /) -> Standing:
        """The coupon as it stands now; what it tells of a use is that of the one that was undone."""
        coupon = self._known(request)
        life.check_returnable(coupon, request.use_no, request.merchant_id, request.store_id, self._at)
        assert coupon.used_by is not None, "it is used"
        life.check_unsettled(coupon, self._settled_before.get(coupon.used_by))
        undone = Standing.of(coupon, self._at)
        words = Words.of(request.operator_id, request.reason) if request.operator_id and request.reason else None
        transfer = posted(book.apply(self._order(coupon, words)).transfer)
        over = self._at >= coupon.expires_at
        gone = posted(book.apply(endings.expiry(coupon, self._at)).transfer) if over else None
        life.give_back(coupon)
        coupon.use_transfer_id = None
        event = self._record.add(coupon, CouponEventKind.RETURNED, transfer, by=request.operator_id, words=words)
        if gone is not None:
            life.end(coupon, CouponState.EXPIRED)
            self._record.add(coupon, CouponEventKind.EXPIRED, gone, by=None)
        stands = replace(undone, state=state_at(coupon, self._at), at=transfer.posted_at)
        self._record.say_where(event, stands, "COUPON.RETURNED", out_request_no=request.out_request_no)
        return stands

    async def write(self, session: AsyncSession, /) -> None:
        """The coupons, what happened to them and why, and what merchants are told."""
        await self._record.write(session)

    def _known(self, request: Return) -> Coupon:
        """Staff know every coupon, and see to all but their own household's; merchants know those that they honour and
        those that were used there.
        """
        coupon = self._coupons.get(request.coupon_id)
        if coupon is None:
            raise CouponNotFound
        merchant_id = request.merchant_id
        if merchant_id is None and request.operator_id and coupon.household_id in self._own[request.operator_id]:
            raise OwnPoints
        if merchant_id not in (None, coupon.used_by) and (coupon.reward_id, merchant_id) not in self._honoured:
            raise CouponNotFound
        return coupon

    def _order(self, coupon: Coupon, words: Words | None) -> Reverse:
        assert coupon.use_transfer_id is not None, "it is used"
        return Reverse(
            transfer_id=coupon.use_transfer_id,
            reference=f"coupon/{coupon.id}/return/{coupon.use_no}",
            occurred_at=self._at,
            text_hash=words.hash if words else None,
        )
