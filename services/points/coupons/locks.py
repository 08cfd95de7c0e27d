"""锁定 and 解锁: keeping coupons for a till while it works. Nothing is posted; a lock lapses by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.coupons import life
from services.points.coupons.life import LOCK_LASTS, Standing
from services.points.coupons.tills import CouponsAtTills, Named, Shown
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lock(Shown):
    """A till wants a coupon kept for it, for fifteen minutes at most."""

    lasts: timedelta = LOCK_LASTS


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unlock(Named):
    """A till does not need a coupon any more that it has locked."""


class LockCoupons:
    """The deed: until the lock lapses, the coupon can be used or unlocked at this merchant's store alone.

    Refuses with TooManyWrongCodes; CouponCodeWrong (a CouponNotFound), CouponCodeStale; CouponNotFound, CouponUsed,
    CouponLocked (whoever has it: a lock is not lengthened), CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)
    """Behind its lock, nobody else can use what is locked here."""

    def __init__(self) -> None:
        self._tills = CouponsAtTills()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Lock], /) -> Needs:
        """The coupons (locked), who honours them, and the counts of wrong codes; nothing of the ledger."""
        self._at = at
        await self._tills.read(session, at, requests)
        return Needs()

    def decide(self, book: Book, request: Lock, /) -> Standing:
        """The coupon, locked until `locked_until`."""
        coupon = self._tills.meant(request)
        life.lock(coupon, request.till, self._at, request.lasts)
        return Standing.of(coupon, self._at)

    async def write(self, session: AsyncSession, /) -> None:
        """The tries that count, and the locks."""
        await session.flush()


class UnlockCoupons:
    """The deed: what the till has locked can be used anywhere again. What nobody has locked stays as it is.

    Refuses with CouponNotFound, CouponUsed, CouponLocked (by another till), CouponExpired.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._tills = CouponsAtTills()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Unlock], /) -> Needs:
        """The coupons (locked) and who honours them; nothing of the ledger."""
        self._at = at
        await self._tills.read(session, at, requests)
        return Needs()

    def decide(self, book: Book, request: Unlock, /) -> Standing:
        """The coupon, locked by nobody."""
        coupon = self._tills.meant(request)
        life.unlock(coupon, request.till, self._at)
        return Standing.of(coupon, self._at)

    async def write(self, session: AsyncSession, /) -> None:
        """The locks that are gone."""
        await session.flush()
