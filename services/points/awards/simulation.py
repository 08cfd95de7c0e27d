"""Trying a draft on stored facts: who would have got what. It reads in parts and keeps no more than sums."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from heapq import nlargest
from itertools import islice
from uuid import UUID

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.errors import FieldError
from services.points.awards import queries
from services.points.awards.drafting import EARNING, faults
from services.points.awards.errors import RuleFaulty
from services.points.awards.expressions import ExpressionError
from services.points.awards.rules import Merit, Rule, meet
from services.points.awards.schemas import DifferenceOut, SimulationIn, SimulationOut, TotalsOut
from services.points.awards.tables import Award, Fact, RuleVersion
from services.points.ledger.core.commands import CapKey
from services.points.terms import OwnerKind

log = structlog.get_logger(__name__)

MOST_DAYS = 92
MOST_FACTS = 100_000
MOST_DIFFERENCES = 100


@dataclass(slots=True)
class Totals:
    """Points by owner, and what they come to."""

    awards: int = 0
    withheld: int = 0
    points: defaultdict[UUID, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, owner_id: UUID, due: int, points: int) -> None:
        """One more award."""
        self.awards += 1
        self.withheld += due - points
        self.points[owner_id] += points

    def shown(self) -> TotalsOut:
        """As they are shown."""
        return TotalsOut(
            awards=self.awards, points=sum(self.points.values()), owners=len(self.points), withheld=self.withheld
        )


async def simulate(session: AsyncSession, actor: Actor, asked: SimulationIn) -> SimulationOut:
    """Run a draft over the facts of a period in the order of their acceptance; nothing is written.

    Raises RuleFaulty where it could not be drafted, or the period is none or too long.
    """
    rule = asked.rule.version(1, actor.id, clock.now())
    first, last = _days(asked, clock.today())
    if found := [*_period_faults(first, last), *_within_rule(faults(rule))]:
        raise RuleFaulty(fields=found)
    trial = _Trial(rule)
    start, end = _start(first), _start(last + timedelta(days=1))
    async for row in queries.facts_of_period(session, rule, start, end, limit=MOST_FACTS + 1):
        if trial.facts == MOST_FACTS:
            return trial.shown(first, last, complete=False)
        trial.take(row)
    return trial.shown(first, last, complete=True)


def _days(asked: SimulationIn, today: date) -> tuple[date, date]:
    """Those asked for; without them, those of the last month."""
    end = today.replace(day=1) - timedelta(days=1)
    last = asked.last_day or (asked.first_day + timedelta(days=30) if asked.first_day else end)
    return asked.first_day or last.replace(day=1), last


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), BEIJING)


def _period_faults(first: date, last: date) -> list[FieldError]:
    if first > last:
        return [FieldError("body.last_day", "is before the first day")]
    if (last - first).days >= MOST_DAYS:
        return [FieldError("body.last_day", f"is too late: at most {MOST_DAYS} days are tried at once")]
    return []


def _within_rule(found: list[FieldError]) -> list[FieldError]:
    return [FieldError(fault.name.replace("body.", "body.rule.", 1), fault.reason) for fault in found]


class _Trial:
    """What a draft gives, fact by fact."""

    def __init__(self, rule: RuleVersion) -> None:
        self.facts = 0
        self._rule = Rule.of(rule)
        self._would, self._did = Totals(), Totals()
        self._failures = 0
        self._awarded: set[UUID] = set()
        self._used: dict[CapKey, int] = {}

    def take(self, row: Row[Fact, Award | None]) -> None:
        record, award = row[0], row[1]
        self.facts += 1
        if award is not None:
            owner_id = award.household_id if self._rule.owner_kind is OwnerKind.HOUSEHOLD else award.person_id
            self._did.add(owner_id or award.account_id, award.points_due, award.points)
        if record.subject_id in self._awarded:
            return
        try:
            merit = meet(self._rule, EARNING[record.type].model_validate(record.data))
        except ExpressionError:
            self._failures += 1
            return
        if merit is not None:
            self._awarded.add(record.subject_id)
            self._would.add(merit.wallet.owner_id, merit.due, self._granted(merit))

    def _granted(self, merit: Merit) -> int:
        if merit.cap is None:
            return merit.due
        key, limit = merit.cap
        granted = max(0, min(merit.due, limit - self._used.get(key, 0)))
        self._used[key] = self._used.get(key, 0) + granted
        return granted

    def shown(self, first: date, last: date, *, complete: bool) -> SimulationOut:
        would, did = self._would.points, self._did.points
        owners = {*would, *did}
        differing = [
            DifferenceOut(owner_id=owner, would=would.get(owner, 0), did=did.get(owner, 0))
            for owner in owners
            if would.get(owner, 0) != did.get(owner, 0)
        ]
        most = nlargest(MOST_DIFFERENCES, differing, key=lambda one: (abs(one.would - one.did), str(one.owner_id)))
        return SimulationOut(
            first_day=first,
            last_day=last,
            facts=self.facts,
            complete=complete,
            failures=self._failures,
            would=self._would.shown(),
            did=self._did.shown(),
            differing=len(differing),
            differences=list(islice(most, MOST_DIFFERENCES)),
        )
