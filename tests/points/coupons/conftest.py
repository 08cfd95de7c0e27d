"""All that tills, staff and time do to coupons, asked of a running points service."""

from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.coupons import jobs, rules
from services.points.coupons.endings import DeactivateCoupons, Ending, RefundCoupons
from services.points.coupons.life import Standing
from services.points.coupons.locks import Lock, LockCoupons, Unlock, UnlockCoupons
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.coupons.tables import CouponEvent
from services.points.coupons.use import Use, UseCoupons
from services.points.ledger.batches import DeedOf
from services.points.ledger.terms import coupon_liability, expired
from services.points.ledger.writer import Writer
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.rewards.conftest import Household, Merchant, Shop

Request = TypeVar("Request")
Answer = TypeVar("Answer")

STAFF = new_id()


@dataclass(frozen=True)
class Till:
    """One of a merchant's stores."""

    merchant: Merchant = field(default_factory=Merchant)
    store_id: str = "store-1"

    def beside(self) -> "Till":
        """Another store of the same merchant."""
        return Till(self.merchant, "store-2")

    def means(self, coupon_id: str) -> dict[str, Any]:
        """The words by which it names a coupon."""
        return {"coupon_id": coupon_id, "merchant_id": self.merchant.id, "store_id": self.store_id}


class Desk(Shop):
    """The shop, and everything that may be done to a coupon besides redeeming it."""

    @property
    def writer(self) -> Writer:
        """The running service's."""
        writer: Writer = self.points.town.apps["points"].state.writer
        return writer

    async def ask(self, deed: DeedOf[Request, Answer], request: Request) -> Answer:
        """Have one thing done."""
        return await self.writer.submit(deed, request)

    async def take(self, till: Till, coupon_id: str, *, otp: str | None = None, **changes: Any) -> Standing:
        """A till uses a coupon that was judged before, or is by these digits."""
        return await self.ask(UseCoupons, self.use_of(till, coupon_id, otp=otp, **changes))

    def use_of(self, till: Till, coupon_id: str, *, otp: str | None = None, **changes: Any) -> Use:
        """What a till asks for to use a coupon."""
        asked: dict[str, Any] = {
            **till.means(coupon_id),
            "vault": self.vault,
            "otp": otp,
            "mchid": till.merchant.mchid,
            "use_time": clock.now(),
            "out_trade_no": None,
        }
        return Use(**asked | changes)

    async def lock(self, till: Till, coupon_id: str, *, otp: str | None = None, **changes: Any) -> Standing:
        """A till has a coupon kept for it."""
        return await self.ask(LockCoupons, Lock(vault=self.vault, otp=otp, **till.means(coupon_id), **changes))

    async def unlock(self, till: Till, coupon_id: str) -> Standing:
        """A till frees a coupon."""
        return await self.ask(UnlockCoupons, Unlock(**till.means(coupon_id)))

    async def give_back(self, till: Till | None, coupon_id: str, use_no: str | None = None, **more: Any) -> Standing:
        """A merchant undoes a use, or, where there is no till, staff do."""
        by: dict[str, Any] = {"merchant_id": till.merchant.id if till else None}
        if till is None:
            by |= {"operator_id": STAFF, "reason": "买错了"}
        return await self.ask(ReturnCoupons, Return(coupon_id=coupon_id, use_no=use_no, **by | more))

    async def refund(self, coupon_id: str) -> Standing:
        """Staff give a household its points back."""
        return await self.ask(RefundCoupons, Ending(coupon_id=coupon_id, operator_id=STAFF, reason="商家停业"))

    async def deactivate(self, coupon_id: str) -> Standing:
        """Staff take a coupon out of use."""
        return await self.ask(DeactivateCoupons, Ending(coupon_id=coupon_id, operator_id=STAFF, reason="盗用"))

    async def expire(self) -> int:
        """The job runs now; how many coupons expired."""
        return await jobs.expire(self.points.town.runtime("points"), clock.now())

    async def digits(self, coupon_id: str) -> str:
        """The six digits that are shown with a coupon now."""
        return rules.read_code(rules.code(coupon_id, await self.secret(coupon_id), clock.now()))[1]

    async def events(self, coupon_id: str) -> list[CouponEvent]:
        """What happened to a coupon, in order."""
        async with self.db.transaction() as session:
            events = select(CouponEvent).where(CouponEvent.coupon_id == coupon_id).order_by(CouponEvent.number)
            return list(await session.scalars(events))

    async def liability(self) -> int:
        """What all open coupons stand for."""
        return await self._balance(coupon_liability())

    async def lost(self) -> int:
        """What nobody spent in time, coupons included."""
        return await self._balance(expired(LedgerName.CIVIC))

    async def issued(self, till: Till, **changes: Any) -> tuple[Household, str]:
        """A household without points that has a coupon, and its id. The till's merchant honours it."""
        family = await self.household(12)
        coupon = await self.coupon(family, await self.reward(till.merchant, **changes))
        return family, str(coupon["id"])


@pytest.fixture
def desk(points: Points) -> Desk:
    """The service that a module's tests share: each has households, merchants and rewards of its own."""
    return Desk(points)


@pytest.fixture
def till() -> Till:
    """Where coupons are shown."""
    return Till()


def person() -> UUID:
    """Somebody at a counter."""
    return new_id()
