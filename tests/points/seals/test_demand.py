"""Heads on demand: however many ask for a receipt, one head is made at a time, and nobody is handed one too old."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chassis.core import clock
from services.points.seals import actions, demand
from services.points.seals.actions import Sealing
from services.points.seals.demand import OnDemand
from services.points.seals.errors import NotSealedYet, SealBroken
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName
from tests.points.seals.conftest import Sealed

CIVIC = LedgerName.CIVIC


class Made:
    """Stands in for sealing: a head is made when the test says so, over what has been posted when it was begun."""

    def __init__(self) -> None:
        self.posted = 0
        self.begun = 0
        self.finish = asyncio.Semaphore(0)
        self.fails: Exception | None = None

    async def seal(self, sealing: Sealing, ledger: LedgerName, *, at_most: int) -> SealHead:
        size = self.posted
        self.begun += 1
        await self.finish.acquire()
        if self.fails:
            raise self.fails
        return SealHead(ledger=ledger, size=size, root=b"", checkpoint=f"{self.begun}", signed_at=clock.now())

    async def is_begun(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.begun < count:  # noqa: ASYNC110  # what is waited for is a number
                await asyncio.sleep(0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()
    monkeypatch.setattr(actions, "seal", made.seal)
    monkeypatch.setattr(demand, "_PACE_SECONDS", 0.0)
    return made


@pytest.fixture
async def on_demand(sealed: Sealed) -> AsyncIterator[OnDemand]:
    on_demand = OnDemand(sealed.sealing)
    yield on_demand
    await on_demand.close()


async def all_waiting() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_asks_while_a_head_is_made_shares_the_next_and_finds_their_transfer_in_it(
    made: Made, on_demand: OnDemand
) -> None:
    made.posted = 1
    first = asyncio.create_task(on_demand.head(CIVIC))
    await made.is_begun(1)
    made.posted = 7
    others = [asyncio.create_task(on_demand.head(CIVIC)) for _ in range(20)]
    await all_waiting()
    made.finish.release()
    assert (await first).size == 1
    await made.is_begun(2)
    made.finish.release()
    assert [head.size for head in await asyncio.gather(*others)] == [7] * 20
    assert made.begun == 2


async def test_the_ledgers_do_not_wait_for_one_another(made: Made, on_demand: OnDemand) -> None:
    asked = [asyncio.create_task(on_demand.head(ledger)) for ledger in LedgerName]
    await made.is_begun(2)
    for _ in asked:
        made.finish.release()
    assert [head.ledger for head in await asyncio.gather(*asked)] == list(LedgerName)


async def test_somebody_who_hangs_up_takes_no_receipt_from_those_who_wait_with_them(
    made: Made, on_demand: OnDemand
) -> None:
    first, second = (asyncio.create_task(on_demand.head(CIVIC)) for _ in range(2))
    await made.is_begun(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    made.finish.release()
    assert (await second).size == 0
    assert made.begun == 1


async def test_a_broken_ledger_is_told_to_all_who_ask_and_is_looked_at_anew_later(
    made: Made, on_demand: OnDemand
) -> None:
    made.fails = SealBroken("Transfer 4 of the civic ledger is missing.")
    asked = [asyncio.create_task(on_demand.head(CIVIC)) for _ in range(3)]
    await made.is_begun(1)
    made.finish.release()
    assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [SealBroken] * 3
    made.fails = None
    made.finish.release()
    assert (await on_demand.head(CIVIC)).size == 0


async def test_asking_often_does_not_make_a_head_each_time(
    made: Made, on_demand: OnDemand, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.finish.release()
    await on_demand.head(CIVIC)
    monkeypatch.setattr(demand, "_PACE_SECONDS", 3600.0)
    monkeypatch.setattr(demand, "_WAIT_SECONDS", 0.01)
    for _ in range(3):
        with pytest.raises(NotSealedYet):
            await on_demand.head(CIVIC)
    assert made.begun == 1


async def test_a_service_that_stops_does_not_wait_for_a_head(made: Made, on_demand: OnDemand) -> None:
    asked = asyncio.create_task(on_demand.head(CIVIC))
    await made.is_begun(1)
    await on_demand.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
