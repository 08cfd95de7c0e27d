"""A household joins another: whose its points are then, and whose what is told of it later."""

import asyncio
import itertools
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from chassis.core.ids import new_id
from services.points.households.queries import standing_household
from services.points.ledger import actions as ledger
from services.points.ledger.core import commands
from services.points.ledger.core.state import NewTransfer
from services.points.ledger.errors import InsufficientPoints
from services.points.ledger.queries import accounts_by_id, lock_ledgers
from services.points.ledger.tables import Transfer
from services.points.ledger.terms import TransferCode, household_wallet, merchant_payable
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.facts import NOON, Attendance, Family, Order, Told
from tests.town import actor

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def stored(points: Points, *households: UUID) -> tuple[int, ...]:
    """The balances of households' wallets as they are stored; nothing where there is none."""
    ids = [household_wallet(household).id for household in households]
    async with points.db.transaction() as session:
        accounts = await accounts_by_id(session, ids)
    return tuple(accounts[id_].balance if id_ in accounts else 0 for id_ in ids)


async def spend(points: Points, household: UUID, amount: int) -> NewTransfer:
    transfer = commands.Transfer(
        debit=household_wallet(household),
        credit=merchant_payable(new_id()),
        amount=amount,
        code=TransferCode.REDEMPTION,
        reference=f"test/{new_id()}",
        occurred_at=NOON,
    )
    async with points.db.transaction() as session:
        result = await ledger.post(session, transfer)
    assert result.transfer is not None
    return result.transfer


async def statement(points: Points, household: UUID) -> list[dict[str, Any]]:
    """A household's statement, oldest line first."""
    return list(reversed(await points.entries(actor("auditor", household_id=household), "civic")))


async def test_a_household_that_joins_another_brings_its_points(points: Points) -> None:
    old, new = Family(), Family()
    await points.tell(
        Attendance(household_id=old.id).verified(60),
        Attendance(household_id=new.id).verified(120),
        old.dissolved(2, new.id),
    )
    assert await stored(points, old.id, new.id) == (0, 36)
    _, merger = await statement(points, new.id)
    assert (merger["code"], merger["amount"], merger["balance_after"]) == ("merger", 12, 36)
    assert [merger[name] for name in ("rule", "order", "activity", "coupon", "reverses")] == [None] * 5
    async with points.db.transaction() as session:
        assert await standing_household(session, old.id) == await standing_household(session, new.id) == new.id
    await points.check()


async def test_a_household_that_joins_another_brings_its_debts(points: Points) -> None:
    old, new, poor = Family(), Family(), Family()
    attendance = Attendance(household_id=old.id)
    verified = attendance.verified(60)
    await points.tell(verified, Attendance(household_id=new.id).verified(90))
    await spend(points, old.id, 10)
    await points.tell(attendance.withdrawn(verified), old.dissolved(2, new.id))
    assert await stored(points, old.id, new.id) == (0, 8)
    assert [line["amount"] for line in await statement(points, new.id)] == [18, -10]
    await spend(points, new.id, 8)
    with pytest.raises(InsufficientPoints):
        await spend(points, new.id, 1)
    await points.tell(new.dissolved(2, poor.id))
    assert await stored(points, new.id, poor.id) == (0, 0)
    await points.check()


async def test_a_debt_may_leave_the_other_household_owing(points: Points) -> None:
    old, new = Family(), Family()
    attendance = Attendance(household_id=old.id)
    verified = attendance.verified(60)
    await points.tell(verified)
    await spend(points, old.id, 12)
    await points.tell(attendance.withdrawn(verified), old.dissolved(2, new.id))
    assert await stored(points, old.id, new.id) == (0, -12)
    await points.tell(Attendance(household_id=new.id).verified(90))
    assert await stored(points, new.id) == (6,)
    await points.check()


async def test_a_household_without_points_joins_another_without_a_posting(points: Points) -> None:
    old, new = Family(), Family()
    await points.tell(old.dissolved(1, new.id))
    async with points.db.transaction() as session:
        ids = [household_wallet(family.id).id for family in (old, new)]
        moved = select(Transfer).where(Transfer.debit_account_id.in_(ids) | Transfer.credit_account_id.in_(ids))
        assert (await session.scalars(moved)).all() == []
    await points.tell(Attendance(household_id=old.id).verified(60))
    assert await stored(points, old.id, new.id) == (0, 12)


async def test_what_is_earned_for_the_old_household_later_ends_with_the_new_one(points: Points) -> None:
    old, new = Family(), Family()
    attendance = Attendance(household_id=old.id)
    verified, report = (
        attendance.verified(60),
        Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=old.id),
    )
    await points.tell(old.dissolved(2, new.id), verified, report)
    assert await stored(points, old.id, new.id) == (0, 14)
    hours, reported = await statement(points, new.id)
    assert (hours["code"], hours["activity"]["id"]) == ("award", str(attendance.activity_id))
    assert (reported["code"], reported["order"]["id"]) == ("award", str(report.subject_id))
    await points.tell(attendance.withdrawn(verified), attendance.verified(30))
    assert await stored(points, old.id, new.id) == (0, 2 + 6)
    await points.check()


async def test_what_is_taken_back_from_the_old_household_later_is_taken_from_the_new_one(points: Points) -> None:
    old, new = Family(), Family()
    attendance = Attendance(household_id=old.id)
    verified = attendance.verified(60)
    await points.tell(verified, old.dissolved(2, new.id))
    await spend(points, new.id, 5)
    await points.tell(attendance.withdrawn(verified))
    assert await stored(points, old.id, new.id) == (0, -5)
    *_, reversal = await statement(points, new.id)
    assert (reversal["code"], reversal["amount"]) == ("reversal", -12)
    assert reversal["activity"]["id"] == str(attendance.activity_id)
    await points.check()


async def test_what_the_old_household_had_paid_comes_back_to_the_new_one(points: Points) -> None:
    old, new = Family(), Family()
    await points.tell(Attendance(household_id=old.id).verified(60))
    paid = await spend(points, old.id, 10)
    await points.tell(old.dissolved(2, new.id))
    async with points.db.transaction() as session:
        await ledger.post(session, commands.Reverse(paid.id, f"test/{new_id()}", NOON))
    assert await stored(points, old.id, new.id) == (0, 12)
    await points.check()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_points_follow_a_chain_of_mergers_in_whatever_order_they_are_told(
    points: Points, order: tuple[int, ...]
) -> None:
    families = [Family() for _ in range(4)]
    attendances = [Attendance(household_id=family.id) for family in families]
    verified = [attendance.verified(60 + 15 * number) for number, attendance in enumerate(attendances)]
    await points.tell(*verified)
    mergers = [old.dissolved(2, new.id) for old, new in itertools.pairwise(families)]
    await points.tell(*[mergers[index] for index in order])
    ids = [family.id for family in families]
    assert await stored(points, *ids) == (0, 0, 0, 12 + 15 + 18 + 21)
    async with points.db.transaction() as session:
        assert {await standing_household(session, id_) for id_ in ids} == {ids[-1]}
    await points.tell(attendances[0].withdrawn(verified[0]), Attendance(household_id=ids[0]).verified(15))
    await points.tell(attendances[1].withdrawn(verified[1]), Attendance(household_id=ids[1]).verified(15))
    assert await stored(points, *ids) == (0, 0, 0, 18 + 21 + 3 + 3)
    await points.check()


async def test_a_family_that_joined_another_shares_one_cap_with_it_and_keeps_what_both_have(points: Points) -> None:
    old, new, person = Family(), Family(), new_id()

    def report(household: UUID) -> Told:
        return Order().closed(new_id(), reporter_id=person, reporter_household_id=household)

    await points.tell(*[report(family.id) for family in (old, new, new)])
    await points.tell(Attendance(person_id=person, household_id=old.id).verified(180))
    await points.tell(old.dissolved(2, new.id))
    before = 2 + 4 + 36
    assert await stored(points, new.id) == (before,)
    await points.tell(report(old.id), report(new.id))
    assert await stored(points, new.id) == (before + 4,), "what the two had left of one month"
    await points.tell(report(old.id), report(new.id))
    assert await stored(points, new.id) == (before + 4,), "and no second one"
    await points.tell(*[Attendance(person_id=person, household_id=family.id).verified(180) for family in (new, old)])
    assert await stored(points, old.id, new.id) == (0, before + 4 + 12), "and the person of their day"
    await points.check()


async def test_families_that_both_had_used_up_their_month_keep_it_and_earn_no_third(points: Points) -> None:
    old, new = Family(), Family()
    reports = [Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=old.id) for _ in range(5)]
    reports += [Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=new.id) for _ in range(5)]
    await points.tell(*reports, old.dissolved(2, new.id))
    assert await stored(points, new.id) == (20,)
    await points.tell(Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=new.id))
    assert await stored(points, new.id) == (20,)
    await points.check()


async def test_a_merger_told_again_moves_nothing_more(points: Points) -> None:
    old, new = Family(), Family()
    merger = old.dissolved(3, new.id)
    await points.tell(Attendance(household_id=old.id).verified(60), merger)
    await points.tell(merger, merger.again(), old.changed(2, new_id()), old.dissolved(4, new.id))
    await asyncio.gather(*[points.send(merger.again()) for _ in range(5)])
    assert await stored(points, old.id, new.id) == (0, 12)
    assert len(await statement(points, new.id)) == 1
    await points.check()


async def test_a_household_once_dissolved_is_not_dissolved_otherwise(points: Points) -> None:
    old, new, third = Family(), Family(), Family()
    await points.tell(Attendance(household_id=old.id).verified(60), old.dissolved(2, new.id))
    for contradiction in (old.dissolved(3, third.id), old.changed(3, new_id()), new.dissolved(2, old.id)):
        assert await points.send(contradiction) == ["refused"]
    assert await points.send(third.dissolved(2, third.id)) == ["refused"]
    assert await stored(points, old.id, new.id, third.id) == (0, 12, 0)
    async with points.db.transaction() as session:
        assert await standing_household(session, old.id) == await standing_household(session, new.id) == new.id
    await points.tell(Attendance(household_id=third.id).verified(15))
    assert await stored(points, third.id) == (3,)


@pytest.mark.parametrize("name", list(LedgerName))
async def test_a_merger_waits_for_whoever_posts_to_either_ledger(points: Points, name: LedgerName) -> None:
    old, new = Family(), Family()

    async def waits() -> bool:
        async with points.db.transaction() as session:
            return bool(await session.scalar(text(WAITING)))

    async with points.db.transaction() as poster:
        await lock_ledgers(poster, [name])
        merger = asyncio.create_task(points.tell(old.dissolved(1, new.id)))
        while not await waits():
            assert not merger.done(), "it did not wait"
            await asyncio.sleep(0.01)
        async with points.db.transaction() as session:
            assert await standing_household(session, old.id) == old.id
    await merger
    async with points.db.transaction() as session:
        assert await standing_household(session, old.id) == new.id


async def test_facts_and_spending_during_a_merger_lose_no_point(points: Points) -> None:
    old, new = Family(), Family()
    attendances = [Attendance(household_id=family.id) for family in (old, new) for _ in range(6)]
    verified = [attendance.verified(60) for attendance in attendances]
    await points.tell(*verified[::2])
    withdrawals = [attendances[index].withdrawn(verified[index]) for index in (0, 1, 6, 7)]

    async def spend_some(household: UUID) -> int:
        try:
            await spend(points, household, 5)
        except InsufficientPoints:
            return 0
        return 5

    spent = await asyncio.gather(
        *[spend_some(family.id) for family in (old, new) for _ in range(4)],
        *[points.deliver(message) for message in [*verified[1::2], *withdrawals, old.dissolved(2, new.id)]],
    )
    paid = sum(amount for amount in spent if amount)
    assert await stored(points, old.id, new.id) == (0, 8 * 12 - paid)
    await points.check()


async def test_mergers_and_facts_in_batches_in_opposite_order_do_not_block_one_another_for_good(points: Points) -> None:
    families = [Family() for _ in range(4)]
    told = [old.dissolved(1, new.id) for old, new in itertools.pairwise(families)]
    facts = [
        *[Attendance(household_id=family.id).verified(60) for family in families],
        *Order().handled(new_id()),
    ]
    await asyncio.gather(
        points.deliver(*told, *facts),
        points.deliver(*facts, *told),
        points.deliver(*reversed(told), *reversed(facts)),
        points.deliver(*reversed(facts), *reversed(told)),
    )
    assert await stored(points, *[family.id for family in families]) == (0, 0, 0, 48)
    await points.check()


HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("hours"), st.integers(0, 3), st.integers(1, 8)),
        st.tuples(st.just("withdraw"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("spend"), st.integers(0, 3), st.integers(1, 30)),
        st.tuples(st.just("merge"), st.integers(0, 3), st.integers(0, 3)),
    ),
    max_size=14,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=HISTORY)
async def test_no_history_of_mergers_makes_or_loses_a_point(points: Points, history: list[tuple[Any, ...]]) -> None:
    families = [Family() for _ in range(4)]
    into = list(range(4))
    expected = [0] * 4
    facts: list[tuple[Attendance, Told, int, int]] = []

    def standing(number: int) -> int:
        return number if into[number] == number else standing(into[number])

    for kind, first, second in history:
        match kind:
            case "hours":
                attendance = Attendance(household_id=families[first].id)
                facts.append((attendance, attendance.verified(15 * second), first, 3 * second))
                await points.tell(facts[-1][1])
                expected[standing(first)] += 3 * second
            case "withdraw" if first < len(facts):
                attendance, verified, number, earned = facts[first]
                await points.tell(attendance.withdrawn(verified))
                facts[first] = (attendance, verified, number, 0)
                expected[standing(number)] -= earned
            case "spend" if expected[standing(first)] >= second:
                await spend(points, families[first].id, second)
                expected[standing(first)] -= second
            case "merge" if into[first] == first and standing(second) != first:
                await points.tell(families[first].dissolved(1, families[second].id))
                moved, expected[first] = expected[first], 0
                into[first] = second
                expected[standing(second)] += moved
    assert list(await stored(points, *[family.id for family in families])) == expected
    await points.check()
