"""A shop window and a till: rewards, households with points, and coupons shown to merchants."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.db import Database
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.coupons import actions, rules
from services.points.coupons.queries import open_secret
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.coupons.use import Use, UseCoupons
from services.points.households.tables import Household as HouseholdRow
from services.points.households.tables import Member as MemberRow
from services.points.ledger import actions as ledger
from services.points.ledger.core.commands import Transfer
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.terms import (
    AccountKey,
    TransferCode,
    coupon_liability,
    household_wallet,
    issuance,
    merchant_payable,
)
from services.points.rewards.actions import record_reward
from services.points.rewards.tables import Reward
from services.points.rewards.terms import RewardKind
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.town import actor

T = TypeVar("T")


@dataclass(frozen=True)
class Household:
    """A household and one of its members, who is signed in."""

    id: UUID = field(default_factory=new_id)
    person_id: UUID = field(default_factory=new_id)

    @property
    def actor(self) -> Actor:
        return actor("resident", id=self.person_id, household_id=self.id)


class Honouring(Protocol):
    """Whoever honours coupons under an id."""

    @property
    def id(self) -> UUID:
        """The merchant's."""


@dataclass(frozen=True)
class Merchant:
    """A merchant with one till."""

    id: UUID = field(default_factory=new_id)

    @property
    def mchid(self) -> str:
        return f"{self.id.int % 10**10:010d}"


class Shop:
    """Rewards of a running points service, and the merchants that honour them."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.db: Database = points.db
        self.vault = points.town.runtime("points").vault

    async def reward(self, merchant: Honouring | None = None, *, id: UUID | None = None, **changes: Any) -> UUID:  # noqa: A002
        """A reward that costs twelve points, on offer now, honoured by one merchant."""
        values: dict[str, Any] = {
            "title": "理发券",
            "description": "凭券理发一次。",
            "kind": RewardKind.SERVICE,
            "cost": 12,
            "face_fen": 2000,
            "payable_fen": 1500,
            "stock": 100,
            "household_limit": None,
            "valid_days": 30,
            "starts_at": datetime(2026, 1, 1, tzinfo=UTC),
            "ends_at": datetime(2036, 1, 1, tzinfo=UTC),
            "merchant_ids": [merchant.id] if merchant else [],
        }
        async with self.db.transaction() as session:
            return (await record_reward(session, id or new_id(), **(values | changes))).id

    async def household(self, points: int = 0) -> Household:
        """A household that holds so many points."""
        [household] = await self.households(1, points)
        return household

    async def households(self, number: int, points: int) -> list[Household]:
        """So many households of one grown-up, as identity has told of them, each with so many points."""
        households = [Household() for _ in range(number)]
        await self.know(*households)
        given = [
            Transfer(
                debit=issuance(LedgerName.CIVIC),
                credit=household_wallet(household.id),
                amount=points,
                code=TransferCode.AWARD,
                reference=f"given/{household.id}",
                occurred_at=clock.now(),
                rule=("volunteer.hour", 1),
            )
            for household in (households if points else [])
        ]
        if given:
            async with self.db.transaction() as session:
                results = await ledger.carry_out(session, ledger.Posting([LedgerName.CIVIC]), given)
            assert not [result for result in results if isinstance(result, DomainError)]
        return households

    async def know(self, *members: Household) -> None:
        """As if identity had told that these are grown-up members of their households; what it tells counts from 1."""
        async with self.db.transaction() as session:
            known = insert(HouseholdRow).on_conflict_do_nothing()
            await session.execute(known, [{"id": member.id, "version": 0} for member in members])
            grown_up = {"child": False, "consented": False}
            rows = [{"household_id": member.id, "person_id": member.person_id} | grown_up for member in members]
            await session.execute(insert(MemberRow), rows)

    async def redeem(self, household: Household, reward_id: UUID, *, key: str | None = None) -> httpx2.Response:
        """What is answered to a member who redeems a reward."""
        async with self.points.client(household.actor) as client:
            return await client.post(
                f"/api/points/rewards/{reward_id}/redeem", headers={"Idempotency-Key": key or str(new_id())}
            )

    async def coupon(self, household: Household, reward_id: UUID) -> dict[str, Any]:
        """A coupon as it is answered to whoever redeemed it."""
        answer = await self.redeem(household, reward_id)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def show(self, household: Household, coupon_id: str) -> httpx2.Response:
        """What a member is shown of a coupon."""
        async with self.points.client(household.actor) as client:
            return await client.get(f"/api/points/coupons/{coupon_id}")

    async def coupons(self, household: Household, **params: Any) -> list[dict[str, Any]]:
        """The first page of a household's coupons."""
        async with self.points.client(household.actor) as client:
            answer = await client.get("/api/points/coupons", params={"owner": "me"} | params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def judge(self, merchant: Merchant, code: str) -> str:
        """The id of the coupon whose code a merchant is shown. A refusal is concluded as the web layer does it."""
        return await self._act(lambda session: self._judge(session, merchant, code))

    async def use(self, merchant: Merchant, code: str) -> str:
        """Use a coupon by its code; the number of the use."""
        coupon_id, otp = rules.read_code(code)
        return await self.use_known(merchant, coupon_id, otp=otp)

    async def use_known(self, merchant: Merchant, coupon_id: str, *, otp: str | None = None) -> str:
        """Use a coupon that was judged before (by a token, say), or is by these digits."""
        use = Use(
            vault=self.vault,
            coupon_id=coupon_id,
            otp=otp,
            merchant_id=merchant.id,
            mchid=merchant.mchid,
            store_id="store-1",
            use_time=clock.now(),
            out_trade_no="T1",
        )
        return str((await self.points.town.apps["points"].state.writer.submit(UseCoupons, use)).use_no)

    async def _judge(self, session: AsyncSession, merchant: Merchant, code: str) -> str:
        return (await actions.judge_code(session, self.vault, code, merchant.id, clock.now())).id

    async def _act(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async with self.db.sessions() as session:
            try:
                result = await work(session)
            except DomainError as error:
                if error.keeps_changes:
                    await self.db.commit(session)
                raise
            await self.db.commit(session)
            return result

    async def secret(self, coupon_id: str) -> bytes:
        """What the codes of a coupon come from."""
        async with self.db.transaction() as session:
            return open_secret(self.vault, await session.get_one(Coupon, coupon_id))

    async def wrong(self, coupon_id: str, count: int = 1) -> list[str]:
        """So many codes of a coupon that it has not around now: one drawn at random might be one of those."""
        secret, at = await self.secret(coupon_id), clock.now()
        shown = {rules.code(coupon_id, secret, at + step * timedelta(seconds=30)) for step in range(-30, 30)}
        numbered = (f"{coupon_id}{number:06d}" for number in range(len(shown) + count))
        return [code for code in numbered if code not in shown][:count]

    async def stock(self, reward_id: UUID) -> int:
        """What is left of a reward."""
        async with self.db.transaction() as session:
            return (await session.get_one(Reward, reward_id)).stock

    async def balance(self, household: Household) -> int:
        """What a household holds."""
        return (await self.balances([household]))[household.id]

    async def balances(self, households: Sequence[Household]) -> dict[UUID, int]:
        """What households hold."""
        wallets = {household_wallet(household.id).id: household.id for household in households}
        async with self.db.transaction() as session:
            accounts = await accounts_by_id(session, wallets)
        return dict.fromkeys(wallets.values(), 0) | {wallets[id_]: account.balance for id_, account in accounts.items()}

    async def payable(self, merchant: Honouring) -> int:
        """What a merchant is owed, in points."""
        return await self._balance(merchant_payable(merchant.id))

    async def _balance(self, key: AccountKey) -> int:
        async with self.db.transaction() as session:
            return sum(account.balance for account in (await accounts_by_id(session, [key.id])).values())

    async def check(self) -> None:
        """The ledgers hold, and what is owed for coupons is what the open ones cost."""
        await self.points.check()
        async with self.db.transaction() as session:
            cost = await session.scalar(select(func.sum(Coupon.cost)).where(Coupon.state == CouponState.EFFECTIVE))
        assert await self._balance(coupon_liability()) == int(cost or 0)


@pytest.fixture
def shop(points: Points) -> Shop:
    """The service that tests share: each has households, merchants and rewards of its own."""
    return Shop(points)


async def all_of(*attempts: Awaitable[T]) -> list[T | DomainError]:
    """Let them run at once; what each gave or was refused with."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, DomainError):
            raise result
    return [result for result in results if not isinstance(result, BaseException) or isinstance(result, DomainError)]


def code_of(answer: httpx2.Response) -> str:
    """The code of a refusal."""
    return str(answer.json()["code"])
