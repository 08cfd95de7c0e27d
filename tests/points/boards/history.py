"""What happens to families, handlers and their points over the years, told to the real service at random."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from chassis.core import clock
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.ledger.actions import post
from services.points.ledger.core.commands import (
    Command,
    ExpireLot,
    LapseHold,
    PostHold,
    Reserve,
    Reverse,
    Transfer,
    VoidHold,
)
from services.points.ledger.core.state import Result
from services.points.ledger.tables import Hold, Lot
from services.points.ledger.tables import Transfer as TransferRow
from services.points.ledger.terms import TransferCode, household_wallet, issuance
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family, Order, Told

START = datetime.fromisoformat("2026-01-30T10:00:00+08:00")
CIVIC = LedgerName.CIVIC


class History:
    """A few families and handlers, and a clock. Every step is one thing that may happen; some are refused."""

    def __init__(self, points: Points, seed: int, *, families: int = 6, handlers: int = 4) -> None:
        self.points = points
        self.chance = random.Random(seed)  # the seed stands in the test's name
        self.now = START
        self.families = [Family() for _ in range(families)]
        self.versions = {family.id: 1 for family in self.families}
        self.standing = [family.id for family in self.families]
        self.handlers = [(new_id(), new_id()) for _ in range(handlers)]
        self.communities = [new_id() for _ in range(2)]
        self.told: list[tuple[Order | Attendance, Told]] = []

    async def step(self) -> None:
        """The next thing happens, some time later."""
        self.now += timedelta(hours=self.chance.choice([1, 5, 30, 200, 900]))
        often = [self.attend, self.report]
        sometimes = [self.withdraw, self.spend, self.hold, self.close_hold, self.expire]
        happening = self.chance.choice([*often * 8, *sometimes * 4, *[self.give_back] * 2, self.merge])
        with clock.frozen(self.now):
            await happening()

    async def attend(self) -> None:
        """A member of any family, gone ones too, took part in something."""
        family = self.chance.choice(self.families)
        attendance = Attendance(household_id=family.id, person_id=UUID(int=family.id.int ^ 1), at=self.now)
        await self._tell(attendance, attendance.verified(self.chance.choice([15, 60, 90, 240])))

    async def report(self) -> None:
        """An order was handled from claim to close; its reporter's family may earn too."""
        handler, unit = self.chance.choice(self.handlers)
        order = Order(at=self.now, unit_id=unit, community=self.chance.choice(self.communities))
        household = self.chance.choice(self.families).id if self.chance.random() < 0.7 else None
        satisfied = self.chance.choice(["satisfied", "fairly"])
        await self._tell(order, order.claimed(handler))
        closed = order.closed(
            handler, satisfied=satisfied, reporter_id=household and new_id(), reporter_household_id=household
        )
        await self.points.tell(closed)

    async def withdraw(self) -> None:
        """Something that earned points is taken back, maybe long after it expired or was spent."""
        if not self.told:
            return
        what, fact = self.told.pop(self.chance.randrange(len(self.told)))
        await self.points.tell(what.released(fact) if isinstance(what, Order) else what.withdrawn(fact))

    async def spend(self) -> None:
        """A family spends, as far as it has something."""
        await self._try(self._spending(self.chance.choice([1, 3, 10])))

    async def give_back(self) -> None:
        """A part of something spent, or of an award, is reversed by hand."""
        codes = [TransferCode.ADJUSTMENT, TransferCode.AWARD]
        async with self.points.db.transaction() as session:
            found = (await session.scalars(select(TransferRow.id).where(TransferRow.code.in_(codes)))).all()
        if found:
            amount = self.chance.choice([1, 2, None])
            await self._try(Reverse(self.chance.choice(sorted(found)), f"test/{new_id()}", self.now, amount))

    async def hold(self) -> None:
        """A family's points are held for a while."""
        spending = self._spending(self.chance.choice([2, 6]))
        lapses = self.now + timedelta(days=self.chance.choice([2, 900]))
        parts = (spending.debit, spending.credit, spending.amount, spending.code, spending.reference)
        await self._try(Reserve(*parts, self.now, lapses))

    async def close_hold(self) -> None:
        """A hold is posted in part, voided, or lapses."""
        async with self.points.db.transaction() as session:
            holds = (await session.scalars(select(Hold.id).where(Hold.state == "open"))).all()
        if holds:
            hold = self.chance.choice(sorted(holds))
            ways: list[Command] = [
                PostHold(hold, self.now, 1),
                PostHold(hold, self.now),
                VoidHold(hold),
                LapseHold(hold),
            ]
            await self._try(self.chance.choice(ways))

    async def expire(self) -> None:
        """What is due expires, sometimes after a leap over two years."""
        if self.chance.random() < 0.2:
            self.now += timedelta(days=500)
        with clock.frozen(self.now):
            async with self.points.db.transaction() as session:
                due = (await session.scalars(select(Lot.id).where(Lot.expires_at <= self.now, Lot.free > 0))).all()
            for lot in sorted(due)[:3]:
                await self._try(ExpireLot(lot))

    async def merge(self) -> None:
        """A family joins another."""
        if len(self.standing) > 2:
            old, into = self.chance.sample(self.standing, 2)
            self.standing.remove(old)
            self.versions[old] += 1
            await self.points.tell(Family(old, at=self.now).dissolved(self.versions[old], into))

    def _spending(self, amount: int) -> Transfer:
        wallet = household_wallet(self.chance.choice(self.families).id)
        reference = f"test/{new_id()}"
        return Transfer(wallet, issuance(CIVIC), amount, TransferCode.ADJUSTMENT, reference, self.now)

    async def _try(self, command: Command) -> Result | None:
        try:
            async with self.points.db.transaction() as session:
                return await post(session, command)
        except DomainError:
            return None

    async def _tell(self, what: Order | Attendance, fact: Told) -> None:
        self.told.append((what, fact))
        await self.points.tell(fact)


async def play(points: Points, seed: int, steps: int) -> History:
    """A history of so many steps."""
    history = History(points, seed)
    for _ in range(steps):
        await history.step()
    return history


def only(items: Sequence[dict[str, object]], **fields: object) -> dict[str, object]:
    """The one of these that has these fields."""
    [item] = [item for item in items if fields.items() <= item.items()]
    return item
