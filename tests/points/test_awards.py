"""Facts of orders arrive as messages; the points that they earn arrive once. (Those of hours: test_hours.py.)"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.awards import actions
from services.points.awards.facts import OrderClosed, OrderFact
from services.points.awards.tables import Award, Fact
from tests.points.conftest import Points
from tests.points.facts import NOON, Order
from tests.town import actor


@pytest.mark.parametrize(
    ("mode", "satisfied", "earned"),
    [("on_site", "satisfied", 35), ("phone", "satisfied", 32), ("on_site", "fairly", 15)],
)
async def test_a_handler_gets_what_the_order_is_worth(points: Points, mode: str, satisfied: str, earned: int) -> None:
    handler = new_id()
    await points.tell(*Order().handled(handler, mode=mode, satisfied=satisfied))
    assert await points.balance(handler) == earned
    await points.check()


async def test_the_statement_says_by_which_rule_version_and_order(points: Points) -> None:
    order, handler = Order(), actor("handler")
    await points.tell(*order.handled(handler.id))
    entries = await points.entries(handler, "staff")
    assert [(entry["rule"]["code"], entry["amount"], entry["balance_after"]) for entry in entries] == [
        ("order.double_yes", 20, 35),
        ("order.base", 10, 15),
        ("order.meet", 3, 5),
        ("order.claim", 2, 2),
    ]
    for version, entry in enumerate(reversed(entries), start=1):
        assert entry["rule"]["version"] == 1
        assert entry["order"] == {"id": str(order.id), "number": order.number}
        assert datetime.fromisoformat(entry["occurred_at"]) == NOON
        assert (entry["version"], entry["code"], entry["withheld"], entry["reverses"]) == (version, "award", 0, None)


async def test_a_message_delivered_again_pays_nothing_more(points: Points) -> None:
    handler = new_id()
    story = Order().handled(handler)
    for _ in range(3):
        await points.tell(*story)
    await points.tell(*[message for message in story for _ in range(2)])
    assert await points.balance(handler) == 35
    await points.check()


async def test_the_same_fact_in_another_message_pays_nothing_more(points: Points) -> None:
    handler = new_id()
    story = Order().handled(handler)
    await points.tell(*story)
    await points.tell(*[message.again(handler_id=str(new_id())) for message in story])
    assert await points.balance(handler) == 35


async def test_another_meeting_or_closure_of_the_order_pays_nothing_more(points: Points) -> None:
    order, first, second = Order(), new_id(), new_id()
    await points.tell(*order.handled(first))
    await points.tell(order.met(second), order.closed(second))
    assert await points.balances([first, second]) == {first: 35, second: 0}


async def test_a_meeting_by_phone_does_not_use_up_the_meeting_on_site(points: Points) -> None:
    order, handler = Order(), new_id()
    await points.tell(order.met(handler, mode="phone"), order.met(handler))
    assert await points.balance(handler) == 3


async def test_claimed_released_and_claimed_by_another_each_gets_what_is_theirs(points: Points) -> None:
    order, first, second = Order(), new_id(), new_id()
    claim = order.claimed(first)
    await points.tell(claim)
    assert await points.balance(first) == 2
    await points.tell(order.released(claim))
    assert await points.balance(first) == 0
    await points.tell(*order.handled(second))
    assert await points.balances([first, second]) == {first: 0, second: 35}
    await points.check()


async def test_a_handler_found_to_be_the_reporter_keeps_nothing_of_the_order(points: Points) -> None:
    order, handler = Order(), new_id()
    claim, meeting = order.claimed(handler), order.met(handler)
    await points.tell(claim, meeting)
    assert await points.balance(handler) == 5
    await points.tell(order.released(claim), order.meeting_withdrawn(meeting))
    assert await points.balance(handler) == 0
    await points.check()


async def test_claiming_and_releasing_over_and_over_earns_nothing(points: Points) -> None:
    order, handler = Order(), new_id()
    for _ in range(4):
        claim = order.claimed(handler)
        await points.tell(claim, order.released(claim))
    assert await points.balance(handler) == 0
    await points.tell(order.claimed(handler))
    assert await points.balance(handler) == 2


async def test_a_reversal_points_at_the_transfer_that_it_takes_back(points: Points) -> None:
    order, handler = Order(), actor("handler")
    claim = order.claimed(handler.id)
    await points.tell(claim, order.released(claim))
    reversal, award = await points.entries(handler, "staff")
    assert (reversal["code"], reversal["amount"], reversal["reverses"]) == ("reversal", -2, award["transfer_id"])
    assert reversal["rule"] == award["rule"] == {"code": "order.claim", "version": 1}
    assert reversal["order"] == award["order"] == {"id": str(order.id), "number": order.number}


async def test_a_claim_too_late_earns_nothing_and_one_after_a_release_must_be_in_time_too(points: Points) -> None:
    order, first, second, third = Order(), new_id(), new_id(), new_id()
    claim, late = order.claimed(first), order.claimed(second, in_time=False)
    await points.tell(claim, order.released(claim), late, order.released(late), order.claimed(third))
    assert await points.balances([first, second, third]) == {first: 0, second: 0, third: 2}


async def test_a_release_that_comes_before_its_claim_leaves_the_claim_unpaid(points: Points) -> None:
    order, first, second = Order(), new_id(), new_id()
    claim = order.claimed(first)
    await points.tell(order.released(claim))
    await points.tell(claim)
    await points.tell(order.claimed(second))
    assert await points.balances([first, second]) == {first: 0, second: 2}


async def test_a_release_that_comes_after_the_next_claim_passes_the_points_on(points: Points) -> None:
    order, first, second = Order(), new_id(), new_id()
    claim = order.claimed(first)
    await points.tell(claim, order.claimed(second))
    assert await points.balances([first, second]) == {first: 2, second: 0}
    await points.tell(order.released(claim))
    assert await points.balances([first, second]) == {first: 0, second: 2}
    await points.check()


async def test_facts_are_kept_whole_in_the_order_of_their_acceptance(points: Points) -> None:
    story = [message.again(added_later=True) for message in Order().handled(new_id())]
    await points.tell(*story)
    async with points.db.transaction() as session:
        mine = select(Fact).where(Fact.subject_id == story[0].subject_id).order_by(Fact.position)
        facts = (await session.scalars(mine)).all()
    assert [fact.type for fact in facts] == [message.type for message in story]
    assert all(fact.data["added_later"] is True and fact.occurred_at == NOON for fact in facts)


@pytest.mark.parametrize(
    "broken",
    [{"mode": "by_letter"}, {"handler_id": "nobody"}, {"occurred_at": "2026-03-02T12:00:00"}, {"meeting_id": None}],
)
async def test_a_senseless_message_is_refused_and_others_go_on(points: Points, broken: dict[str, Any]) -> None:
    handler = new_id()
    order, other = Order(), Order()
    wrong = order.met(handler)
    assert await points.send(wrong.again(**broken), order.closed(handler), other.met(handler)) == [
        "refused",
        "deferred",
        "accepted",
    ]
    assert await points.balance(handler) == 3


async def test_only_the_orders_service_tells_facts_of_orders(points: Points) -> None:
    async with points.client() as client:
        message = Order().met(new_id()).envelope
        assert (await client.post("/internal/messages", json=[message])).status_code == 401
    async with points.client(actor("administrator")) as client:
        assert (await client.post("/internal/messages", json=[message])).status_code == 401


# Civic: the household of whoever reported -----------------------------------------------------------------------------


def reported(household: UUID, at: datetime = NOON) -> Any:
    return Order(at=at).closed(new_id(), reporter_id=new_id(), reporter_household_id=household)


async def test_a_household_earns_two_points_a_report_and_at_most_ten_a_month(points: Points) -> None:
    household = new_id()
    for _ in range(6):
        await points.tell(reported(household))
    assert await points.household_balance(household) == 10
    last_of_march, first_of_april = (
        datetime(2026, 3, 31, 23, 59, tzinfo=BEIJING),
        datetime(2026, 4, 1, 0, 0, tzinfo=BEIJING),
    )
    await points.tell(reported(household, last_of_march))
    assert await points.household_balance(household) == 10
    await points.tell(reported(household, first_of_april))
    assert await points.household_balance(household) == 12
    await points.check()


async def test_one_households_cap_is_not_anothers(points: Points) -> None:
    first, second = new_id(), new_id()
    await points.tell(*[reported(first) for _ in range(6)], reported(second))
    assert await points.household_balance(second) == 2


async def test_a_report_without_an_account_or_that_was_not_real_earns_nothing(points: Points) -> None:
    household = new_id()
    await points.tell(
        Order().closed(new_id()),
        Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=household, real=False),
    )
    assert await points.household_balance(household) == 0


def add_version(points: Points, code: str, version: int, gives: int, effective_from: datetime) -> None:
    """As two administrators would, at a time of their own: a further version of a rule, otherwise like the first."""
    with psycopg.connect(points.town.database.admin_url, options="-c search_path=points") as admin:
        admin.execute(
            """INSERT INTO rule_version (code, version, ledger, owner_kind, fact_type, condition, amount, person_field,
                   household_field, unit_field, community_field, cap_points, cap_period, cap_scope, name, name_zh,
                   drafted_at)
               SELECT code, %s, ledger, owner_kind, fact_type, condition, %s, person_field, household_field, unit_field,
                   community_field, cap_points, cap_period, cap_scope, name, name_zh, drafted_at
               FROM rule_version WHERE code = %s AND version = 1""",
            (version, str(gives), code),
        )
        admin.execute(
            "INSERT INTO rule_approval (code, version, approved_at, effective_from, after_position)"
            " VALUES (%s, %s, %s, %s, 0)",
            (code, version, effective_from, effective_from),
        )


async def test_an_award_cut_by_the_cap_is_granted_in_part_and_says_so(own_points: Points) -> None:
    household, later = new_id(), NOON + timedelta(days=1)
    add_version(own_points, "report.accepted", 2, 3, later)
    await own_points.tell(*[reported(household) for _ in range(4)], reported(household, later))
    entries = await own_points.entries(actor("resident", household_id=household), "civic")
    assert [(entry["amount"], entry["withheld"], entry["rule"]["version"]) for entry in entries] == [
        (2, 1, 2),
        *[(2, 0, 1)] * 4,
    ]


async def test_a_fact_meets_the_version_in_force_when_it_happened_however_late_it_comes(own_points: Points) -> None:
    handler, change = new_id(), NOON + timedelta(hours=1)
    add_version(own_points, "order.meet", 2, 5, change)
    await own_points.tell(Order(at=change).met(handler))
    assert await own_points.balance(handler) == 5
    await own_points.tell(Order(at=change - timedelta(microseconds=1)).met(handler))
    assert await own_points.balance(handler) == 8


async def test_a_fact_from_before_there_were_rules_earns_nothing(points: Points) -> None:
    handler = new_id()
    await points.tell(*Order(at=datetime(2020, 1, 1, tzinfo=UTC)).handled(handler))
    assert await points.balance(handler) == 0


def test_no_version_takes_effect_before_its_approval(points: Points) -> None:
    with (
        psycopg.connect(points.town.database.admin_url) as admin,
        pytest.raises(psycopg.errors.CheckViolation, match="ck_rule_approval_approved_before_effective"),
    ):
        admin.execute(
            "INSERT INTO points.rule_approval (code, version, approved_at, effective_from, after_position)"
            " VALUES ('order.meet', 1, '2026-01-02+08', '2026-01-01+08', 0)"
        )


class ClosureWithdrawn(OrderFact):
    """A closure that turned out wrong, as a later message may tell."""

    type = "orders.closure_withdrawn.v1"
    withdraws = OrderClosed.type

    closure_id: UUID

    @property
    def fact_id(self) -> UUID:
        return self.closure_id


async def test_a_withdrawn_award_frees_the_cap_but_never_tops_up_those_cut_before(points: Points) -> None:
    household = new_id()
    reports = [reported(household) for _ in range(6)]
    await points.tell(*reports)
    first = reports[0]
    async with points.db.transaction() as session:
        withdrawal = ClosureWithdrawn(
            order_id=first.subject_id, closure_id=UUID(first.data["closure_id"]), occurred_at=NOON
        )
        await actions.accept_all(session, [withdrawal])
    assert await points.household_balance(household) == 8, "the sixth stays cut"
    assert await points.balance(UUID(first.data["handler_id"])) == 0
    await points.tell(reported(household), reported(household))
    assert await points.household_balance(household) == 10
    await points.check()


async def test_an_award_that_the_cap_left_nothing_of_is_on_record(points: Points) -> None:
    household = new_id()
    await points.tell(*[reported(household) for _ in range(6)])
    async with points.db.transaction() as session:
        awards = (await session.scalars(select(Award).where(Award.household_id == household))).all()
    assert sorted((award.points, award.points_due) for award in awards) == [(0, 2), *[(2, 2)] * 5]


async def test_an_award_records_to_whom_it_is_credited(points: Points) -> None:
    order, handler, reporter, household = Order(), new_id(), new_id(), new_id()
    await points.tell(
        *order.handled(handler)[:2],
        order.closed(handler, reporter_id=reporter, reporter_household_id=household),
    )
    async with points.db.transaction() as session:
        awards = (await session.scalars(select(Award).where(Award.subject_id == order.id))).all()
    staff = (handler, None, order.unit_id, order.community)
    assert {
        award.rule_code: (award.person_id, award.household_id, award.unit_id, award.community_id) for award in awards
    } == {
        "order.base": staff,
        "order.claim": staff,
        "order.double_yes": staff,
        "order.meet": staff,
        "report.accepted": (reporter, household, None, order.community),
    }
