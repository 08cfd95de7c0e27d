"""核销: using coupons, for as many tills as come together, in the transaction that posts what merchants are owed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from services.points.coupons import queries, rules
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind, CouponState, WrongCodeSubject
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, merchant_payable
from services.points.rewards.queries import honoured
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A merchant takes a coupon. `use_time` is what the till says; what counts is our own clock.

    `otp` are the six digits that were shown with the coupon's id, which its secret in the `vault` must have made; None
    where a code was judged before.
    """

    vault: Vault
    coupon_id: str
    otp: str | None
    merchant_id: UUID
    mchid: str
    store_id: str
    use_time: datetime
    out_trade_no: str | None

    @property
    def counted_by(self) -> list[tuple[WrongCodeSubject, str]]:
        """By what a wrong code would be counted."""
        if self.otp is None:
            return []
        return [(WrongCodeSubject.MERCHANT, str(self.merchant_id)), (WrongCodeSubject.COUPON, self.coupon_id)]


class UseCoupons:
    """The deed: the coupon's points become what the merchant is owed, or nothing happens but that a try is counted.

    Refuses with TooManyWrongCodes; CouponCodeWrong (a CouponNotFound) where the code never was right or the merchant
    does not honour the coupon, CouponCodeStale; CouponNotFound, CouponUsed, CouponLocked, CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._events: list[CouponEvent] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Use], /) -> Needs:
        """The counts of wrong codes and the coupons (all locked), who honours them, and how often each was used."""
        self._at = at
        counted = {subject for request in requests for subject in request.counted_by}
        self._counts = await queries.lock_wrong_codes(session, counted, rules.hour_of(at))
        self._coupons = await queries.lock_coupons(session, {request.coupon_id for request in requests})
        rewards = {coupon.reward_id for coupon in self._coupons.values()}
        self._honoured = await honoured(session, rewards, {request.merchant_id for request in requests})
        self._events_before = await queries.events_before(session, set(self._coupons))
        known = [(self._coupon(request), request) for request in requests]
        return needs_of([self._order(coupon, request) for coupon, request in known if coupon])

    def decide(self, book: Book, request: Use, /) -> Coupon:
        """The coupon, used. Of several who want it in one batch the first gets it."""
        coupon = self._coupon(request)
        if request.otp is not None:
            secret = queries.open_secret(request.vault, coupon) if coupon else None
            counts = [self._counts[subject] for subject in request.counted_by]
            rules.check_code(counts, secret, request.otp, self._at)
        if coupon is None:
            raise CouponNotFound
        rules.check_usable(coupon, self._at)
        posted = book.apply(self._order(coupon, request))
        assert posted.transfer is not None, "a transfer was asked for"
        self._set_used(coupon, request, posted.transfer.id)
        return coupon

    async def write(self, session: AsyncSession, /) -> None:
        """The tries that count, the coupons, and that they were used."""
        session.add_all(self._events)
        await session.flush()

    def _coupon(self, request: Use) -> Coupon | None:
        """The coupon that is meant, if the merchant honours it, or it was used there."""
        coupon = self._coupons.get(request.coupon_id)
        if coupon is None:
            return None
        honoured = (coupon.reward_id, request.merchant_id) in self._honoured
        return coupon if honoured or coupon.used_by == request.merchant_id else None

    def _number(self, coupon: Coupon) -> int:
        """That of what happens to a coupon next."""
        return self._events_before[coupon.id] + 1

    def _order(self, coupon: Coupon, request: Use) -> Transfer:
        return Transfer(
            debit=coupon_liability(),
            credit=merchant_payable(request.merchant_id),
            amount=coupon.cost,
            code=TransferCode.USE,
            reference=f"coupon/{coupon.id}/use/{rules.use_no(coupon, self._number(coupon))}",
            occurred_at=self._at,
        )

    def _set_used(self, coupon: Coupon, request: Use, transfer_id: UUID) -> None:
        number, at = self._number(coupon), self._at
        coupon.state, coupon.used_at, coupon.used_by = CouponState.USED, at, request.merchant_id
        event = CouponEvent.of(coupon, number, CouponEventKind.USED, transfer_id, at)
        event.merchant_id, event.out_trade_no = request.merchant_id, request.out_trade_no
        for row in (coupon, event):
            row.mchid, row.store_id, row.use_time = request.mchid, request.store_id, request.use_time
            row.use_no = rules.use_no(coupon, number)
        self._events.append(event)
