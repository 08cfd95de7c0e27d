"""Merchants whose coupons were used, their managers, and those who settle with them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx2
import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.coupons.life import Standing
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.terms import AccountKey
from services.points.merchants.actions import record_merchant
from services.points.settlement import actions, jobs, queries
from services.points.settlement.bills import DailyBill, daily_bill
from services.points.settlement.rules import confirms_at, next_month
from services.points.statements.terms import Range
from tests.points.conftest import Points
from tests.points.rewards.conftest import Household, Merchant, Shop
from tests.town import actor

BASE = "/api/points/settlement"


@dataclass(frozen=True)
class Partner(Merchant):
    """A merchant on record, and its manager."""

    person_id: UUID = field(default_factory=new_id)

    @property
    def manager(self) -> Actor:
        return actor("merchant", id=self.person_id, organisation_id=self.id)


class Office:
    """Settlement of a running points service. Its time only goes on: a ledger's never runs backwards."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.db = points.db
        self.shop = Shop(points)
        self.clerk = actor("administrator")
        self.second = actor("administrator")

    async def partner(self, name: str = "麦垛面包房") -> Partner:
        """A merchant with one store."""
        partner = Partner()
        async with self.db.transaction() as session:
            await record_merchant(session, partner.id, mchid=partner.mchid, name=name, stores={"store-1": "总店"})
        return partner

    async def family(self, partner: Partner, coupons: int, **reward: Any) -> tuple[Household, list[str]]:
        """A household with so many coupons of a merchant's, good for a year."""
        reward_id = await self.shop.reward(partner, valid_days=400, **reward)
        family = await self.shop.household(12 * coupons)
        return family, [(await self.shop.coupon(family, reward_id))["id"] for _ in range(coupons)]

    async def used(self, partner: Partner, when: date, number: int = 1) -> list[str]:
        """So many coupons, used at noon of a day."""
        with at_noon(when):
            _, coupon_ids = await self.family(partner, number)
            for coupon_id in coupon_ids:
                await self.shop.use_known(partner, coupon_id)
        return coupon_ids

    async def balance(self, key: AccountKey) -> int:
        """What an account has."""
        async with self.db.transaction() as session:
            return sum(account.balance for account in (await accounts_by_id(session, [key.id])).values())

    async def give_back(self, coupon_id: str, **changes: Any) -> Standing:
        """Staff take a use back, at any time before it is settled."""
        usual: dict[str, Any] = {"use_no": None, "merchant_id": None, "operator_id": self.clerk.id, "reason": "退货"}
        asked = Return(coupon_id=coupon_id, **(usual | changes))
        given: Standing = await self.points.town.apps["points"].state.writer.submit(ReturnCoupons, asked)
        return given

    async def bill(self, partner: Merchant, day: date) -> DailyBill:
        """A merchant's bill of a day."""
        async with self.db.transaction() as session:
            return await daily_bill(session, partner.id, day)

    async def draw_up(self, partner: Partner, month: date) -> str:
        """Draw up the statement of a month and those before it, of this merchant alone; its id."""
        async with self.db.transaction() as session:
            awaited = {one.merchant.id: one for one in await queries.awaited_statements(session)}[partner.id]
        number = awaited.number
        for each in months(awaited.month, month):
            end = await self.db.retrying(partial(actions.close_month, month=each))
            await self.db.retrying(
                partial(
                    actions.draw_up,
                    merchant=awaited.merchant,
                    month=each,
                    numbers=Range(number, end),
                    at=tenth_hour(next_month(each)),
                )
            )
            number = end
        return str((await self.statements(partner, month=f"{month:%Y-%m}"))[0]["id"])

    async def confirm_due(self, at: datetime) -> None:
        """What is due by then is confirmed."""
        with clock.frozen(at):
            await jobs.confirm(self.db, at)

    async def confirmed(self, partner: Partner, month: date) -> str:
        """Draw up a month, and let its five days pass; its id."""
        statement_id = await self.draw_up(partner, month)
        await self.confirm_due(confirms_at(tenth_hour(next_month(month))))
        return statement_id

    async def ask(self, who: Actor, method: str, path: str, **asked: Any) -> httpx2.Response:
        """What somebody is answered."""
        async with self.points.client(who) as client:
            return await client.request(method, f"{BASE}{path}", **asked)

    async def told(self, who: Actor, method: str, path: str, **asked: Any) -> dict[str, Any]:
        """The same; it must succeed."""
        answer = await self.ask(who, method, path, **asked)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    async def statements(self, partner: Partner, **filters: Any) -> list[dict[str, Any]]:
        """The merchant's statements as its manager sees them."""
        return list((await self.told(partner.manager, "GET", "/statements", params=filters))["items"])

    async def statement(self, statement_id: str, who: Actor | None = None) -> dict[str, Any]:
        """A statement as staff see it, or somebody else."""
        return await self.told(who or self.clerk, "GET", f"/statements/{statement_id}")

    async def pay(
        self, statement_id: str, amount_fen: int, reference: str | None = None, **how: Any
    ) -> httpx2.Response:
        """Record that a month was paid."""
        headers = {"Idempotency-Key": str(how.pop("key", new_id()))}
        body = {"amount_fen": amount_fen, "bank_reference": reference}
        return await self.ask(
            how.pop("who", self.clerk), "POST", f"/statements/{statement_id}/pay", json=body, headers=headers
        )

    async def file(self, who: Actor, statement_id: str, ending: str) -> bytes:
        """A statement as a file."""
        answer = await self.ask(who, "GET", f"/statements/{statement_id}/statement.{ending}")
        assert answer.status_code == 200, answer.text
        return answer.content


def months(first: date, last: date) -> Iterator[date]:
    """The first days of the months from one to another."""
    while first <= last:
        yield first
        first = next_month(first)


def tenth_hour(day: date) -> datetime:
    """Ten o'clock in Beijing."""
    return datetime.combine(day, time(10), BEIJING)


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), BEIJING)


@contextmanager
def at_noon(day: date) -> Iterator[None]:
    with clock.frozen(noon(day)):
        yield


@pytest.fixture
def office(points: Points) -> Office:
    """The service that a module's tests share: each has merchants of its own, and months after those of the others."""
    return Office(points)


@pytest.fixture(scope="module")
def quarters() -> Iterator[int]:
    """A module's tests share a database, and go through its time one after another."""
    return itertools.count()


@pytest.fixture
def month(quarters: Iterator[int]) -> date:
    """The first day of a month after which nothing was posted yet. The next two are the test's, too."""
    number = 3 * next(quarters)
    return date(2029 + number // 12, number % 12 + 1, 1)


def day(month: date, number: int) -> date:
    return month + timedelta(days=number - 1)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    """The status and code of a refusal."""
    return answer.status_code, str(answer.json()["code"])
