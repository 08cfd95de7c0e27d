"""The boards equal the ledger, whatever happened and however they were brought up to it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from chassis.core import clock
from services.points.boards import actions
from services.points.boards.jobs import follow
from services.points.boards.tables import BoardMark
from services.points.ledger.tables import Ledger
from services.points.terms import LedgerName
from tests.points.boards.history import START, History, play
from tests.points.boards.recount import recount, stored
from tests.points.conftest import Points
from tests.points.facts import Attendance, Order
from tests.town import actor

AUDITOR = actor("auditor")


async def board(points: Points, period: str = "all", **params: Any) -> dict[str, Any]:
    async with points.client(AUDITOR) as client:
        answer = await client.get(f"/api/points/boards/{period}", params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def assert_equal_to_the_ledger(points: Points) -> None:
    async with points.db.transaction() as session:
        marks = {mark.ledger: mark.sequence for mark in await session.scalars(select(BoardMark))}
        last = {ledger.name: ledger.last_sequence for ledger in await session.scalars(select(Ledger))}
        assert marks == last
        assert await stored(session) == await recount(session, marks)


@pytest.mark.parametrize(("seed", "stride"), [(1, 3), (2, 5000), (3, 7)])
async def test_whatever_happened_every_board_equals_the_ledger(
    own_points: Points, monkeypatch: pytest.MonkeyPatch, seed: int, stride: int
) -> None:
    monkeypatch.setattr(actions, "STRIDE", stride)
    history = History(own_points, seed)
    for step in range(70):
        await history.step()
        if step % history.chance.choice([1, 7, 30]) == 0:
            await board(own_points, ledger="civic")
    for ledger in LedgerName:
        await board(own_points, ledger=ledger)
    await assert_equal_to_the_ledger(own_points)


async def test_boards_that_begin_late_find_all_that_went_before(own_points: Points) -> None:
    await play(own_points, seed=4, steps=40)
    for ledger in LedgerName:
        await board(own_points, ledger=ledger)
    await assert_equal_to_the_ledger(own_points)


async def test_followers_of_two_processes_and_readers_at_once_count_everything_once(
    own_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "STRIDE", 7)
    monkeypatch.setattr("services.points.boards.jobs.PAUSE_SECONDS", 0.01)
    followers = [asyncio.create_task(follow(own_points.town.runtime("points"))) for _ in range(2)]

    async def read() -> None:
        for _ in range(20):
            await board(own_points, ledger="staff")

    with clock.frozen(START):
        handlers = [(AUDITOR.id, AUDITOR.id)]
        told = [fact for _ in range(30) for fact in Order(at=START).handled(handlers[0][0])]
        await asyncio.gather(read(), read(), *[own_points.deliver(*told[n : n + 9]) for n in range(0, len(told), 9)])
    for _ in range(200):
        async with own_points.db.transaction() as session:
            if not await actions.follow_once(session, LedgerName.STAFF):
                break
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    await board(own_points, ledger="civic")
    await board(own_points, ledger="staff")
    await assert_equal_to_the_ledger(own_points)


async def test_a_board_read_while_others_post_is_the_ledger_at_the_number_that_it_names(own_points: Points) -> None:
    handlers = [actor("handler") for _ in range(3)]
    shown: list[dict[str, Any]] = []
    telling = 3

    async def read() -> None:
        while telling:
            shown.append(await board(own_points, ledger="staff", kind="person"))

    async def tell(number: int) -> None:
        nonlocal telling
        for _ in range(5):
            await own_points.deliver(*Order().handled(handlers[number].id))
            seen = len(shown)
            while len(shown) < seen + 2:  # noqa: ASYNC110  # it is read once more, from beginning to end
                await asyncio.sleep(0.001)
        telling -= 1

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for number in range(3):
            group.create_task(tell(number))
    assert len({answer["as_of"]["sequence"] for answer in shown}) > 3, "it was read at several moments"
    for answer in shown:
        numbers = {LedgerName.CIVIC: 0, LedgerName.STAFF: answer["as_of"]["sequence"]}
        async with own_points.db.transaction() as session:
            then = await recount(session, numbers)
        [of_all_time] = [lines for key, lines in then.items() if key[1:3] == ("person", "all")] or [{}]
        assert {item["subject_id"]: item["score"] for item in answer["items"]} == {
            str(who): score for who, score in of_all_time.items()
        }


async def test_an_answer_holds_all_that_was_committed_before_it_was_asked_for(own_points: Points) -> None:
    handler = actor("handler")
    for count in range(1, 6):
        await own_points.tell(Order().claimed(handler.id))
        [line] = (await board(own_points, "month", ledger="staff", kind="person"))["items"]
        assert line["score"] == 2 * count


async def test_too_far_behind_says_so_and_the_follower_makes_it_good(
    own_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST_BEHIND", 2)
    monkeypatch.setattr(actions, "STRIDE", 2)
    await own_points.tell(*[Attendance().verified(60) for _ in range(5)])
    async with own_points.client(AUDITOR) as client:
        answer = await client.get("/api/points/boards/all")
        assert (answer.status_code, answer.json()["code"]) == (503, "boards_behind")
        assert answer.headers["Retry-After"]
        more = True
        while more:
            async with own_points.db.transaction() as session:
                more = await actions.follow_once(session, LedgerName.CIVIC)
        answer = await client.get("/api/points/boards/all")
        assert (answer.status_code, answer.json()["size"]) == (200, 5)
    await board(own_points, ledger="staff")
    await assert_equal_to_the_ledger(own_points)
