"""What a fact earns: the rules that came with the system, and how versions, periods and credit are found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from chassis.core.beijing import BEIJING
from services.points.awards import queries, rules
from services.points.awards.drafting import EARNING, samples
from services.points.awards.expressions import ExpressionError
from services.points.awards.facts import AttendanceVerified, OrderClaimed, OrderClosed, OrderMet, ToldFact
from services.points.awards.rules import Approved, Merit, Rule, Rulebook
from services.points.awards.terms import CapScope, Period
from services.points.ledger.core.commands import CapKey
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points

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


REPORT = Rule(
    code="report.accepted",
    version=1,
    ledger=LedgerName.CIVIC,
    owner_kind=OwnerKind.HOUSEHOLD,
    fact_type=OrderClosed.type,
    condition="real && reporter_household_id != null",
    amount="2",
    person_field="reporter_id",
    household_field="reporter_household_id",
    unit_field="unit_id",
    community_field="community",
    campaign_field=None,
    cap_points=10,
    cap_period=Period.MONTH,
    cap_scope=CapScope.HOUSEHOLD,
)


@pytest.fixture(scope="module")
async def seeded(points: Points) -> Rulebook:
    """The rules that came with the system."""
    async with points.db.transaction() as session:
        return await queries.rulebook(session)


def merits(book: Rulebook, fact: ToldFact) -> list[Merit]:
    def failed(rule: Rule, reason: str) -> None:
        raise AssertionError(f"{rule.code}: {reason}")

    return book.merits(fact, failed)


def promised(fact: ToldFact) -> dict[str, tuple[int, UUID | None, UUID | None, UUID | None, UUID | None]]:
    """What the rules promise, in plain words of Python: points, person, household, unit, community."""
    match fact:
        case OrderClaimed(in_time=True):
            return {"order.claim": (2, fact.handler_id, None, fact.unit_id, fact.community)}
        case OrderMet(mode="on_site"):
            return {"order.meet": (3, fact.handler_id, None, fact.unit_id, fact.community)}
        case OrderClosed():
            found: dict[str, Any] = {"order.base": (10, fact.handler_id, None, fact.unit_id, fact.community)}
            if fact.solved and fact.satisfied == "satisfied":
                found["order.double_yes"] = (20, *found["order.base"][1:])
            if fact.real and fact.reporter_household_id is not None:
                found["report.accepted"] = (2, fact.reporter_id, fact.reporter_household_id, None, fact.community)
            return found
        case AttendanceVerified() if fact.minutes > 0:
            return {"volunteer.hour": (12 * fact.minutes // 60, fact.person_id, fact.household_id, None, None)}
    return {}


@pytest.mark.parametrize("kind", EARNING.values(), ids=lambda kind: kind.type)
def test_the_expressions_give_every_fact_what_the_rules_promise(seeded: Rulebook, kind: type[ToldFact]) -> None:
    compared = 0
    for fact in samples(kind):
        given = {
            merit.rule.code: (merit.due, merit.person_id, merit.household_id, merit.unit_id, merit.community_id)
            for merit in merits(seeded, fact)
        }
        assert given == promised(fact), fact
        compared += 1
    assert compared >= 8


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
    seeded: Rulebook, solved: bool | None, satisfied: str | None, earns_twenty: bool
) -> None:
    codes = [merit.rule.code for merit in merits(seeded, closed(solved=solved, satisfied=satisfied))]
    assert codes == ["order.base"] + ["order.double_yes"] * earns_twenty


def test_a_meeting_by_phone_or_a_late_claim_earns_nothing(seeded: Rulebook) -> None:
    assert merits(seeded, met("phone")) == []
    assert merits(seeded, claimed(in_time=False)) == []


def test_caps_are_as_they_were(seeded: Rulebook) -> None:
    fact = closed(reporter_id=uuid4(), reporter_household_id=uuid4())
    [report] = [merit.cap for merit in merits(seeded, fact) if merit.cap]
    assert fact.reporter_household_id is not None
    assert report == (CapKey("report.accepted", "household", fact.reporter_household_id, "2026-03"), 10)
    hours = verified(60)
    [merit] = merits(seeded, hours)
    assert merit.cap == (CapKey("volunteer.hour", "person", hours.person_id, "2026-03-02"), 48)


@pytest.mark.parametrize("minutes", [-15, 1, 10, 44, 367 * 24 * 60])
def test_hours_that_are_not_whole_quarters_are_not_taken(minutes: int) -> None:
    with pytest.raises(ValidationError, match="minutes"):
        verified(minutes)


@pytest.mark.parametrize("minutes", range(0, 1455, 15))
def test_twelve_points_an_hour_are_three_a_quarter(seeded: Rulebook, minutes: int) -> None:
    assert [merit.due for merit in merits(seeded, verified(minutes))] == [minutes // 15 * 3] * (minutes > 0)


# Versions -------------------------------------------------------------------------------------------------------------


def test_a_fact_meets_the_version_in_force_when_it_happened() -> None:
    first, second = datetime(2026, 1, 1, tzinfo=BEIJING), datetime(2026, 3, 1, tzinfo=BEIJING)
    book = Rulebook([Approved(REPORT, first, 0), Approved(replace(REPORT, version=2, amount="5"), second, 0)])

    def due_at(at: datetime) -> list[int]:
        fact = closed(reporter_id=uuid4(), reporter_household_id=uuid4(), occurred_at=at)
        return [merit.due for merit in merits(book, fact)]

    assert due_at(first - timedelta(microseconds=1)) == []
    assert due_at(first) == [2]
    assert due_at(second - timedelta(microseconds=1)) == [2]
    assert due_at(second) == [5]


def test_a_version_that_asks_for_another_fact_ends_the_one_before() -> None:
    change = NOON + timedelta(hours=1)
    other = replace(REPORT, version=2, fact_type=OrderMet.type, condition="true", household_field=None)
    book = Rulebook([Approved(REPORT, NOON, 0), Approved(other, change, 0)])
    before = closed(reporter_id=uuid4(), reporter_household_id=uuid4(), occurred_at=NOON)
    after = closed(reporter_id=uuid4(), reporter_household_id=uuid4(), occurred_at=change)
    assert len(merits(book, before)) == 1
    assert merits(book, after) == []


def test_a_replay_does_not_know_what_was_approved_later() -> None:
    earlier = NOON - timedelta(days=1)
    book = Rulebook([Approved(REPORT, earlier, 0), Approved(replace(REPORT, version=2, amount="5"), NOON, 7)])
    fact = closed(reporter_id=uuid4(), reporter_household_id=uuid4())
    assert [merit.due for merit in book.merits(fact, lambda *_: None, position=7)] == [2]
    assert [merit.due for merit in book.merits(fact, lambda *_: None, position=8)] == [5]


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "2 / (solved ? 0 : 1)"},
        {"amount": "-2"},
        {"amount": "1000001"},
        {"condition": "solved == null ? true : number > 'x'"},
        {"household_field": "community"},
        {"cap_scope": CapScope.PERSON},
    ],
    ids=["divides by nothing", "less than nothing", "huge", "no number", "nobody to pay", "nobody whose cap"],
)
def test_a_rule_that_fails_on_a_fact_gives_nothing_and_says_why(change: dict[str, Any]) -> None:
    told: list[str] = []
    fact = closed(reporter_id=None, reporter_household_id=uuid4(), number=None, community=None)
    found = Rulebook([Approved(replace(REPORT, **change), NOON, 0)]).merits(fact, lambda _, why: told.append(why))
    assert (found, len(told)) == ([], 1)


# Periods --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "day", "month", "year"),
    [
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "2027-01-01", "2027-01", "2027"),
        (datetime(2026, 12, 31, 15, 59, 59, 999999, tzinfo=UTC), "2026-12-31", "2026-12", "2026"),
    ],
    ids=["new year in Beijing", "just before"],
)
def test_periods_are_beijings(at: datetime, day: str, month: str, year: str) -> None:
    periods = [rules.period_of(period, at) for period in (Period.DAY, Period.MONTH, Period.YEAR)]
    assert periods == [day, month, year]


def test_a_campaigns_cap_needs_a_campaign() -> None:
    assert rules.period_of(Period.CAMPAIGN, NOON, UUID(int=5)) == f"campaign/{UUID(int=5)}"
    with pytest.raises(ExpressionError):
        rules.period_of(Period.CAMPAIGN, NOON)
