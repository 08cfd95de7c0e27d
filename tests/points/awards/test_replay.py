"""Made anew from the stored facts, every award is what was recorded; and where one is not, it is named."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from beiyuan.cli import app
from chassis.core.ids import new_id
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Reverse
from tests.points.awards.conftest import HOURS, Rules, differences
from tests.points.conftest import Points
from tests.points.facts import NOON, Attendance, Family, Order, Told
from tests.town import actor


async def eventful(points: Points, rules: Rules) -> list[Told]:
    """Claims passed on, caps met, corrections in either order, a rule changed, families merged, points spent."""
    handler, family, joined = new_id(), Family(), Family()
    order, person = Order(), new_id()
    claim = order.claimed(handler)
    hours = [Attendance(person_id=person, household_id=family.id) for _ in range(5)]
    verified = [one.verified(75) for one in hours]
    early = Attendance(household_id=joined.id)
    story = [claim, order.claimed(new_id()), *verified[:4], hours[0].withdrawn(verified[0]), hours[0].verified(60)]
    unseen = early.verified(30)
    await points.tell(*story, early.withdrawn(unseen), *order.handled(handler), order.released(claim))
    await rules.make(HOURS | {"amount": "20 * minutes / 60"}, NOON + timedelta(days=1))
    await points.tell(family.changed(1, person), joined.changed(1), family.dissolved(2, joined.id))
    later = [Attendance(person_id=person, household_id=family.id, at=NOON + timedelta(days=2)) for _ in range(3)]
    await points.tell(*[one.verified(60) for one in later], unseen, hours[1].withdrawn(verified[1]), verified[4])
    return verified


async def test_a_replay_of_an_eventful_week_comes_out_equal(own_points: Points, rules: Rules) -> None:
    await eventful(own_points, rules)
    assert differences(own_points) == []
    await own_points.check()


async def test_points_of_a_family_that_moved_in_with_another_are_where_they_belong(own_points: Points) -> None:
    old, middle, new = Family(), Family(), Family()
    for told in (
        Attendance(household_id=old.id).verified(60),
        old.dissolved(1, middle.id),
        Attendance(household_id=old.id).verified(60),
        middle.dissolved(1, new.id),
        Attendance(household_id=old.id).verified(60),
    ):
        await own_points.tell(told)
    assert await own_points.household_balance(new.id) == 36
    assert differences(own_points) == []


async def test_a_fact_told_ahead_of_its_time_keeps_the_rule_that_was_approved_then(
    own_points: Points, rules: Rules
) -> None:
    """Accepted before the approval of a version that is in force when it is said to happen."""
    ahead = NOON + timedelta(days=2)
    before, after = Attendance(at=ahead), Attendance(at=ahead)
    await own_points.tell(before.verified(60))
    await rules.make(HOURS | {"amount": "20 * minutes / 60"}, NOON + timedelta(days=1))
    await own_points.tell(after.verified(60))
    balances = [await own_points.household_balance(one.household_id) for one in (before, after)]
    assert balances == [12, 20]
    assert differences(own_points) == []


def alter(points: Points, statement: str) -> None:
    """As somebody with the keys of the database might."""
    with psycopg.connect(points.town.database.admin_url, options="-c search_path=points") as admin:
        assert admin.execute(statement.encode()).rowcount > 0


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE award SET points = points - 1, points_due = points_due + 3 WHERE points > 1", "points is"),
        ("UPDATE award SET person_id = gen_random_uuid() WHERE rule_code = 'volunteer.hour'", "person_id is"),
        ("UPDATE fact SET data = data || '{\"minutes\": 15}' WHERE type LIKE '%verified%'", "points is"),
        ("UPDATE rule_version SET amount = '13 * minutes / 60' WHERE code = 'volunteer.hour'", "points_due is"),
        ("DELETE FROM award WHERE rule_code = 'order.meet'", "is not there"),
        (
            "UPDATE award SET withdrawn_at = now(), withdrawn_position = (SELECT max(position) FROM fact)"
            " WHERE rule_code = 'order.meet'",
            "withdrawn by fact",
        ),
        (
            "UPDATE award SET withdrawn_at = NULL, withdrawn_position = NULL WHERE rule_code = 'order.claim'"
            " AND withdrawn_at IS NOT NULL AND NOT EXISTS (SELECT FROM award AS other WHERE other.subject_id ="
            " award.subject_id AND other.rule_code = award.rule_code AND other.withdrawn_at IS NULL)",
            "stands",
        ),
        ("UPDATE transfer SET amount = amount + 1 WHERE code = 'award' AND rule_code = 'order.meet'", "its transfer"),
        ("UPDATE transfer SET rule_version = 9 WHERE code = 'award' AND rule_code = 'order.meet'", "its transfer"),
    ],
    ids=["points", "person", "fact", "rule", "gone", "withdrawn", "standing", "amount", "version"],
)
async def test_what_was_tampered_with_is_found_and_named(own_points: Points, statement: str, told: str) -> None:
    order, attendance = Order(), Attendance()
    alone = Order()
    claim = alone.claimed(new_id())
    await own_points.tell(*order.handled(new_id()), attendance.verified(60), claim, alone.released(claim))
    assert differences(own_points) == []
    alter(own_points, statement)
    assert any(told in found.detail for found in differences(own_points))


async def test_the_command_says_that_all_is_well_or_names_the_award_and_fails(
    own_points: Points, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    await own_points.tell(*Order().handled(new_id()))
    database = own_points.town.database
    monkeypatch.setenv("BEIYUAN_HOME", str(tmp_path))
    monkeypatch.setenv("BEIYUAN_ADMIN_DATABASE_URL", database.admin_url)
    for service, url in database.service_urls.items():
        monkeypatch.setenv(f"BEIYUAN_{service.upper()}_DATABASE_URL", url)
    well = CliRunner().invoke(app, ["points", "replay"])
    assert (well.exit_code, "3 facts replayed" in well.output) == (0, True), well.output
    alter(own_points, "UPDATE award SET points_due = 99 WHERE rule_code = 'order.meet'")
    failed = CliRunner().invoke(app, ["points", "replay"])
    assert (failed.exit_code, "order.meet" in failed.output, "99" in failed.output) == (1, True, True)


async def test_a_withdrawn_award_that_was_reversed_by_hand_before_is_no_difference(own_points: Points) -> None:
    attendance = Attendance()
    verified = attendance.verified(60)
    await own_points.tell(verified)
    [line] = await own_points.entries(actor("resident", household_id=attendance.household_id), "civic")
    async with own_points.db.transaction() as session:
        await post(session, Reverse(UUID(line["transfer_id"]), "manual/1", NOON, 5))
    assert differences(own_points) == []
    await own_points.tell(attendance.withdrawn(verified))
    assert await own_points.household_balance(attendance.household_id) == 0
    assert differences(own_points) == []
