"""What the boards show, and to whom."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Command, ExpireLot, Reverse, Transfer
from services.points.ledger.tables import Lot
from services.points.ledger.tables import Transfer as TransferRow
from services.points.ledger.terms import TransferCode, household_wallet, issuance
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family, Order
from tests.town import actor

AUDITOR = actor("auditor")
SUNDAY_NIGHT = datetime.fromisoformat("2026-03-01T23:59:59+08:00")
MONDAY = datetime.fromisoformat("2026-03-02T00:00:00+08:00")


async def get(points: Points, who: Actor, path: str, **params: Any) -> dict[str, Any]:
    async with points.client(who) as client:
        answer = await client.get(f"/api/points/boards/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def lines(points: Points, period: str = "all", **params: Any) -> list[tuple[int, int, str]]:
    """(rank, score, subject) as an auditor sees them."""
    board = await get(points, AUDITOR, period, **params)
    return [(item["rank"], item["score"], item["subject_id"]) for item in board["items"]]


async def scores(points: Points, period: str = "all", **params: Any) -> dict[str, int]:
    return {subject: score for _, score, subject in await lines(points, period, **params)}


async def carry_out(points: Points, command: Command) -> None:
    async with points.db.transaction() as session:
        await post(session, command)


async def helped(points: Points, household: UUID, minutes: int, at: datetime = MONDAY) -> Attendance:
    """A member of a household was verified for so long, at a moment: 12 points an hour."""
    attendance = Attendance(household_id=household, at=at)
    with clock.frozen(at):
        await points.tell(attendance.verified(minutes))
    return attendance


async def lot_of(points: Points, household: UUID) -> Lot:
    async with points.db.transaction() as session:
        found = select(Lot).where(Lot.account_id == household_wallet(household).id).order_by(Lot.sequence)
        return (await session.scalars(found)).one()


async def test_who_ties_shares_a_rank_and_the_next_is_as_many_further(own_points: Points) -> None:
    families = [new_id() for _ in range(4)]
    for family, minutes in zip(families, [60, 120, 120, 30], strict=True):
        await helped(own_points, family, minutes)
    ranked = await lines(own_points)
    assert [(rank, score) for rank, score, _ in ranked] == [(1, 24), (1, 24), (3, 12), (4, 6)]
    for family, rank in zip(families, [3, 1, 1, 4], strict=True):
        mine = await get(own_points, actor("resident", household_id=family), "all/mine")
        [standing] = [item for item in mine["items"] if item["kind"] == "household"]
        assert (standing["rank"], standing["size"]) == (rank, 4)


async def test_spending_lowers_nobody(own_points: Points) -> None:
    family = new_id()
    await helped(own_points, family, 60)
    spending = Transfer(
        household_wallet(family), issuance(LedgerName.CIVIC), 12, TransferCode.ADJUSTMENT, "test/spent", MONDAY
    )
    await carry_out(own_points, spending)
    assert await scores(own_points) == {str(family): 12}


async def test_a_period_begins_at_midnight_in_beijing_and_a_week_on_monday(own_points: Points) -> None:
    before, after = new_id(), new_id()
    await helped(own_points, before, 60, SUNDAY_NIGHT)
    await helped(own_points, after, 60, MONDAY)
    for at, family in ((SUNDAY_NIGHT, before), (MONDAY, after)):
        assert await scores(own_points, "week", at=at.isoformat()) == {str(family): 12}
    for period in ("month", "quarter", "year", "all"):
        assert set(await scores(own_points, period, at=MONDAY.isoformat())) == {str(before), str(after)}
    assert await scores(own_points, "month", at="2026-02-28T23:59:59+08:00") == {}
    assert (await get(own_points, AUDITOR, "quarter", at="2026-03-31T23:59:00+08:00"))["starts_on"] == "2026-01-01"
    assert (await get(own_points, AUDITOR, "all"))["starts_on"] is None


async def test_what_is_taken_back_lowers_the_period_in_which_that_was_posted(own_points: Points) -> None:
    family = new_id()
    attendance = Attendance(household_id=family, at=SUNDAY_NIGHT)
    verified = attendance.verified(60)
    with clock.frozen(SUNDAY_NIGHT):
        await own_points.tell(verified)
    with clock.frozen(MONDAY):
        await own_points.tell(attendance.withdrawn(verified))
    assert await scores(own_points, "week", at=SUNDAY_NIGHT.isoformat()) == {str(family): 12}
    assert await scores(own_points, "week", at=MONDAY.isoformat()) == {str(family): -12}
    assert await scores(own_points) == {}, "of all time nothing is left, and so no place"


async def test_expired_points_leave_the_board_of_all_time_and_no_other(own_points: Points) -> None:
    idle, busy = new_id(), new_id()
    await helped(own_points, idle, 120)
    await helped(own_points, busy, 60)
    spent = Transfer(
        household_wallet(busy), issuance(LedgerName.CIVIC), 12, TransferCode.ADJUSTMENT, "test/in time", MONDAY
    )
    await carry_out(own_points, spent)
    assert [score for _, score, _ in await lines(own_points)] == [24, 12]
    lot = await lot_of(own_points, idle)
    with clock.frozen(lot.expires_at):
        await carry_out(own_points, ExpireLot(lot.id))
    assert await lines(own_points) == [(1, 12, str(busy))], "who spent in time is first now"
    for period in ("week", "month", "quarter", "year"):
        assert await scores(own_points, period, at=MONDAY.isoformat()) == {str(idle): 24, str(busy): 12}
        assert await scores(own_points, period, at=lot.expires_at.isoformat()) == {}


async def test_an_award_that_is_reversed_after_its_expiry_counts_once_against_its_family(own_points: Points) -> None:
    family = new_id()
    await helped(own_points, family, 60)
    lot = await lot_of(own_points, family)
    with clock.frozen(lot.expires_at + timedelta(days=1)):
        await carry_out(own_points, ExpireLot(lot.id))
        await carry_out(own_points, Reverse(lot.id, "test/too late", clock.now(), 5))
    assert await scores(own_points) == {}, "12 awarded, 12 expired, 5 back from there and taken away"
    at = (lot.expires_at + timedelta(days=1)).isoformat()
    assert await scores(own_points, "month", at=at) == {str(family): -5}


async def test_a_family_that_joins_another_takes_its_scores_along_and_what_comes_later_too(own_points: Points) -> None:
    old, middle, new = Family(at=MONDAY), Family(at=MONDAY), Family(at=MONDAY)
    for family, minutes in ((old, 60), (middle, 120), (new, 15)):
        await helped(own_points, family.id, minutes, SUNDAY_NIGHT)
    assert len(await scores(own_points)) == 3
    with clock.frozen(MONDAY):
        await own_points.tell(old.dissolved(2, middle.id))
        assert await scores(own_points) == {str(middle.id): 36, str(new.id): 3}
        await own_points.tell(middle.dissolved(2, new.id))
    await helped(own_points, old.id, 30, MONDAY)  # told late, of the family as it was
    assert await scores(own_points) == {str(new.id): 45}
    assert await scores(own_points, "week", at=SUNDAY_NIGHT.isoformat()) == {str(new.id): 39}
    assert await scores(own_points, "week", at=MONDAY.isoformat()) == {str(new.id): 6}


async def test_a_family_that_had_spent_all_before_it_joined_another_is_followed_as_well(own_points: Points) -> None:
    old, new = Family(at=MONDAY), Family(at=MONDAY)
    await helped(own_points, old.id, 60)
    spent = Transfer(
        household_wallet(old.id), issuance(LedgerName.CIVIC), 12, TransferCode.ADJUSTMENT, "test/all of it", MONDAY
    )
    await carry_out(own_points, spent)
    assert await scores(own_points) == {str(old.id): 12}
    await own_points.tell(old.dissolved(2, new.id))  # which moves no points, so there is no transfer
    assert await scores(own_points) == {str(new.id): 12}


async def test_a_units_score_is_the_sum_over_its_people(own_points: Points) -> None:
    unit, community = new_id(), new_id()
    handlers = [actor("handler", organisation_id=unit) for _ in range(2)]
    for handler in handlers:
        await own_points.tell(*Order(unit_id=unit, community=community).handled(handler.id))
    assert await scores(own_points, ledger="staff", kind="unit") == {str(unit): 70}
    assert await scores(own_points, ledger="staff", kind="community") == {str(community): 70}
    people = await scores(own_points, ledger="staff", kind="person")
    assert people == {str(handler.id): 35 for handler in handlers}
    mine = await get(own_points, handlers[0], "all/mine")
    found = {(item["ledger"], item["kind"]): (item["rank"], item["score"]) for item in mine["items"]}
    assert found["staff", "person"] == (1, 35)
    assert found["staff", "unit"] == (1, 70)
    assert found["civic", "person"] == (None, 0)


async def test_a_resident_sees_ranks_and_scores_of_families_and_no_id_but_their_own(own_points: Points) -> None:
    own, other = new_id(), new_id()
    await helped(own_points, own, 60)
    await helped(own_points, other, 120)
    board = await get(own_points, actor("resident", household_id=own), "all")
    assert [(item["subject_id"], item["own"], item["score"]) for item in board["items"]] == [
        (None, False, 24),
        (str(own), True, 12),
    ]
    people = await get(own_points, actor("resident", household_id=own), "all", kind="person")
    assert [item["subject_id"] for item in people["items"]] == [None, None]
    assert set(await scores(own_points)) == {str(own), str(other)}


async def test_staff_may_look_up_anybodys_place_and_residents_their_own_alone(own_points: Points) -> None:
    first, second = new_id(), new_id()
    await helped(own_points, first, 120)
    await helped(own_points, second, 60)
    clerk, neighbour = actor("social_worker"), actor("resident", household_id=second)
    found = await get(own_points, clerk, f"all/{first}")
    assert (found["rank"], found["score"], found["size"], found["subject_id"]) == (1, 24, 2, str(first))
    assert (await get(own_points, neighbour, f"all/{second}"))["rank"] == 2
    assert (await get(own_points, clerk, f"all/{new_id()}"))["rank"] is None
    refused = [(neighbour, f"all/{first}", {}), (neighbour, f"all/{new_id()}", {"ledger": "staff", "kind": "unit"})]
    for who, path, params in refused:
        async with own_points.client(who) as client:
            answer = await client.get(f"/api/points/boards/{path}", params=params)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await get(own_points, neighbour, f"all/{new_id()}", kind="community"))["score"] == 0


async def test_a_family_that_joined_another_is_looked_up_where_it_is_now(own_points: Points) -> None:
    old, new = Family(), Family()
    await helped(own_points, old.id, 60)
    await own_points.tell(old.dissolved(1, new.id))
    found = await get(own_points, AUDITOR, f"all/{old.id}")
    assert (found["subject_id"], found["rank"], found["score"]) == (str(new.id), 1, 12)


async def test_the_staff_ledgers_boards_are_not_shown_to_residents(points: Points) -> None:
    for role, status in (("resident", 403), ("merchant", 403), ("handler", 200), ("auditor", 200)):
        async with points.client(actor(role)) as client:
            answer = await client.get("/api/points/boards/month", params={"ledger": "staff", "kind": "person"})
        assert answer.status_code == status, role
    mine = await get(points, actor("resident"), "month/mine")
    assert {item["ledger"] for item in mine["items"]} == {"civic"}


async def test_the_number_that_a_board_is_of_is_told(own_points: Points) -> None:
    assert (await get(own_points, AUDITOR, "all"))["as_of"] == {"sequence": 0, "posted_at": None}
    await helped(own_points, new_id(), 60)
    told = (await get(own_points, AUDITOR, "all"))["as_of"]
    async with own_points.db.transaction() as session:
        [transfer] = await session.scalars(select(TransferRow))
    assert (told["sequence"], datetime.fromisoformat(told["posted_at"])) == (1, transfer.posted_at)


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("day", {}, "path.period"),
        ("week", {"kind": "merchant"}, "query.kind"),
        ("week", {"limit": 101}, "query.limit"),
        ("week", {"at": "2026-03-02T00:00:00"}, "query.at"),
        ("week", {"at": "0001-01-01T00:00:00+14:00"}, "query.at"),
        ("all/mine", {"at": "9999-12-31T23:59:59-12:00"}, "query.at"),
        ("week", {"owner": "me"}, "query.owner"),
    ],
)
async def test_a_board_that_there_is_not_is_refused_by_the_name_of_the_field(
    points: Points, path: str, params: dict[str, Any], field: str
) -> None:
    async with points.client(AUDITOR) as client:
        answer = await client.get(f"/api/points/boards/{path}", params=params)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]
