"""Rules as they are shown, drafted and tried."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from chassis.core.schema import In, Out, Text
from services.points.awards.expressions import MAX_LENGTH
from services.points.awards.rules import MAX_AWARD
from services.points.awards.tables import RuleApproval, RuleVersion
from services.points.awards.terms import CapScope, Period, RuleState
from services.points.terms import LedgerName, OwnerKind

RuleCode = Annotated[
    str, StringConstraints(strict=True, max_length=60, pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")
]
FieldName = Annotated[str, StringConstraints(strict=True, max_length=60, pattern="^[a-z][a-z0-9_]*$")]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
CelText = Annotated[str, Text(MAX_LENGTH)]


class CreditedIn(In):
    """The fields of the fact that name whom an award is credited to. The owner's of the wallet is needed."""

    person: FieldName | None = None
    household: FieldName | None = None
    unit: FieldName | None = None
    community: FieldName | None = None


class CapIn(In):
    """At most `points` in a period, for each `scope` that awards are credited to.

    Days, months and years are of Beijing, by when the facts happened. A campaign is what the field `campaign` names.
    """

    points: int = Field(strict=True, ge=1, le=MAX_AWARD)
    period: Period
    scope: CapScope
    campaign: FieldName | None = None


class RuleDraft(In):
    """规则草案: a rule's next version, or the first of a new one.

    `condition` (true or false) and `amount` (points, a whole number) are CEL over the fields of `fact_type`.
    Without `not_before` it takes effect as soon as it is approved.
    """

    code: RuleCode
    name: Annotated[str, Text(100)]
    name_zh: Annotated[str, Text(100)]
    ledger: LedgerName
    owner_kind: Literal["person", "household"]
    fact_type: Annotated[str, StringConstraints(strict=True, max_length=100)]
    condition: CelText
    amount: CelText
    credited: CreditedIn
    cap: CapIn | None = None
    not_before: AwareDatetime | None = None

    def version(self, number: int, drafted_by: UUID, at: datetime) -> RuleVersion:
        """The version that it drafts."""
        cap = self.cap
        return RuleVersion(
            code=self.code,
            version=number,
            name=self.name,
            name_zh=self.name_zh,
            ledger=self.ledger,
            owner_kind=OwnerKind(self.owner_kind),
            fact_type=self.fact_type,
            condition=self.condition,
            amount=self.amount,
            person_field=self.credited.person,
            household_field=self.credited.household,
            unit_field=self.credited.unit,
            community_field=self.credited.community,
            campaign_field=cap.campaign if cap else None,
            cap_points=cap.points if cap else None,
            cap_period=cap.period if cap else None,
            cap_scope=cap.scope if cap else None,
            drafted_by=drafted_by,
            drafted_at=at,
            not_before=self.not_before,
        )


class SimulationIn(In):
    """A draft and the days (Beijing) of whose facts it is tried on: without them, those of the last month."""

    rule: RuleDraft
    first_day: Day | None = None
    last_day: Day | None = None


class CreditedOut(Out):
    """The fields of the fact that name whom an award is credited to."""

    person: str | None
    household: str | None
    unit: str | None
    community: str | None


class CapOut(Out):
    """At most `points` in a calendar period of Beijing time, by when the facts happened, or in the `campaign` that a
    field of that name tells.

    It counts for each person, household or unit (`scope`) to whom awards are credited.
    """

    points: int
    period: Period
    scope: CapScope
    campaign: str | None


class RuleOut(Out):
    """One version of a rule: what it asks of which facts, what it gives, into whose wallet of which ledger, and when.

    `condition` and `amount` are CEL over the fields of `fact_type`. It is in force from `effective_from` until
    `effective_until`, where a later one is approved. Who drafted and approved it is null for those that came with the
    system.
    """

    code: str
    version: int
    name: str
    name_zh: str
    ledger: LedgerName
    owner_kind: OwnerKind
    fact_type: str
    condition: str
    amount: str
    credited: CreditedOut
    cap: CapOut | None
    state: RuleState
    drafted_by: UUID | None
    drafted_at: datetime
    not_before: datetime | None
    approved_by: UUID | None
    approved_at: datetime | None
    effective_from: datetime | None
    effective_until: datetime | None

    @classmethod
    def of(cls, rule: RuleVersion, approval: RuleApproval | None, until: datetime | None, at: datetime) -> Self:
        """The version as it is shown at a moment; `until` is when the next one takes effect."""
        return cls(
            code=rule.code,
            version=rule.version,
            name=rule.name,
            name_zh=rule.name_zh,
            ledger=rule.ledger,
            owner_kind=rule.owner_kind,
            fact_type=rule.fact_type,
            condition=rule.condition,
            amount=rule.amount,
            credited=CreditedOut(
                person=rule.person_field,
                household=rule.household_field,
                unit=rule.unit_field,
                community=rule.community_field,
            ),
            cap=_cap(rule),
            state=_state(approval, until, at),
            drafted_by=rule.drafted_by,
            drafted_at=rule.drafted_at,
            not_before=rule.not_before,
            approved_by=approval.approved_by if approval else None,
            approved_at=approval.approved_at if approval else None,
            effective_from=approval.effective_from if approval else None,
            effective_until=until,
        )


def _cap(rule: RuleVersion) -> CapOut | None:
    if rule.cap_points is None or rule.cap_period is None or rule.cap_scope is None:
        return None
    return CapOut(points=rule.cap_points, period=rule.cap_period, scope=rule.cap_scope, campaign=rule.campaign_field)


def _state(approval: RuleApproval | None, until: datetime | None, at: datetime) -> RuleState:
    if approval is None:
        return RuleState.DRAFT
    if approval.effective_from > at:
        return RuleState.SCHEDULED
    return RuleState.IN_FORCE if until is None or until > at else RuleState.ENDED


class TotalsOut(Out):
    """Awards for the facts of the period: how many, their points, to how many owners, and what caps kept back."""

    awards: int
    points: int
    owners: int
    withheld: int


class DifferenceOut(Out):
    """A person or household that would have got other than they got, in points."""

    owner_id: UUID
    would: int
    did: int


class SimulationOut(Out):
    """What a draft would have given for the facts of a period, against what was given for them under its code.

    Caps begin empty, and facts that were withdrawn do not count. `differing` owners differ, of whom `differences` has
    those that differ most. `failures` are facts for which an expression gave no answer. `complete` is false where there
    were more than `facts` facts, and the rest was not looked at.
    """

    first_day: date
    last_day: date
    facts: int
    complete: bool
    failures: int
    would: TotalsOut
    did: TotalsOut
    differing: int
    differences: list[DifferenceOut]
