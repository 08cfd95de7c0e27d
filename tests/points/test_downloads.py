"""Spreadsheets are made a few at a time, and whoever comes when all places are taken is told to come again."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message

from chassis.core.ids import new_id
from services.points.downloads import Spreadsheets, TooManySpreadsheets
from tests.points.conftest import Points
from tests.points.postings.desk import ACCOUNTS, Desk, wallet_id
from tests.town import actor


class Receiver:
    """Takes one file."""

    def __init__(self) -> None:
        self.status = 0
        self.content = b""
        self.begun, self.whole = asyncio.Event(), asyncio.Event()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun.set()
            return
        self.content += message["body"]
        if not message["more_body"]:
            self.whole.set()


class Makers:
    """Make files, one for each receiver, once they may."""

    def __init__(self, spreadsheets: Spreadsheets) -> None:
        self._spreadsheets = spreadsheets
        self.may = asyncio.Semaphore(0)
        self.begun = asyncio.Event()
        self.at_work = self.most = 0
        self.folders: set[Path] = set()

    async def _make(self, path: Path) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.folders.add(path.parent)
        self.begun.set()
        await self.may.acquire()
        await asyncio.to_thread(path.write_bytes, bytes(1_000_000))
        self.at_work -= 1

    async def serve(self, receiver: Receiver) -> None:
        async def nothing_more() -> Message:
            raise AssertionError("nobody asks whether the receiver is there still")

        answer = self._spreadsheets.answer(self._make, "x.xlsx")
        await answer({"type": "http", "method": "GET"}, nothing_more, receiver.take)


async def test_the_answer_begins_before_the_file_is_made_so_that_nobody_in_between_gives_up() -> None:
    makers, receiver = Makers(Spreadsheets()), Receiver()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(makers.serve(receiver))
        await receiver.begun.wait()
        assert (receiver.status, receiver.content) == (200, b"")
        makers.may.release()
    assert receiver.content == bytes(1_000_000)
    assert not any(folder.exists() for folder in makers.folders)


async def test_of_ten_spreadsheets_two_are_made_at_once_and_all_are_sent() -> None:
    makers, receivers = Makers(Spreadsheets(at_once=2)), [Receiver() for _ in range(10)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for receiver in receivers:
            tasks.create_task(makers.serve(receiver))
        for receiver in receivers:
            await receiver.begun.wait()
        for _ in receivers:
            makers.may.release()
    assert makers.most == 2
    assert {receiver.content for receiver in receivers} == {bytes(1_000_000)}


async def test_one_that_cannot_be_made_gives_its_turn_to_the_next() -> None:
    spreadsheets = Spreadsheets(at_once=1)
    makers, receiver = Makers(spreadsheets), Receiver()
    makers.may.release()

    async def fail(path: Path) -> None:
        await asyncio.to_thread(path.write_bytes, b"half of it")
        raise ZeroDivisionError

    broken = Receiver()
    with pytest.raises(ZeroDivisionError):
        await spreadsheets.answer(fail, "x.xlsx")({"type": "http"}, asyncio.Future, broken.take)
    assert broken.content == b""
    assert not broken.whole.is_set(), "whoever takes it must see that it is not whole"
    await makers.serve(receiver)
    assert receiver.whole.is_set()


async def test_one_that_is_abandoned_keeps_its_turn_and_its_place_until_it_is_made_and_leaves_nothing() -> None:
    spreadsheets = Spreadsheets(at_once=1, places=2)
    makers, receiver = Makers(spreadsheets), Receiver()

    async def ask(receiver: Receiver) -> None:
        with spreadsheets.place():
            await makers.serve(receiver)

    abandoned = asyncio.create_task(ask(Receiver()))
    async with asyncio.timeout(60):
        await makers.begun.wait()
        waiting = asyncio.create_task(ask(receiver))
        await receiver.begun.wait()
        abandoned.cancel()
        await asyncio.wait([abandoned])
        [folder] = makers.folders
        assert (abandoned.cancelled(), folder.exists()) == (True, True)
        with pytest.raises(TooManySpreadsheets), spreadsheets.place():
            pass
        makers.may.release()
        makers.may.release()
        await waiting
    assert (makers.most, receiver.content) == (1, bytes(1_000_000))
    assert not any(folder.exists() for folder in makers.folders)
    with spreadsheets.place(), spreadsheets.place():
        pass


async def test_one_that_is_abandoned_before_its_turn_is_not_made() -> None:
    makers, receiver = Makers(Spreadsheets(at_once=1)), Receiver()
    first, abandoned = asyncio.create_task(makers.serve(receiver)), Receiver()
    async with asyncio.timeout(60):
        await makers.begun.wait()
        waiting = asyncio.create_task(makers.serve(abandoned))
        await abandoned.begun.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        makers.may.release()
        await first
        makers.may.release()
        await makers.serve(Receiver())
    assert len(makers.folders) == 2


def test_places_are_given_back() -> None:
    spreadsheets = Spreadsheets(places=2)
    with spreadsheets.place():
        with spreadsheets.place(), pytest.raises(TooManySpreadsheets), spreadsheets.place():
            pass
        with spreadsheets.place():
            pass


async def test_a_household_is_told_to_come_again_when_too_many_want_spreadsheets(
    points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, home, spreadsheets = Desk(points), new_id(), Spreadsheets(places=1)
    member = actor("resident", household_id=home)
    await desk.give(home, 5)
    path = f"{ACCOUNTS}/{wallet_id(home)}/statement"
    monkeypatch.setattr(points.town.apps["points"].state, "spreadsheets", spreadsheets)
    for _ in range(3):
        assert (await desk.get(f"{path}.xlsx", who=member)).status_code == 200
    with spreadsheets.place():
        refused = await desk.get(f"{path}.xlsx", who=member)
        assert (await desk.get(f"{path}.csv", who=member)).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_spreadsheets")
    assert refused.headers["retry-after"] == "30"
