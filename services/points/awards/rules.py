"""What a fact earns, under which version of a rule, and how much of it a cap leaves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.core.beijing import BEIJING
from services.points.awards.schemas import AttendanceVerified, OrderClaimed, OrderClosed, OrderMet, ToldFact
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import Period, RuleCode, Unit


@dataclass(frozen=True, slots=True)
class Merit:
    """That a fact meets a rule, to whom it is credited, and how long it took where that counts."""

    rule: RuleCode
    person_id: UUID | None = None
    household_id: UUID | None = None
    unit_id: UUID | None = None
    community_id: UUID | None = None
    minutes: int | None = None


def merits(fact: ToldFact) -> list[Merit]:
    """The rules that a fact meets.

    Claimed in time; met on site, not by telephone; at the close the handler's base and, where the call-back
    found it solved and the resident `satisfied` (not `fairly`), 双是; and for the household of a reporter
    with an account, a report that proved real. Verified hours, for the household of who took part.
    """
    match fact:
        case OrderClaimed(in_time=True):
            return [_of_handler(RuleCode.ORDER_CLAIM, fact)]
        case OrderMet(mode="on_site"):
            return [_of_handler(RuleCode.ORDER_MEET, fact)]
        case OrderClosed():
            return _merits_of_closure(fact)
        case AttendanceVerified() if fact.minutes > 0:
            return [Merit(RuleCode.VOLUNTEER_HOUR, fact.person_id, fact.household_id, minutes=fact.minutes)]
        case _:
            return []


def _merits_of_closure(fact: OrderClosed) -> list[Merit]:
    found = [_of_handler(RuleCode.ORDER_BASE, fact)]
    if fact.solved and fact.satisfied == "satisfied":
        found.append(_of_handler(RuleCode.ORDER_DOUBLE_YES, fact))
    if fact.real and fact.reporter_household_id is not None:
        reporter, household = fact.reporter_id, fact.reporter_household_id
        found.append(Merit(RuleCode.REPORT_ACCEPTED, reporter, household, None, fact.community))
    return found


def _of_handler(rule: RuleCode, fact: OrderClaimed | OrderMet | OrderClosed) -> Merit:
    return Merit(rule, fact.handler_id, None, fact.unit_id, fact.community)


def in_force(versions: Iterable[RuleVersion], code: RuleCode, at: datetime) -> RuleVersion | None:
    """The version of a rule that was in force at a moment, or None before the first took effect."""
    effective = [version for version in versions if version.code == code and version.effective_from <= at]
    return max(effective, key=lambda version: version.effective_from, default=None)


def period_of(period: Period, at: datetime) -> tuple[datetime, datetime]:
    """The calendar period in Beijing that a moment falls in: its first moment, and the first after it."""
    day = at.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.DAY:
        return day, day + timedelta(days=1)
    month = day.replace(day=1)
    return month, (month + timedelta(days=32)).replace(day=1)


def points_due(rule: RuleVersion, merit: Merit) -> int:
    """What a version gives for this, were there no cap: for each fact, or for each hour in quarters."""
    if rule.unit is Unit.FACT:
        return rule.points
    assert merit.minutes is not None, f"{rule.code} counts hours, which its facts do not tell"
    return rule.points * merit.minutes // 60


def grant(rule: RuleVersion, due: int, used: int) -> int:
    """How many of the points due a version gives when `used` of its cap are gone: all, a part, or none."""
    if rule.cap_points is None:
        return due
    return max(0, min(due, rule.cap_points - used))
