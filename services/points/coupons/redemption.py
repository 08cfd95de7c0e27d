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
from services.points.coupons.errors import GuardianNeeded, MemberUnknown, NotOfHousehold
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.households.queries import households_of, members_of
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, household_wallet
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.queries import lock_rewards, rolls_of
from services.points.rewards.rules import (
    Standing,
    check_redeemable,
    check_to_be_had,
    may_be_had,
    period_start,
    standing_of,
    take,
)
from services.points.rewards.tables import Reward
from services.points.rewards.terms import ROLLS
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True, eq=False)
class Redemption:
    """Somebody wants one coupon of a reward for their household's points. `vault` seals the coupon's secret.

    `for_member_id` is whom in the household it is for, where that is said: a guardian redeems for a child.
    """

    vault: Vault
    actor: Actor
    reward_id: UUID
    for_member_id: UUID | None = None


class Redeem:
    """The deed: a coupon for each, or nothing at all.

    Refuses with RewardNotFound, RewardNotOffered, OutOfStock, NotOfHousehold, GuardianNeeded, MemberUnknown,
    NotEligible, HouseholdLimitReached, InsufficientPoints: in this order.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._coupons: list[Coupon] = []
        self._events: list[CouponEvent] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Redemption], /) -> Needs:
        """The rewards (locked); of those who may get one, whose household each acts for and who is in it, how many that
        has had within the reward's period, and free numbers.

        Where nothing can be had, which many may ask at once, nothing else need be read to say so.
        """
        self._at = at
        self._rewards = await lock_rewards(session, {request.reward_id for request in requests})
        hopeful = [request for request in requests if self._may_be_had(request)]
        self._households = await households_of(session, {request.actor for request in hopeful})
        households = {household_id for household_id in self._households.values() if household_id}
        self._members = await members_of(session, households)
        wanted = [self._rewards[reward_id] for reward_id in sorted({request.reward_id for request in hopeful})]
        on_rolls = any(reward.audience in ROLLS for reward in wanted)
        self._rolls = await rolls_of(session, {request.actor.id for request in hopeful} if on_rolls else ())
        since = {
            reward.id: period_start(reward.limit_period, at) for reward in wanted if reward.household_limit is not None
        }
        self._redeemed = Counter(await queries.redeemed(session, since, households))
        self._coupon_ids = dict(zip(hopeful, await _free_ids(session, len(hopeful)), strict=True))
        return needs_of([self._order(request, id_) for request in hopeful if (id_ := self._households[request.actor])])

    def decide(self, book: Book, request: Redemption, /) -> Coupon:
        """A coupon for points. What is left of the stock, and of the household's share, counts on to the next one."""
        reward = self._rewards.get(request.reward_id)
        if reward is None or reward.listed_at is None:
            raise RewardNotFound
        check_to_be_had(reward, self._at)
        household_id = self._households[request.actor]
        if household_id is None:
            raise NotOfHousehold
        share = (reward.id, household_id)
        check_redeemable(reward, self._redeemed[share], self._at, self._standing(request, household_id))
        posted = book.apply(self._order(request, household_id))
        take(reward, self._at)
        self._redeemed[share] += 1
        assert posted.transfer is not None, "a transfer was asked for"
        coupon = _issued(self._coupon_ids[request], reward, household_id, request, posted.transfer.id, self._at)
        self._coupons.append(coupon)
        self._events.append(CouponEvent.of(coupon, 1, CouponEventKind.ISSUED, posted.transfer.id, coupon.issued_at))
        return coupon

    async def write(self, session: AsyncSession, /) -> None:
        """What is left of the rewards, the coupons, and that they were issued."""
        session.add_all(self._coupons)
        await session.flush()
        session.add_all(self._events)
        await session.flush()

    def _may_be_had(self, request: Redemption) -> bool:
        reward = self._rewards.get(request.reward_id)
        return reward is not None and may_be_had(reward, self._at)

    def _standing(self, request: Redemption, household_id: UUID) -> Standing:
        """Who redeems, and whether for whom they say. Raises GuardianNeeded, MemberUnknown."""
        members = self._members.get(household_id, {})
        if request.actor.id in members and members[request.actor.id].child:
            raise GuardianNeeded
        if request.for_member_id not in (None, request.actor.id) and request.for_member_id not in members:
            raise MemberUnknown
        return standing_of(members.values(), self._rolls[request.actor.id])

    def _order(self, request: Redemption, household_id: UUID) -> Transfer:
        """The points that move."""
        return Transfer(
            debit=household_wallet(household_id),
            credit=coupon_liability(),
            amount=self._rewards[request.reward_id].cost,
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


def _issued(
    coupon_id: str, reward: Reward, household_id: UUID, request: Redemption, transfer_id: UUID, at: datetime
) -> Coupon:
    secret = secrets.token_bytes(rules.SECRET_BYTES).hex()
    return Coupon(
        id=coupon_id,
        reward_id=reward.id,
        reward=reward,
        household_id=household_id,
        person_id=request.actor.id,
        for_member_id=request.for_member_id,
        cost=reward.cost,
        face_fen=reward.face_fen,
        payable_fen=reward.payable_fen,
        refund_on_expiry=reward.refund_on_expiry,
        secret_sealed=request.vault.seal(secret, queries.secret_context(coupon_id)),
        state=CouponState.EFFECTIVE,
        issued_at=at,
        expires_at=rules.expiry(reward, at),
        happened=1,
        issue_transfer_id=transfer_id,
        locked_until=None,
        locked_by=None,
        locked_store_id=None,
        used_at=None,
        used_by=None,
        mchid=None,
        store_id=None,
        use_time=None,
        use_no=None,
        use_transfer_id=None,
    )
