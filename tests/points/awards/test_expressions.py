"""Expressions over facts: what does not fit is refused in words, and none can hold up the service."""

import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.points.awards.drafting import EARNING, faults, samples
from services.points.awards.expressions import Expression, ExpressionError, fields_of
from services.points.awards.facts import FACTS, AttendanceVerified, OrderClosed, ToldFact
from services.points.awards.tables import RuleVersion
from services.points.awards.terms import CapScope, Period
from services.points.terms import LedgerName, OwnerKind
from tests.points.facts import NOON


def hours(minutes: int = 60) -> AttendanceVerified:
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


def closed(**told: Any) -> OrderClosed:
    return OrderClosed(
        occurred_at=NOON,
        order_id=uuid4(),
        closure_id=uuid4(),
        handler_id=uuid4(),
        unit_id=uuid4(),
        real=True,
        reporter_id=None,
        reporter_household_id=None,
        **told,
    )


def gives(source: str, fact: ToldFact, kind: type = int) -> Any:
    return Expression(type(fact), source, kind).of(fact)


def test_points_are_whole_numbers_and_exact() -> None:
    assert gives("12 * minutes / 60", hours(45)) == 9
    assert gives("9007199254740993", hours()) == 9007199254740993
    assert gives("7 * minutes / 60", hours(45)) == 5, "what is left over is dropped"


def test_an_answer_that_is_known_is_that_of_an_equal_fact_and_no_other() -> None:
    expression = Expression(OrderClosed, "solved && satisfied != 'dissatisfied'", bool)
    for _ in range(2):
        for solved, satisfied, right in [
            (True, "satisfied", True),
            (True, "dissatisfied", False),
            (False, "satisfied", False),
            (True, None, True),
        ]:
            assert expression.of(closed(solved=solved, satisfied=satisfied)) is right
        with pytest.raises(ExpressionError):
            expression.of(closed(solved=None, satisfied="satisfied"))


def test_days_and_hours_are_asked_for_in_beijings_time() -> None:
    assert gives('occurred_at.getHours("Asia/Shanghai")', hours()) == 12


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("minuts > 0", "undeclared reference to 'minuts'"),
        ("minutes + 'a'", "no matching overload"),
        ("minutes * 1.5", "no matching overload"),
        ("1.5", "gives double, not a whole number"),
        ("minutes > 0", "gives bool, not a whole number"),
        ("1 +", "line 1, column 4: Syntax error"),
        ("", "Syntax error"),
        ("1" + " " * 1000, "longer than 1000"),
        ("(" * 400 + "1" + ")" * 400, "recursion"),
        ("1" + "+1" * 400, "recursion"),
        ("5u", "gives uint"),
        ("category == 'x' ? 1 : 2", "undeclared reference to 'category'"),
    ],
    ids=lambda value: value[:20].strip() if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_before_it_is_tried(source: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason.replace("(", r"\(")):
        Expression(AttendanceVerified, source, int)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / (minutes - 60)", "divide by zero"),
        ("minutes * 9223372036854775807", "overflow"),
        ("dyn(null)", "gives null"),
        ("dyn('a')", "gives string"),
    ],
)
def test_what_fails_for_a_fact_says_why(source: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        gives(source, hours())


def test_no_expression_runs_for_long() -> None:
    """There are no loops, those that slip through are cut off, and no regular expression runs away."""
    loops = "1"
    for depth in range(8):
        loops = f"[1,2,3,4,5,6,7,8,9].map(x{depth}, {loops})"
    with pytest.raises(ExpressionError, match="have no lists"):
        gives(f"size({loops})", hours())
    with pytest.raises(ExpressionError, match="budget"):
        gives(f"size({loops})".replace("map(", "map // not seen\n("), hours())
    assert gives("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a|aa)+$') ? 1 : 2", hours()) == 2


def test_a_null_result_many_times_over_does_no_harm() -> None:
    """The library miscounts references of None where its value is asked for: we never ask.

    An interpreter of its own, because whatever else a process throws away meanwhile counts too.
    """
    lost = subprocess.run([sys.executable, "-c", _NULLS], capture_output=True, text=True, timeout=60, check=True).stdout
    assert abs(int(lost)) < 1000, "of 20,000"


_NULLS = """
import gc, sys
from services.points.awards.drafting import samples
from services.points.awards.expressions import Expression, ExpressionError
from services.points.awards.facts import OrderClosed

nothing = Expression(OrderClosed, "solved", bool)
fact = next(fact for fact in samples(OrderClosed) if fact.solved is None)
gc.collect()
gc.disable()
before = sys.getrefcount(None)
for _ in range(20_000):
    try:
        nothing.of(fact)
    except ExpressionError:
        pass
print(before - sys.getrefcount(None))
"""


# Samples and drafts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EARNING.values(), ids=lambda kind: kind.type)
def test_samples_have_everything_that_a_fact_may_have_and_are_not_too_many(kind: type[ToldFact]) -> None:
    found = list(samples(kind))
    assert 8 <= len(found) <= 10_000
    for name, field in fields_of(kind).items():
        assert {getattr(fact, name) for fact in found} == set(field.values), name
        assert (None in field.values) == field.nullable


def draft(**changes: Any) -> RuleVersion:
    values: dict[str, Any] = {
        "code": "report.accepted",
        "version": 2,
        "name": "x",
        "name_zh": "x",
        "ledger": LedgerName.CIVIC,
        "owner_kind": OwnerKind.HOUSEHOLD,
        "fact_type": OrderClosed.type,
        "condition": "real && reporter_household_id != null",
        "amount": "2",
        "person_field": "reporter_id",
        "household_field": "reporter_household_id",
        "unit_field": "unit_id",
        "community_field": "community",
        "campaign_field": None,
        "cap_points": 10,
        "cap_period": Period.MONTH,
        "cap_scope": CapScope.HOUSEHOLD,
        "drafted_by": uuid4(),
        "drafted_at": NOON,
        "not_before": NOON + timedelta(days=1),
    }
    return RuleVersion(**values | changes)


def test_a_sound_draft_has_no_faults() -> None:
    assert faults(draft()) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fact_type": "orders.order_eaten.v1"}, "body.fact_type"),
        ({"fact_type": "orders.claim_released.v1"}, "body.fact_type"),
        ({"condition": "real && nothing"}, "body.condition"),
        ({"condition": "solved && reporter_household_id != null"}, "body.condition"),
        ({"condition": "'2'"}, "body.condition"),
        ({"amount": "2.0"}, "body.amount"),
        ({"amount": "-2"}, "body.amount"),
        ({"amount": "0"}, "body.amount"),
        ({"amount": "solved == null ? 1 / 0 : 2"}, "body.amount"),
        ({"amount": "satisfied == 'fairly' ? 1000001 : 2"}, "body.amount"),
        ({"amount": "size(number)"}, "body.amount"),
        ({"amount": "9223372036854775807 + 1"}, "body.amount"),
        ({"condition": "true"}, "body.credited"),
        ({"household_field": None}, "body.credited.household"),
        ({"household_field": "number"}, "body.credited.household"),
        ({"person_field": "nobody"}, "body.credited.person"),
        ({"cap_scope": CapScope.UNIT, "unit_field": None}, "body.credited.unit"),
        ({"cap_scope": CapScope.PERSON}, "body.credited"),
        ({"cap_period": Period.CAMPAIGN}, "body.cap.campaign"),
        ({"cap_period": Period.CAMPAIGN, "campaign_field": "community"}, "body.credited"),
    ],
    ids=lambda value: ", ".join(f"{k}={v}" for k, v in value.items())[:60] if isinstance(value, dict) else "",
)
def test_a_draft_that_would_fail_on_a_real_fact_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    found = faults(draft(**changes))
    assert [fault.name for fault in found][:1] == [field]
    assert found[0].reason


def test_every_fact_type_that_earns_can_be_read_from_its_samples() -> None:
    for kind in EARNING.values():
        fact = next(samples(kind))
        assert FACTS[kind.type].model_validate_json(fact.model_dump_json()).occurred_at == fact.occurred_at
