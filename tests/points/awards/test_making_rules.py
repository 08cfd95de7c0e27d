"""One administrator drafts a rule, another approves it, and the past stays as it was."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from tests.points.awards.conftest import APPROVER, DRAFTER, HOURS, MEET, Rules, differences
from tests.points.conftest import Points
from tests.points.facts import NOON, Attendance, Order
from tests.town import actor

TICK = timedelta(microseconds=1)


async def met(points: Points, at: datetime) -> int:
    """What a handler got for a meeting at a moment."""
    handler = new_id()
    await points.tell(Order(at=at).met(handler))
    return await points.balance(handler)


async def test_a_draft_changes_nothing_until_another_administrator_approves_it(
    own_points: Points, rules: Rules
) -> None:
    with clock.frozen(NOON):
        drafted = await rules.draft(MEET)
    assert (drafted["version"], drafted["state"], drafted["effective_from"]) == (2, "draft", None)
    assert drafted["drafted_by"] == str(DRAFTER.id)
    assert await met(own_points, NOON + TICK) == 3
    own = await rules.post(DRAFTER, "/order.meet/versions/2/approve")
    assert (own.status_code, own.json()["code"]) == (403, "second_person_needed")
    with clock.frozen(NOON + timedelta(hours=1)):
        approved = await rules.approve(drafted)
    assert (approved["state"], approved["approved_by"]) == ("in_force", str(APPROVER.id))
    assert datetime.fromisoformat(approved["effective_from"]) == NOON + timedelta(hours=1)
    assert await met(own_points, NOON + timedelta(hours=1)) == 5
    assert await met(own_points, NOON + timedelta(hours=1) - TICK) == 3, "whatever happened before keeps its version"
    assert differences(own_points) == []


async def test_versions_change_over_at_the_very_moment(own_points: Points, rules: Rules) -> None:
    change = NOON + timedelta(days=3)
    made = await rules.make(MEET | {"not_before": change.isoformat()}, NOON)
    assert (made["state"], datetime.fromisoformat(made["effective_from"])) == ("scheduled", change)
    assert [await met(own_points, at) for at in (change - TICK, change, change + TICK)] == [3, 5, 5]
    with clock.frozen(change):
        first, second = [rule for rule in await rules.listed(DRAFTER) if rule["code"] == "order.meet"]
    assert (first["state"], second["state"]) == ("ended", "in_force")
    assert first["effective_until"] == second["effective_from"]
    assert differences(own_points) == []


async def test_no_version_takes_effect_before_its_approval_whatever_its_draft_wished(
    own_points: Points, rules: Rules
) -> None:
    made = await rules.make(MEET | {"not_before": (NOON - timedelta(days=9)).isoformat()}, NOON)
    assert datetime.fromisoformat(made["effective_from"]) == NOON
    assert await met(own_points, NOON - TICK) == 3


async def test_a_change_of_a_rule_never_changes_the_past(own_points: Points, rules: Rules) -> None:
    handler, order, attendance = new_id(), Order(), Attendance()
    verified = attendance.verified(60)
    await own_points.tell(order.met(handler), verified)
    await rules.make(MEET, NOON + timedelta(hours=1))
    await rules.make(HOURS | {"amount": "20 * minutes / 60"}, NOON + timedelta(hours=1))
    assert await own_points.balance(handler) == 3
    await own_points.tell(attendance.withdrawn(verified), attendance.verified(30))
    assert await own_points.household_balance(attendance.household_id) == 6, "a correction of an old fact too"
    assert differences(own_points) == []


async def test_a_new_rule_may_be_made_and_ended(own_points: Points, rules: Rules) -> None:
    cold = HOURS | {"code": "volunteer.night", "amount": "3", "cap": None}
    cold["condition"] = 'minutes >= 60 && occurred_at.getHours("Asia/Shanghai") >= 20'
    await rules.make(cold, NOON)
    night, noon = NOON + timedelta(hours=8), NOON + timedelta(hours=1)
    told = [Attendance(at=at).verified(60) for at in (night, noon)]
    await own_points.tell(*told)
    assert [
        await own_points.household_balance(Attendance(household_id=t.data["household_id"]).household_id) for t in told
    ] == [15, 12]
    await rules.make(cold | {"condition": "false"}, NOON + timedelta(days=1))
    later = Attendance(at=night + timedelta(days=1))
    await own_points.tell(later.verified(60))
    assert await own_points.household_balance(later.household_id) == 12
    assert differences(own_points) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "minutes > 500 ? 1 / 0 : 5"}, "body.amount"),
        ({"amount": "12.5"}, "body.amount"),
        ({"condition": "minuts > 0"}, "body.condition"),
        ({"ledger": "staff"}, "body.ledger"),
        ({"owner_kind": "person"}, "body.owner_kind"),
        ({"cap": {"points": 5, "period": "year", "scope": "unit"}}, "body.credited.unit"),
        ({"cap": {"points": 0, "period": "year", "scope": "person"}}, "body.cap.points"),
        ({"fact_type": "events.nothing.v1"}, "body.fact_type"),
        ({"code": "No Code"}, "body.code"),
        ({"points": 3}, "body.points"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_a_faulty_draft_is_refused_and_its_field_named(
    shared: Points, change: dict[str, Any], field: str
) -> None:
    rules = Rules(shared)
    before = await rules.listed(DRAFTER)
    answer = await rules.post(DRAFTER, "", HOURS | change)
    assert answer.status_code == 422
    assert field in [fault["name"] for fault in answer.json()["errors"]]
    assert await rules.listed(DRAFTER) == before


async def test_only_administrators_make_rules_and_others_do_not_see_drafts(shared: Points) -> None:
    rules = Rules(shared)
    drafted = await rules.draft(MEET)
    for who, status in ((actor("resident"), 403), (actor("auditor"), 403), (None, 401)):
        for path, body in (("", MEET), ("/simulate", {"rule": MEET}), ("/order.meet/versions/2/approve", None)):
            assert (await rules.post(who, path, body)).status_code == status

    async def sees(*roles: str) -> bool:
        listed = await rules.listed(actor(*roles))
        return (drafted["code"], drafted["version"]) in [(rule["code"], rule["version"]) for rule in listed]

    assert [await sees(role) for role in ("resident", "auditor", "administrator")] == [False, True, True]


async def test_a_version_is_approved_once_and_only_if_it_is_there(shared: Points) -> None:
    rules = Rules(shared)
    drafted = await rules.draft(MEET | {"code": "order.once"})
    path = f"/order.once/versions/{drafted['version']}/approve"
    answers = await asyncio.gather(*[rules.post(actor("administrator"), path) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"rule_approved_already"}
    for missing in ("/order.once/versions/9/approve", "/order.never/versions/1/approve"):
        answer = await rules.post(APPROVER, missing)
        assert (answer.status_code, answer.json()["code"]) == (404, "rule_not_found")


async def test_two_versions_do_not_take_effect_at_one_moment(shared: Points) -> None:
    rules = Rules(shared)
    body = MEET | {"code": "order.twice", "not_before": (NOON + timedelta(days=3)).isoformat()}
    await rules.make(body, NOON)
    with clock.frozen(NOON):
        second = await rules.draft(body)
        answer = await rules.post(APPROVER, f"/order.twice/versions/{second['version']}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "effective_time_taken")


async def test_drafts_at_once_get_numbers_of_their_own(shared: Points) -> None:
    rules = Rules(shared)
    drafted = await asyncio.gather(*[rules.draft(MEET | {"code": "order.many"}) for _ in range(5)])
    assert sorted(version["version"] for version in drafted) == [1, 2, 3, 4, 5]


async def test_drafts_of_one_code_for_two_ledgers_at_once_are_a_rule_and_a_refusal(shared: Points) -> None:
    rules = Rules(shared)
    ledgers = ["staff", "civic"] * 4
    answers = await asyncio.gather(
        *[rules.post(DRAFTER, "", MEET | {"code": "order.torn", "ledger": ledger}) for ledger in ledgers]
    )
    told = sorted((answer.status_code, answer.json().get("code")) for answer in answers)
    assert {status for status, _ in told} == {201, 422}, told


def test_neither_versions_nor_approvals_can_be_edited(shared: Points) -> None:
    for table in ("rule_version", "rule_approval"):
        for statement in (f"UPDATE points.{table} SET code = 'x'", f"DELETE FROM points.{table}"):
            with (
                psycopg.connect(shared.town.database.url("points")) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(statement)


# Trying a draft -------------------------------------------------------------------------------------------------------


async def simulated(rules: Rules, rule: dict[str, Any], **days: str) -> dict[str, Any]:
    with clock.frozen(NOON + timedelta(days=31)):
        answer = await rules.post(DRAFTER, "/simulate", {"rule": rule, **days})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_simulation_shows_who_would_have_got_what_against_what_they_got(
    own_points: Points, rules: Rules
) -> None:
    much, little, gone = Attendance(), Attendance(), Attendance()
    withdrawn = gone.verified(60)
    april = Attendance(at=NOON + timedelta(days=40)).verified(60)
    await own_points.tell(much.verified(300), little.verified(60), withdrawn, gone.withdrawn(withdrawn), april)
    before = await own_points.entries(actor("resident", household_id=much.household_id), "civic")
    found = await simulated(rules, HOURS | {"amount": "20 * minutes / 60"})
    assert (found["first_day"], found["last_day"], found["facts"], found["complete"]) == (
        "2026-03-01",
        "2026-03-31",
        2,
        True,
    )
    assert found["did"] == {"awards": 2, "points": 60, "owners": 2, "withheld": 12}
    assert found["would"] == {"awards": 2, "points": 68, "owners": 2, "withheld": 52}
    assert found["differences"] == [{"owner_id": str(little.household_id), "would": 20, "did": 12}]
    assert await own_points.entries(actor("resident", household_id=much.household_id), "civic") == before
    assert (await simulated(rules, HOURS))["differing"] == 0, "the rule as it is gives what it gave"


async def test_a_simulation_of_a_new_rule_counts_a_subject_once(own_points: Points, rules: Rules) -> None:
    attendance = Attendance()
    await own_points.tell(attendance.verified(60), attendance.verified(120))
    found = await simulated(rules, HOURS | {"code": "volunteer.again", "amount": "7"})
    assert (found["facts"], found["would"]["points"], found["did"]["points"]) == (2, 7, 0)


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, "body.last_day"),
        ({"first_day": "2026-01-01", "last_day": "2026-12-31"}, "body.last_day"),
        ({"first_day": "0001-01-01"}, "body.first_day"),
    ],
    ids=["backwards", "too long", "too early"],
)
async def test_a_simulation_of_no_period_is_refused(shared: Points, days: dict[str, str], field: str) -> None:
    answer = await Rules(shared).post(DRAFTER, "/simulate", {"rule": HOURS, **days})
    assert answer.status_code == 422
    assert field in [fault["name"] for fault in answer.json()["errors"]]


async def test_a_simulation_of_a_faulty_draft_is_refused(shared: Points) -> None:
    answer = await Rules(shared).post(DRAFTER, "/simulate", {"rule": HOURS | {"amount": "1.5"}})
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "body.rule.amount")
