"""How coupons that nobody used end: they expire in time, or staff refund them or take them out of use."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.coupons import life, queries
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.life import Standing
from services.points.coupons.record import Record, Words, posted
from services.points.coupons.rules import is_overdue
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.households.queries import households_joined
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Reverse, Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, expired
from services.points.postings.errors import OwnPoints
from services.points.rewards.actions import put_back
from services.points.terms import LedgerName


def expiry(coupon: Coupon, at: datetime) -> Reverse | Transfer:
    """What becomes of the points of a coupon that nobody used in time: what was promised when it was issued."""
    return points_back(coupon, "expiry", at) if coupon.refund_on_expiry else points_gone(coupon, "expiry", at)


def points_back(coupon: Coupon, why: str, at: datetime, text_hash: bytes | None = None) -> Reverse:
    """Its points go back to the household, with the expiry that they had."""
    return Reverse(
        transfer_id=coupon.issue_transfer_id,
        reference=f"coupon/{coupon.id}/{why}",
        occurred_at=at,
        text_hash=text_hash,
    )


def points_gone(coupon: Coupon, why: str, at: datetime, text_hash: bytes | None = None) -> Transfer:
    """Nobody gets its points."""
    return Transfer(
        debit=coupon_liability(),
        credit=expired(LedgerName.CIVIC),
        amount=coupon.cost,
        code=TransferCode.EXPIRY,
        reference=f"coupon/{coupon.id}/{why}",
        occurred_at=at,
        text_hash=text_hash,
    )


class ExpireCoupons:
    """The deed: coupons, by their ids, that nobody used in time are done with. Says of each whether it was due."""

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._record = Record()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[str], /) -> Needs:
        """The coupons (locked), and what their issue took from whom."""
        self._at = at
        self._coupons = await queries.lock_coupons(session, set(requests))
        return needs_of([expiry(coupon, at) for coupon in self._coupons.values()])

    def decide(self, book: Book, request: str, /) -> bool:
        """Whether it expired just now; what is not due is left as it is."""
        coupon = self._coupons.get(request)
        if coupon is None or not is_overdue(coupon, self._at):
            return False
        transfer = posted(book.apply(expiry(coupon, self._at)).transfer)
        life.end(coupon, CouponState.EXPIRED)
        self._record.add(coupon, CouponEventKind.EXPIRED, transfer, by=None)
        return True

    async def write(self, session: AsyncSession, /) -> None:
        """The coupons, and that they expired."""
        await self._record.write(session)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ending:
    """Staff end a coupon that nobody has used, and say why."""

    coupon_id: str
    operator_id: UUID
    reason: str


class RefundCoupons:
    """The deed: the points go back to the household, and the piece to the reward's stock.

    Refuses with CouponNotFound, OwnPoints, CouponUsed, CouponLocked, CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._record = Record()
        self._pieces: dict[UUID, int] = {}

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Ending], /) -> Needs:
        """The coupons (locked), and what their issue took from whom; of whose household staff are."""
        self._at = at
        self._coupons = await queries.lock_coupons(session, {request.coupon_id for request in requests})
        self._own = await households_joined(session, {request.operator_id for request in requests})
        return needs_of([points_back(coupon, "refund", at) for coupon in self._coupons.values()])

    def decide(self, book: Book, request: Ending, /) -> Standing:
        """The coupon, refunded."""
        coupon = _open(self._coupons, self._own, request, self._at)
        words = Words.of(request.operator_id, request.reason)
        transfer = posted(book.apply(points_back(coupon, "refund", self._at, words.hash)).transfer)
        life.end(coupon, CouponState.REFUNDED)
        self._record.add(coupon, CouponEventKind.REFUNDED, transfer, by=request.operator_id, words=words)
        self._pieces[coupon.reward_id] = self._pieces.get(coupon.reward_id, 0) + 1
        return Standing.of(coupon, transfer.posted_at)

    async def write(self, session: AsyncSession, /) -> None:
        """The coupons, that and why they were refunded, and what is left of the rewards."""
        await self._record.write(session)
        await put_back(session, self._pieces)


class DeactivateCoupons:
    """The deed: a coupon is taken out of use, and nobody gets its points.

    Refuses with CouponNotFound, OwnPoints, CouponUsed, CouponLocked, CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._record = Record()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Ending], /) -> Needs:
        """The coupons (locked), and of whose household staff are."""
        self._at = at
        self._coupons = await queries.lock_coupons(session, {request.coupon_id for request in requests})
        self._own = await households_joined(session, {request.operator_id for request in requests})
        return needs_of([points_gone(coupon, "deactivation", at) for coupon in self._coupons.values()])

    def decide(self, book: Book, request: Ending, /) -> Standing:
        """The coupon, out of use."""
        coupon = _open(self._coupons, self._own, request, self._at)
        words = Words.of(request.operator_id, request.reason)
        transfer = posted(book.apply(points_gone(coupon, "deactivation", self._at, words.hash)).transfer)
        life.end(coupon, CouponState.DEACTIVATED)
        self._record.add(coupon, CouponEventKind.DEACTIVATED, transfer, by=request.operator_id, words=words)
        return Standing.of(coupon, transfer.posted_at)

    async def write(self, session: AsyncSession, /) -> None:
        """The coupons, and that and why they were taken out of use."""
        await self._record.write(session)


def _open(coupons: Mapping[str, Coupon], own: Mapping[UUID, Collection[UUID]], request: Ending, at: datetime) -> Coupon:
    coupon = coupons.get(request.coupon_id)
    if coupon is None:
        raise CouponNotFound
    if coupon.household_id in own[request.operator_id]:
        raise OwnPoints
    life.check_usable(coupon, at)
    return coupon
