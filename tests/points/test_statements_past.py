"""What an account was at any moment, what expires of it, and what its lines were for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger.actions import post
from services.points.ledger.core.commands import ExpireLot
from services.points.ledger.terms import household_wallet
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family, Order
from tests.points.postings.desk import ACCOUNTS, HOLDS, ISSUANCE, TRANSFERS, Desk, gift, taking, wallet, wallet_id
from tests.town import actor

START = datetime(2026, 3, 2, 4, tzinfo=UTC)
NEW_YEAR = datetime(2027, 12, 31, 16, tzinfo=UTC)
"""1 January 2028 in Beijing, when points of 2026 have expired."""


@pytest.fixture
def desk(points: Points) -> Desk:
    return Desk(points)


@pytest.fixture
def own_desk(own_points: Points) -> Desk:
    return Desk(own_points)


def state(account: dict[str, Any]) -> tuple[int, int, int, int, int]:
    return account["balance"], account["held"], account["debt"], account["available"], account["version"]


async def test_an_account_is_shown_as_it_was_at_each_moment(own_desk: Desk) -> None:
    home, path = new_id(), ""
    moments: list[tuple[datetime, tuple[int, int, int, int, int]]] = []

    async def note(hours: int) -> None:
        with clock.frozen(START + timedelta(hours=hours)):
            account = await own_desk.account(wallet_id(home))
            moments.append((START + timedelta(hours=hours), state(account)))

    with clock.frozen(START):
        given = await own_desk.give(home, 10)
    await note(1)
    with clock.frozen(START + timedelta(hours=2)):
        lapses_at = (START + timedelta(days=30)).isoformat()
        hold = {"debit": wallet(home), "credit": ISSUANCE, "amount": 7, "lapses_at": lapses_at, "reason": "x"}
        path = f"{HOLDS}/{(await own_desk.done(HOLDS, hold))['hold']['id']}"
    await note(3)
    with clock.frozen(START + timedelta(hours=4)):
        await own_desk.done(TRANSFERS, taking(home, 3))
    await note(5)
    with clock.frozen(START + timedelta(hours=6)):
        await own_desk.done(f"{TRANSFERS}/{given['id']}/reverse", {"reason": "x", "amount": 4})
    await note(7)
    with clock.frozen(START + timedelta(hours=8)):
        await own_desk.done(f"{path}/post", {"reason": "x", "amount": 6})
    await note(9)
    assert [found for _, found in moments] == [
        (10, 0, 0, 10, 1),
        (10, 7, 0, 3, 1),
        (7, 7, 0, 0, 2),
        (3, 7, 4, -4, 3),
        (-3, 0, 3, -3, 4),
    ]
    with clock.frozen(START + timedelta(days=2)):
        for moment, found in moments:
            assert state(await own_desk.account(wallet_id(home), as_of=moment.isoformat())) == found
        before = (START - timedelta(seconds=1)).isoformat()
        assert state(await own_desk.account(wallet_id(home), as_of=before)) == (0, 0, 0, 0, 0)
        assert state(await own_desk.account(wallet_id(home), as_of=START.isoformat())) == moments[0][1]
        later = (START + timedelta(days=99)).isoformat()
        assert state(await own_desk.account(wallet_id(home), as_of=later)) == moments[-1][1]


async def test_points_that_have_expired_are_not_shown_as_spendable_swept_or_not(own_desk: Desk) -> None:
    home = new_id()
    with clock.frozen(START):
        lot = await own_desk.give(home, 10)
    with clock.frozen(NEW_YEAR - timedelta(seconds=1)):
        assert state(await own_desk.account(wallet_id(home))) == (10, 0, 0, 10, 1)
    overdue, swept = NEW_YEAR + timedelta(hours=1), NEW_YEAR + timedelta(hours=2)
    with clock.frozen(overdue):
        assert state(await own_desk.account(wallet_id(home))) == (10, 0, 0, 0, 1)
        mine = await own_desk.points.account(actor("resident", household_id=home), "civic")
        assert (mine["balance"], mine["available"]) == (10, 0)
    with clock.frozen(swept):
        async with own_desk.points.db.transaction() as session:
            await post(session, ExpireLot(lot_id=UUID(lot["id"])))
    with clock.frozen(NEW_YEAR + timedelta(hours=3)):
        assert state(await own_desk.account(wallet_id(home))) == (0, 0, 0, 0, 2)
        assert state(await own_desk.account(wallet_id(home), as_of=overdue.isoformat())) == (10, 0, 0, 0, 1)
        just_before = (NEW_YEAR - timedelta(seconds=1)).isoformat()
        assert state(await own_desk.account(wallet_id(home), as_of=just_before)) == (10, 0, 0, 10, 1)
    await own_desk.points.check()


async def test_what_was_held_before_two_households_became_one_was_each_ones_own(own_desk: Desk) -> None:
    old, new = Family(), Family()
    paths: dict[UUID, str] = {}
    with clock.frozen(START):
        for family, amount in ((old, 4), (new, 5)):
            await own_desk.give(family.id, 10)
            lapses_at = (START + timedelta(days=30)).isoformat()
            hold = {"debit": wallet(family.id), "credit": ISSUANCE, "amount": amount, "lapses_at": lapses_at}
            made = await own_desk.done(HOLDS, hold | {"reason": "x"})
            paths[family.id] = f"{HOLDS}/{made['hold']['id']}"
    with clock.frozen(START + timedelta(hours=2)):
        await own_desk.points.tell(old.dissolved(2, new.id))
    with clock.frozen(START + timedelta(hours=4)):
        await own_desk.done(f"{paths[old.id]}/void", {"reason": "x"}, status=200)
    with clock.frozen(START + timedelta(hours=6)):
        await own_desk.done(f"{paths[new.id]}/post", {"reason": "x"})
    with clock.frozen(START + timedelta(hours=8)):
        past = [
            [
                state(await own_desk.account(wallet_id(family.id), as_of=(START + timedelta(hours=hours)).isoformat()))
                for hours in (1, 3, 5, 7)
            ]
            for family in (old, new)
        ]
    assert past == [
        [(10, 4, 0, 6, 1), (0, 0, 0, 0, 2), (0, 0, 0, 0, 2), (0, 0, 0, 0, 2)],
        [(10, 5, 0, 5, 1), (20, 9, 0, 11, 2), (20, 5, 0, 15, 2), (15, 0, 0, 15, 3)],
    ]


async def test_a_household_sees_what_expires_when(own_desk: Desk) -> None:
    home = new_id()
    member = actor("resident", household_id=home)
    with clock.frozen(START):
        await own_desk.give(home, 10)
        lapses_at = (START + timedelta(days=30)).isoformat()
        hold = {"debit": wallet(home), "credit": ISSUANCE, "amount": 4, "lapses_at": lapses_at, "reason": "x"}
        await own_desk.done(HOLDS, hold)
    with clock.frozen(START + timedelta(days=365)):
        await own_desk.give(home, 5)
        answer = await own_desk.get(f"{ACCOUNTS}/{wallet_id(home)}/expiring", who=member)
    assert answer.json() == {
        "items": [
            {"expires_at": "2027-12-31T16:00:00Z", "last_day": "2027-12-31", "points": 6, "held": 4},
            {"expires_at": "2028-12-31T16:00:00Z", "last_day": "2028-12-31", "points": 5, "held": 0},
        ],
        "next_cursor": None,
    }
    other = await own_desk.get(f"{ACCOUNTS}/{wallet_id(home)}/expiring", who=actor("resident", household_id=new_id()))
    assert (other.status_code, other.json()["code"]) == (404, "account_not_found")


async def test_a_line_of_expiry_says_which_points_expired_and_what_they_were_for(own_desk: Desk) -> None:
    attendance = Attendance()
    member = actor("resident", household_id=attendance.household_id)
    with clock.frozen(START):
        await own_desk.points.tell(attendance.verified(60))
        [award] = await own_desk.points.entries(member, "civic")
    with clock.frozen(NEW_YEAR + timedelta(hours=1)):
        async with own_desk.points.db.transaction() as session:
            await post(session, ExpireLot(lot_id=UUID(award["transfer_id"])))
        [expiry, _] = await own_desk.points.entries(member, "civic")
        assert expiry.items() >= {"code": "expiry", "amount": -12, "lot": award["transfer_id"]}.items()
        assert expiry["activity"] == award["activity"] == {"id": str(attendance.activity_id), "title": attendance.title}
        await own_desk.done(f"{TRANSFERS}/{award['transfer_id']}/reverse", {"reason": "缺勤"})
        [reversal, back, _, _] = await own_desk.points.entries(member, "civic")
    assert back.items() >= {"code": "reversal", "amount": 12, "reverses": expiry["transfer_id"]}.items()
    assert (back["lot"], back["activity"]) == (award["transfer_id"], award["activity"])
    assert reversal.items() >= {"amount": -12, "reverses": award["transfer_id"], "reason": "缺勤"}.items()
    assert reversal["activity"] == award["activity"]


async def test_a_line_by_hand_says_why(desk: Desk) -> None:
    home = new_id()
    await desk.done(TRANSFERS, gift(home, 5, reason="补记 3 月志愿服务"))
    [line] = await desk.points.entries(actor("resident", household_id=home), "civic")
    assert line.items() >= {"code": "adjustment", "reason": "补记 3 月志愿服务", "fact": None, "order": None}.items()


async def test_entries_are_found_by_code_time_reference_and_fact(desk: Desk) -> None:
    handler, order, reference = actor("handler"), Order(), str(new_id())
    closed = order.closed(handler.id)
    await desk.points.tell(order.claimed(handler.id), order.met(handler.id), closed)
    middle = clock.now().isoformat()
    account = await desk.points.account(handler, "staff")
    body = {"credit": account["id"], "amount": 5, "reason": "x", "reference": reference}
    await desk.done(TRANSFERS, body | {"debit": {"ledger": "staff", "owner_kind": "system", "purpose": "issuance"}})
    path = f"{ACCOUNTS}/{account['id']}/entries"

    async def amounts(**params: Any) -> list[int]:
        return [item["amount"] for item in await desk.items(path, who=handler, **params)]

    assert await amounts() == [5, 20, 10, 3, 2]
    assert await amounts(code="award", limit=1) == [20, 10, 3, 2]
    assert await amounts(code="adjustment") == await amounts(reference=reference) == [5]
    assert await amounts(as_of=middle) == await amounts(to=middle) == [20, 10, 3, 2]
    assert await amounts(**{"from": middle}) == [5]
    assert await amounts(fact=str(closed.data["closure_id"])) == [20, 10]
    assert await amounts(fact=str(new_id())) == await amounts(code="merger") == []
    cursor = (await desk.get(path, who=handler, code="award", limit=1)).json()["next_cursor"]
    for params in ({}, {"code": "adjustment"}, {"code": "award", "as_of": middle}):
        answer = await desk.get(path, who=handler, cursor=cursor, limit=1, **params)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_after_a_merger_the_lines_of_both_wallets_can_be_read_by_who_has_them_now(points: Points) -> None:
    old, new = Family(), Family()
    await points.tell(Attendance(household_id=old.id).verified(60), old.dissolved(2, new.id))
    member = actor("resident", household_id=new.id)
    [line] = await points.entries(member, "civic")
    assert line.items() >= {"code": "merger", "amount": 12, "merged": str(household_wallet(old.id).id)}.items()
    path = f"{ACCOUNTS}/{line['merged']}"
    async with points.client(member) as client:
        account = (await client.get(path)).json()
        lines = (await client.get(f"{path}/entries")).json()["items"]
    assert account.items() >= {"balance": 0, "merged_into": str(household_wallet(new.id).id)}.items()
    assert [item["amount"] for item in lines] == [-12, 12]
    assert lines[0]["merged"] == str(household_wallet(new.id).id)
    async with points.client(actor("resident", household_id=new_id())) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("part", ["", "/entries", "/expiring", "/statement.csv", "/statement.xlsx"])
async def test_an_account_of_others_is_shown_to_auditors_and_administrators_alone(desk: Desk, part: str) -> None:
    home = new_id()
    await desk.give(home, 1)
    path = f"{ACCOUNTS}/{wallet_id(home)}{part}"
    for who, status in [
        (actor("resident", household_id=home), 200),
        (actor("resident", household_id=new_id()), 404),
        (actor("supervisor"), 404),
        (actor("auditor"), 200),
        (actor("administrator"), 200),
    ]:
        assert (await desk.get(path, who=who)).status_code == status
    async with desk.points.client() as client:
        assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize("as_of", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z"])
async def test_a_moment_that_is_none_is_refused_by_name(desk: Desk, as_of: str) -> None:
    handler = actor("handler")
    account = await desk.points.account(handler, "staff")
    answer = await desk.get(f"{ACCOUNTS}/{account['id']}", who=handler, as_of=as_of)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == ["query.as_of"]
