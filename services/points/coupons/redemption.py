"""兑换: redeeming rewards, for as many households as come together, in the transaction that posts their points."""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from services.points.coupons import queries, rules
from services.points.coupons.errors import NotOfHousehold
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.households.queries import households_of
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, household_wallet
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.queries import lock_rewards
from services.points.rewards.rules import check_redeemable
from services.points.rewards.tables import Reward
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False)
class Redemption:
    """Somebody wants one coupon of a reward for their household's points. `vault` seals the coupon's secret."""

    vault: Vault
    actor: Actor
    reward_id: UUID


class Redeem:
    """The deed: a coupon for each, or nothing at all.

    Refuses with RewardNotFound, NotOfHousehold, RewardNotOffered, HouseholdLimitReached, OutOfStock,
    InsufficientPoints.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._coupons: list[Coupon] = []
        self._events: list[CouponEvent] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Redemption], /) -> Needs:
        """Whose household each acts for, the rewards (locked), how many each household has had, and free numbers."""
        self._at = at
        self._households = await households_of(session, {request.actor for request in requests})
        self._rewards = await lock_rewards(session, {request.reward_id for request in requests})
        households = {household_id for household_id in self._households.values() if household_id}
        limited = [reward.id for reward in self._rewards.values() if reward.household_limit is not None]
        self._redeemed = Counter(await queries.redeemed(session, limited, households))
        self._coupon_ids = dict(zip(requests, await _free_ids(session, len(requests)), strict=True))
        orders = [self._order(request) for request in requests]
        return needs_of([order for order in orders if order is not None])

    def decide(self, book: Book, request: Redemption, /) -> Coupon:
        """A coupon for points. What is left of the stock, and of the household's share, counts on to the next one."""
        reward = self._rewards.get(request.reward_id)
        if reward is None:
            raise RewardNotFound
        household_id = self._households[request.actor]
        order = self._order(request)
        if household_id is None or order is None:
            raise NotOfHousehold
        share = (reward.id, household_id)
        check_redeemable(reward, self._redeemed[share], self._at)
        posted = book.apply(order)
        reward.stock -= 1
        self._redeemed[share] += 1
        coupon = _issued(self._coupon_ids[request], reward, household_id, request, self._at)
        self._coupons.append(coupon)
        assert posted.transfer is not None, "a transfer was asked for"
        self._events.append(CouponEvent.of(coupon, 1, CouponEventKind.ISSUED, posted.transfer.id, coupon.issued_at))
        return coupon

    async def write(self, session: AsyncSession, /) -> None:
        """What is left of the rewards, the coupons, and that they were issued."""
        session.add_all(self._coupons)
        await session.flush()
        session.add_all(self._events)
        await session.flush()

    def _order(self, request: Redemption) -> Transfer | None:
        """The points that move, where it is known whose and how many."""
        reward, household_id = self._rewards.get(request.reward_id), self._households[request.actor]
        if reward is None or household_id is None:
            return None
        return Transfer(
            debit=household_wallet(household_id),
            credit=coupon_liability(),
            amount=reward.cost,
            code=TransferCode.REDEMPTION,
            reference=f"coupon/{self._coupon_ids[request]}/issue",
            occurred_at=self._at,
        )


async def _free_ids(session: AsyncSession, number: int) -> list[str]:
    """Numbers that no coupon has. Under the ledger's lock nobody else can take them meanwhile."""
    free: set[str] = set()
    while len(free) < number:
        drawn = {rules.random_id() for _ in range(number - len(free))}
        free |= drawn - await queries.taken_ids(session, drawn)
    return list(free)


def _issued(coupon_id: str, reward: Reward, household_id: UUID, request: Redemption, at: datetime) -> Coupon:
    secret = secrets.token_bytes(rules.SECRET_BYTES).hex()
    return Coupon(
        id=coupon_id,
        reward_id=reward.id,
        reward=reward,
        household_id=household_id,
        person_id=request.actor.id,
        cost=reward.cost,
        face_fen=reward.face_fen,
        payable_fen=reward.payable_fen,
        secret_sealed=request.vault.seal(secret, queries.secret_context(coupon_id)),
        state=CouponState.EFFECTIVE,
        issued_at=at,
        expires_at=rules.expiry(reward, at),
        used_at=None,
        used_by=None,
        mchid=None,
        store_id=None,
        use_time=None,
        use_no=None,
    )
