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
from services.points.coupons.errors import GuardianNeeded, HouseholdNotKnownYet, MemberUnknown, NotOfHousehold
from services.points.coupons.issuing import IssuedCoupon, write_issued
from services.points.households.queries import members_of, standing_households
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, coupon_liability, household_wallet
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.queries import lock_rewards, rolls_of
from services.points.rewards.rules import (
    Redeemer,
    check_redeemable,
    check_to_be_had,
    may_be_had,
    period_start,
    redeemer_of,
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

    Refuses with RewardNotFound, RewardNotOffered, OutOfStock, NotOfHousehold, HouseholdNotKnownYet, GuardianNeeded,
    MemberUnknown, NotEligible, HouseholdLimitReached, InsufficientPoints: in this order.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._coupons: list[IssuedCoupon] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Redemption], /) -> Needs:
        """The rewards (locked); of those who may get one, whose household each acts for and who is in it, how many that
        has had within the reward's period, and free numbers.

        Where nothing can be had, which many may ask at once, nothing else need be read to say so.
        """
        self._at = at
        self._rewards = await lock_rewards(session, {request.reward_id for request in requests})
        hopeful = [request for request in requests if self._may_be_had(request)]
        named = {request.actor.household_id for request in hopeful if request.actor.household_id}
        self._standing = await standing_households(session, named)
        self._members = await members_of(session, set(self._standing.values()))
        wanted = [self._rewards[reward_id] for reward_id in sorted({request.reward_id for request in hopeful})]
        on_rolls = any(reward.audience in ROLLS for reward in wanted)
        self._rolls = await rolls_of(session, {request.actor.id for request in hopeful} if on_rolls else ())
        since = {
            reward.id: period_start(reward.limit_period, at) for reward in wanted if reward.household_limit is not None
        }
        self._redeemed = Counter(await queries.redeemed(session, since, self._members))
        self._good_until = {reward.id: rules.expiry(reward, at) for reward in wanted}
        self._coupon_ids = dict(zip(hopeful, await _free_ids(session, len(hopeful)), strict=True))
        self._orders = {request: self._order(request) for request in hopeful if request.actor.household_id}
        return needs_of(self._orders.values())

    def decide(self, book: Book, request: Redemption, /) -> IssuedCoupon:
        """A coupon for points. What is left of the stock, and of the household's share, counts on to the next one."""
        reward = self._rewards.get(request.reward_id)
        if reward is None or reward.listed_at is None:
            raise RewardNotFound
        check_to_be_had(reward, self._at)
        household_id, redeemer = self._redeemer(request)
        share = (reward.id, household_id)
        check_redeemable(reward, self._redeemed[share], redeemer)
        posted = book.apply(self._orders[request])
        take(reward, self._at)
        self._redeemed[share] += 1
        assert posted.transfer is not None, "a transfer was asked for"
        coupon = self._issued(request, reward, household_id, posted.transfer.id)
        self._coupons.append(coupon)
        return coupon

    async def write(self, session: AsyncSession, /) -> None:
        """What is left of the rewards, the coupons, and that they were issued."""
        await session.flush()
        await write_issued(session, self._coupons)

    def _may_be_had(self, request: Redemption) -> bool:
        reward = self._rewards.get(request.reward_id)
        return reward is not None and may_be_had(reward, self._at)

    def _household(self, request: Redemption) -> UUID | None:
        """The household that they may act for: their token's, or the one that it joined since."""
        return self._standing[request.actor.household_id] if request.actor.household_id else None

    def _redeemer(self, request: Redemption) -> tuple[UUID, Redeemer]:
        """For which household somebody redeems, and what is known of them. A child is known from identity alone, so who
        is not known spends nothing. Raises NotOfHousehold, HouseholdNotKnownYet, GuardianNeeded, MemberUnknown.
        """
        household_id = self._household(request)
        if household_id is None:
            raise NotOfHousehold
        members = self._members.get(household_id)
        if members is None:
            raise HouseholdNotKnownYet
        if request.actor.id not in members:
            raise NotOfHousehold
        if members[request.actor.id]:
            raise GuardianNeeded
        if request.for_member_id is not None and request.for_member_id not in members:
            raise MemberUnknown
        return household_id, redeemer_of(members, self._rolls[request.actor.id])

    def _order(self, request: Redemption) -> Transfer:
        """The points that move."""
        household_id = self._household(request)
        assert household_id is not None, "nobody spends whose household is not named"
        return Transfer(
            debit=household_wallet(household_id),
            credit=coupon_liability(),
            amount=self._rewards[request.reward_id].cost,
            code=TransferCode.REDEMPTION,
            reference=f"coupon/{self._coupon_ids[request]}/issue",
            occurred_at=self._at,
        )

    def _issued(self, request: Redemption, reward: Reward, household_id: UUID, transfer_id: UUID) -> IssuedCoupon:
        coupon_id, secret = self._coupon_ids[request], secrets.token_bytes(rules.SECRET_BYTES)
        return IssuedCoupon(
            id=coupon_id,
            reward=reward,
            household_id=household_id,
            person_id=request.actor.id,
            for_member_id=request.for_member_id,
            secret=secret,
            secret_sealed=request.vault.seal(secret.hex(), queries.secret_context(coupon_id)),
            issued_at=self._at,
            expires_at=self._good_until[reward.id],
            issue_transfer_id=transfer_id,
        )


async def _free_ids(session: AsyncSession, number: int) -> list[str]:
    """Numbers that no coupon has. Under the ledger's lock nobody else can take them meanwhile."""
    free: set[str] = set()
    while len(free) < number:
        drawn = {rules.random_id() for _ in range(number - len(free))}
        free |= drawn - await queries.taken_ids(session, drawn)
    return list(free)
