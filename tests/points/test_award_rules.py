"""What a fact earns, decided without a database."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from chassis.core.beijing import BEIJING
from services.points.awards import rules
from services.points.awards.rules import Merit
from services.points.awards.schemas import AttendanceVerified, OrderClaimed, OrderClosed, OrderMet
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import CapScope, Period, RuleCode, Unit
from services.points.terms import LedgerName, OwnerKind

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def closed(**changes: Any) -> OrderClosed:
    fields: dict[str, Any] = {
        "order_id": uuid4(),
        "number": "BY-20260302-0001",
        "closure_id": uuid4(),
        "handler_id": uuid4(),
        "unit_id": uuid4(),
        "round": 1,
        "contacted": True,
        "solved": True,
        "satisfied": "satisfied",
        "double_yes": True,
        "why": "double_yes",
        "source": "qr",
        "reporter_id": None,
        "reporter_household_id": None,
        "real": True,
        "occurred_at": NOON,
    }
    return OrderClosed(**(fields | changes))


def met(mode: str) -> OrderMet:
    return OrderMet.model_validate(
        {
            "order_id": uuid4(),
            "meeting_id": uuid4(),
            "handler_id": uuid4(),
            "unit_id": uuid4(),
            "mode": mode,
            "occurred_at": NOON,
        }
    )


def claimed(in_time: bool) -> OrderClaimed:
    return OrderClaimed(
        order_id=uuid4(),
        claim_id=uuid4(),
        handler_id=uuid4(),
        unit_id=uuid4(),
        community=uuid4(),
        in_time=in_time,
        occurred_at=NOON,
    )


def version(
    number: int,
    effective_from: datetime,
    *,
    points: int = 2,
    unit: Unit = Unit.FACT,
    cap_points: int | None = None,
) -> RuleVersion:
    return RuleVersion(
        code=RuleCode.REPORT_ACCEPTED,
        version=number,
        ledger=LedgerName.CIVIC,
        owner_kind=OwnerKind.HOUSEHOLD,
        points=points,
        unit=unit,
        cap_points=cap_points,
        cap_period=Period.MONTH if cap_points else None,
        cap_scope=CapScope.OWNER if cap_points else None,
        effective_from=effective_from,
        approved_at=effective_from,
    )


@pytest.mark.parametrize(
    ("solved", "satisfied", "earns_twenty"),
    [
        (True, "satisfied", True),
        (True, "fairly", False),
        (True, "dissatisfied", False),
        (False, "satisfied", False),
        (None, None, False),
    ],
)
def test_only_solved_and_satisfied_is_a_double_yes(
    solved: bool | None, satisfied: str | None, earns_twenty: bool
) -> None:
    codes = [merit.rule for merit in rules.merits(closed(solved=solved, satisfied=satisfied))]
    assert codes == [RuleCode.ORDER_BASE] + [RuleCode.ORDER_DOUBLE_YES] * earns_twenty


def test_a_meeting_by_phone_or_a_late_claim_earns_nothing() -> None:
    assert rules.merits(met("phone")) == []
    assert rules.merits(claimed(in_time=False)) == []


def test_a_meeting_on_site_and_a_claim_in_time_are_credited_to_whom_they_are_due() -> None:
    meeting, claim = met("on_site"), claimed(in_time=True)
    [for_meeting], [for_claim] = rules.merits(meeting), rules.merits(claim)
    assert (for_meeting.rule, for_meeting.person_id) == (RuleCode.ORDER_MEET, meeting.handler_id)
    assert (for_claim.rule, for_claim.person_id) == (RuleCode.ORDER_CLAIM, claim.handler_id)
    assert (for_claim.unit_id, for_claim.community_id) == (claim.unit_id, claim.community)


@pytest.mark.parametrize(("real", "has_account"), [(True, False), (False, True), (False, False)])
def test_a_report_earns_nothing_unless_it_proved_real_and_its_reporter_has_an_account(
    real: bool, has_account: bool
) -> None:
    fact = closed(real=real, reporter_household_id=uuid4() if has_account else None)
    assert RuleCode.REPORT_ACCEPTED not in [merit.rule for merit in rules.merits(fact)]


def test_a_real_report_is_credited_to_the_reporters_household() -> None:
    fact = closed(reporter_id=uuid4(), reporter_household_id=uuid4())
    merit = rules.merits(fact)[-1]
    assert merit.rule is RuleCode.REPORT_ACCEPTED
    assert (merit.person_id, merit.household_id) == (fact.reporter_id, fact.reporter_household_id)


def test_a_fact_meets_the_version_in_force_when_it_happened() -> None:
    first, second = datetime(2026, 1, 1, tzinfo=BEIJING), datetime(2026, 3, 1, tzinfo=BEIJING)
    versions = [version(2, second, points=5), version(1, first)]

    def number_at(at: datetime) -> int | None:
        found = rules.in_force(versions, RuleCode.REPORT_ACCEPTED, at)
        return found.version if found else None

    assert number_at(datetime(2025, 12, 31, 23, 59, 59, tzinfo=BEIJING)) is None
    assert number_at(first) == 1
    assert number_at(datetime(2026, 2, 28, 23, 59, 59, tzinfo=BEIJING)) == 1
    assert number_at(second) == 2
    assert rules.in_force(versions, RuleCode.ORDER_BASE, second) is None


def test_a_month_is_beijings_month() -> None:
    start, end = rules.period_of(Period.MONTH, datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    assert (start, end) == (datetime(2027, 1, 1, tzinfo=BEIJING), datetime(2027, 2, 1, tzinfo=BEIJING))
    start, end = rules.period_of(Period.MONTH, datetime(2026, 12, 31, 15, 59, 59, 999999, tzinfo=UTC))
    assert (start, end) == (datetime(2026, 12, 1, tzinfo=BEIJING), datetime(2027, 1, 1, tzinfo=BEIJING))


def verified(minutes: int) -> AttendanceVerified:
    return AttendanceVerified(
        verification_id=uuid4(),
        attendance_id=uuid4(),
        activity_id=uuid4(),
        activity_title="陪老人包饺子",
        person_id=uuid4(),
        household_id=uuid4(),
        minutes=minutes,
        occurred_at=NOON,
    )


def test_verified_hours_are_credited_to_who_took_part_and_their_household() -> None:
    fact = verified(45)
    [merit] = rules.merits(fact)
    assert merit == Merit(RuleCode.VOLUNTEER_HOUR, fact.person_id, fact.household_id, None, None, 45)
    assert rules.merits(verified(0)) == []


@pytest.mark.parametrize("minutes", [-15, 1, 10, 44, 367 * 24 * 60])
def test_hours_that_are_not_whole_quarters_are_not_taken(minutes: int) -> None:
    with pytest.raises(ValidationError, match="minutes"):
        verified(minutes)


@pytest.mark.parametrize("minutes", range(0, 1455, 15))
def test_twelve_points_an_hour_are_three_a_quarter(minutes: int) -> None:
    hourly, merit = version(1, NOON, points=12, unit=Unit.HOUR), Merit(RuleCode.VOLUNTEER_HOUR, minutes=minutes)
    assert rules.points_due(hourly, merit) == minutes // 15 * 3
    assert rules.points_due(version(1, NOON, points=12), merit) == 12


def test_a_day_is_beijings_day() -> None:
    start, end = rules.period_of(Period.DAY, datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    assert (start, end) == (datetime(2027, 1, 1, tzinfo=BEIJING), datetime(2027, 1, 2, tzinfo=BEIJING))
    start, end = rules.period_of(Period.DAY, datetime(2026, 12, 31, 15, 59, 59, 999999, tzinfo=UTC))
    assert (start, end) == (datetime(2026, 12, 31, tzinfo=BEIJING), datetime(2027, 1, 1, tzinfo=BEIJING))


@pytest.mark.parametrize(("used", "granted"), [(0, 2), (8, 2), (9, 1), (10, 0), (12, 0)])
def test_a_cap_leaves_what_is_left_of_it(used: int, granted: int) -> None:
    assert rules.grant(version(1, NOON, cap_points=10), 2, used) == granted


def test_a_rule_without_a_cap_always_gives_the_whole() -> None:
    assert rules.grant(version(1, NOON), 2, 10_000) == 2
