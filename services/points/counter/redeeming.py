"""柜台核销: uses and returns by people at counters, as many as come together, by the same deeds as the tills'.

Whether they still work there is looked at in the transaction that posts: who was revoked does nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from services.points.counter import queries
from services.points.counter.errors import MerchantSuspended, NotAtThisCounter, OwnCoupon
from services.points.counter.terms import Counter, Place
from services.points.coupons.errors import CouponCodeStale
from services.points.coupons.life import Standing
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.coupons.use import Use, UseCoupons
from services.points.households.queries import households_joined
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs


@dataclass(frozen=True, slots=True, eq=False)
class CounterUse:
    """Somebody redeems a coupon at a counter: by the digits that were shown with its id, or by a token."""

    place: Place
    vault: Vault
    coupon_id: str
    otp: str | None
    token_expires_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class CounterReturn:
    """Somebody undoes a use that was made at their store."""

    place: Place
    coupon_id: str
    use_no: str


class _Counters:
    """Who of a batch stands where, and whose coupons they mean."""

    async def read(self, session: AsyncSession, requests: Sequence[CounterUse | CounterReturn]) -> None:
        """Look both up; nobody is revoked from here on until the transaction ends."""
        self._found = await queries.counters_at(session, {request.place for request in requests}, lock=True)
        coupons = {request.coupon_id for request in requests}
        self._households = await queries.households_of_coupons(session, coupons)
        self._joined = await households_joined(session, {request.place.person_id for request in requests})

    def found(self, request: CounterUse | CounterReturn) -> Counter | None:
        """The counter where somebody stands, if they may."""
        return self._found.get(request.place)

    def check(self, request: CounterUse | CounterReturn) -> None:
        """Raises NotAtThisCounter, MerchantSuspended, OwnCoupon."""
        counter = self.found(request)
        if counter is None:
            raise NotAtThisCounter
        if counter.suspended:
            raise MerchantSuspended
        own = {request.place.household_id, *self._joined[request.place.person_id]} - {None}  # a token may be old
        if self._households.get(request.coupon_id) in own:
            raise OwnCoupon


class CounterUses:
    """The deed: coupons used by people at counters.

    Refuses with NotAtThisCounter, MerchantSuspended, OwnCoupon, CouponCodeStale (of a token), and as UseCoupons does.
    """

    ledgers = UseCoupons.ledgers

    def __init__(self) -> None:
        self._coupons, self._counters = UseCoupons(), _Counters()
        self._uses: dict[CounterUse, Use] = {}

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[CounterUse], /) -> Needs:
        """Who stands where, and what the uses of those who may need."""
        self._at = at
        await self._counters.read(session, requests)
        for request in requests:
            counter = self._counters.found(request)
            if counter is not None:
                self._uses[request] = _use(request, counter, at)
        return await self._coupons.prepare(session, at, list(self._uses.values()))

    def decide(self, book: Book, request: CounterUse, /) -> Standing:
        """The coupon, used."""
        self._counters.check(request)
        if request.token_expires_at is not None and request.token_expires_at <= self._at:
            raise CouponCodeStale
        return self._coupons.decide(book, self._uses[request])

    async def write(self, session: AsyncSession, /) -> None:
        """What was decided of the coupons."""
        await self._coupons.write(session)


class CounterReturns:
    """The deed: uses undone by people at the counter where they were made, within an hour.

    Refuses with NotAtThisCounter, MerchantSuspended, OwnCoupon, and as ReturnCoupons does.
    """

    ledgers = ReturnCoupons.ledgers

    def __init__(self) -> None:
        self._coupons, self._counters = ReturnCoupons(), _Counters()
        self._returns: dict[CounterReturn, Return] = {}

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[CounterReturn], /) -> Needs:
        """Who stands where, and what the returns of those who may need."""
        await self._counters.read(session, requests)
        self._returns = {request: _return(request) for request in requests if self._counters.found(request)}
        return await self._coupons.prepare(session, at, list(self._returns.values()))

    def decide(self, book: Book, request: CounterReturn, /) -> Standing:
        """The coupon as it stands now."""
        self._counters.check(request)
        return self._coupons.decide(book, self._returns[request])

    async def write(self, session: AsyncSession, /) -> None:
        """What was decided of the coupons."""
        await self._coupons.write(session)


def _use(request: CounterUse, counter: Counter, at: datetime) -> Use:
    return Use(
        vault=request.vault,
        coupon_id=request.coupon_id,
        otp=request.otp,
        merchant_id=counter.merchant_id,
        mchid=counter.mchid,
        store_id=counter.store_id,
        use_time=at,
        out_trade_no=None,
        operator_id=request.place.person_id,
    )


def _return(request: CounterReturn) -> Return:
    return Return(
        coupon_id=request.coupon_id,
        use_no=request.use_no,
        merchant_id=request.place.merchant_id,
        store_id=request.place.store_id,
        operator_id=request.place.person_id,
    )
