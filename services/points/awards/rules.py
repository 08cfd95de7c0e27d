"""What a fact earns, under which version of a rule, and whose cap it counts in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from chassis.core.beijing import day_of
from services.points.awards.expressions import ExpressionError, amount, condition
from services.points.awards.facts import ToldFact
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import CapScope, Period
from services.points.ledger.core.commands import CapKey
from services.points.ledger.terms import AccountKey
from services.points.terms import LedgerName, OwnerKind

MAX_AWARD = 1_000_000
"""More points than any one fact can be worth: an amount above it is a mistake."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A version of a rule, as `RuleVersion` has it: what deciding takes of it."""

    code: str
    version: int
    ledger: LedgerName
    owner_kind: OwnerKind
    fact_type: str
    condition: str
    amount: str
    person_field: str | None
    household_field: str | None
    unit_field: str | None
    community_field: str | None
    campaign_field: str | None
    cap_points: int | None
    cap_period: Period | None
    cap_scope: CapScope | None

    @classmethod
    def of(cls, version: RuleVersion) -> "Rule":
        """The rule of a version."""
        return cls(*[getattr(version, field.name) for field in fields(cls)])


@dataclass(frozen=True, slots=True)
class Merit:
    """That a fact meets a version of a rule: what is due for it, to whom it is credited, and in whose cap it counts."""

    rule: Rule
    due: int
    wallet: AccountKey
    person_id: UUID | None
    household_id: UUID | None
    unit_id: UUID | None
    community_id: UUID | None
    cap: tuple[CapKey, int] | None


@dataclass(frozen=True, slots=True)
class Approved:
    """A version of a rule that was approved: for facts that happen from `effective_from`, and are accepted after
    `after_position`.
    """

    rule: Rule
    effective_from: datetime
    after_position: int


Failed = Callable[[Rule, str], None]


class Rulebook:
    """All approved versions of some rules."""

    def __init__(self, versions: Iterable[Approved]) -> None:
        self._by_code: dict[str, list[Approved]] = {}
        for version in sorted(versions, key=lambda version: version.effective_from, reverse=True):
            self._by_code.setdefault(version.rule.code, []).append(version)
        self._by_type: dict[str, list[str]] = {}
        for code in sorted(self._by_code):
            for fact_type in {version.rule.fact_type for version in self._by_code[code]}:
                self._by_type.setdefault(fact_type, []).append(code)

    @property
    def ledgers(self) -> set[LedgerName]:
        """Those that its rules pay into."""
        return {version.rule.ledger for versions in self._by_code.values() for version in versions}

    @property
    def approved_after(self) -> set[int]:
        """After which facts' acceptance a version was approved."""
        return {version.after_position for versions in self._by_code.values() for version in versions}

    def ledger_of(self, code: str) -> LedgerName | None:
        """The ledger that a rule pays into, which is that of its first version for ever."""
        versions = self._by_code.get(code)
        return versions[0].rule.ledger if versions else None

    def merits(self, fact: ToldFact, failed: Failed, *, position: int | None = None) -> list[Merit]:
        """What the fact earns under the versions in force when it happened, in the order of the rules' codes.

        Of those that were approved before the fact of this position was accepted; of all there are, without one.
        A version that gives no answer for the fact gives nothing, and `failed` is told why.
        """
        found = []
        for code in self._by_type.get(fact.type, ()):
            rule = in_force(self._by_code[code], fact.occurred_at, position)
            if rule is not None and rule.fact_type == fact.type:
                try:
                    if merit := meet(rule, fact):
                        found.append(merit)
                except ExpressionError as error:
                    failed(rule, str(error))
        return found


def in_force(versions: Iterable[Approved], at: datetime, position: int | None = None) -> Rule | None:
    """Of a rule's versions, the latest to take effect first, the one in force at a moment; None before the first."""
    for version in versions:
        if version.effective_from <= at and (position is None or version.after_position < position):
            return version.rule
    return None


def meet(rule: Rule, fact: ToldFact) -> Merit | None:
    """What a version gives for a fact of its type; None where that does not meet its condition, or gives nothing.

    Raises ExpressionError where the fact makes an expression fail, gives less than nothing or more than MAX_AWARD, or
    does not name whom it must.
    """
    if not condition(type(fact), rule.condition).of(fact):
        return None
    due = amount(type(fact), rule.amount).of(fact)
    if due == 0:
        return None
    if not 0 < due <= MAX_AWARD:
        raise ExpressionError(f"gives {due} points")
    person, household = _told(fact, rule.person_field), _told(fact, rule.household_field)
    owner = household if rule.owner_kind is OwnerKind.HOUSEHOLD else person
    if owner is None:
        raise ExpressionError(f"there is no {rule.owner_kind} to whom it could be paid")
    unit = _told(fact, rule.unit_field)
    return Merit(
        rule=rule,
        due=due,
        wallet=AccountKey(rule.ledger, rule.owner_kind, owner),
        person_id=person,
        household_id=household,
        unit_id=unit,
        community_id=_told(fact, rule.community_field),
        cap=_cap(rule, fact, {"person": person, "household": household, "unit": unit}),
    )


def _told(fact: ToldFact, field: str | None) -> UUID | None:
    return getattr(fact, field) if field is not None else None


def _cap(rule: Rule, fact: ToldFact, credited: dict[str, UUID | None]) -> tuple[CapKey, int] | None:
    if rule.cap_points is None or rule.cap_period is None or rule.cap_scope is None:
        return None
    holder = credited[rule.cap_scope]
    if holder is None:
        raise ExpressionError(f"there is no {rule.cap_scope} for whom its cap could count")
    period = period_of(rule.cap_period, fact.occurred_at, _told(fact, rule.campaign_field))
    return CapKey(rule.code, rule.cap_scope.value, holder, period), rule.cap_points


def period_of(period: Period, at: datetime, campaign: UUID | None = None) -> str:
    """What a cap's period is called: `2026-11-23`, `2026-11`, `2026` (days of Beijing), or `campaign/<id>`."""
    match period:
        case Period.CAMPAIGN:
            if campaign is None:
                raise ExpressionError("there is no campaign in which its cap could count")
            return f"campaign/{campaign}"
        case Period.DAY:
            return day_of(at).isoformat()
        case Period.MONTH:
            return day_of(at).isoformat()[:7]
        case Period.YEAR:
            return day_of(at).isoformat()[:4]
