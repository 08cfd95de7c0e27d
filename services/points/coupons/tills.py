"""What tills ask about coupons: which they mean, whether they may know of it, and whether its code is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from services.points.coupons import queries, rules
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.life import Till
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import WrongCodeSubject
from services.points.rewards.queries import honoured
from services.points.rewards.rules import takes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Named:
    """A merchant's store means this coupon."""

    coupon_id: str
    merchant_id: UUID
    store_id: str

    @property
    def till(self) -> Till:
        """Where it is asked."""
        return Till(self.merchant_id, self.store_id)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shown(Named):
    """A coupon is shown to a merchant's store.

    `otp` are the six digits that were shown with the coupon's id, which its secret in the `vault` must have made; None
    where a code was judged before.
    """

    vault: Vault
    otp: str | None


class CouponsAtTills:
    """The coupons that one batch of requests means, locked."""

    async def read(self, session: AsyncSession, at: datetime, requests: Sequence[Named]) -> None:
        """The coupons, who honours them, and the counts of wrong codes. The caller holds the civic ledger's lock."""
        self._at = at
        self._coupons = await queries.lock_coupons(session, {request.coupon_id for request in requests})
        rewards = {coupon.reward_id for coupon in self._coupons.values()}
        self._honoured = await honoured(session, rewards, {request.merchant_id for request in requests})
        self._counted = {request: self._counted_by(request) for request in requests}
        counted = {subject for subjects in self._counted.values() for subject in subjects}
        self._counts = await queries.lock_wrong_codes(session, counted, clock.hour_of(at))

    def known(self, request: Named) -> Coupon | None:
        """The coupon that is meant, if the merchant honours it in that store, or it was used at the merchant's."""
        coupon = self._coupons.get(request.coupon_id)
        if coupon is None or coupon.used_by == request.merchant_id:
            return coupon
        return coupon if takes(self._honoured, coupon.reward_id, request.merchant_id, request.store_id) else None

    def meant(self, request: Named) -> Coupon:
        """The same. Raises CouponNotFound where there is none, and, of one that is shown, what `rules.check_code` does:
        then nothing has changed but that a try may be counted.
        """
        coupon = self.known(request)
        if isinstance(request, Shown) and request.otp is not None:
            secret = queries.open_secret(request.vault, coupon) if coupon else None
            counts = [self._counts[subject] for subject in self._counted[request]]
            rules.check_code(counts, secret, request.otp, self._at)
        if coupon is None:
            raise CouponNotFound
        return coupon

    def _counted_by(self, request: Named) -> list[tuple[WrongCodeSubject, str]]:
        """By what a wrong code is counted: the merchant, and the coupon where it is theirs to know of. Otherwise
        anybody could use up the tries of coupons that they have nothing to do with.
        """
        if not isinstance(request, Shown) or request.otp is None:
            return []
        own = [(WrongCodeSubject.COUPON, request.coupon_id)] if self.known(request) else []
        return [(WrongCodeSubject.MERCHANT, str(request.merchant_id)), *own]
