"""A ledger that is busy: who waits for it, how long, and what is told meanwhile."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.client import Directory
from services.points.app import create_app
from services.points.ledger.queries import lock_ledgers
from services.points.merchants import numbers, queries
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import NumberKey, Operation
from services.points.settings import PointsSettings
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key, Market, Till, market_of, refusal
from tests.points.merchants.refusals import (
    CONFLICT,
    REQUEST_IN_PROGRESS,
    REQUEST_NOT_FOUND,
)

PROMISED_SECONDS = numbers.WAIT_SECONDS  # before the tests become patient


async def hold_the_ledger(session: AsyncSession) -> None:
    """As another process does while it works on a batch, for as long as the test takes."""
    await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    await lock_ledgers(session, [LedgerName.CIVIC])


async def until_somebody_waits(observer: AsyncSession) -> None:
    """Until a statement waits for a lock that another transaction holds."""
    waits = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%')"
    )
    async with asyncio.timeout(60):
        while not await observer.scalar(waits):
            await asyncio.sleep(0.01)
            await observer.execute(text("SELECT pg_stat_clear_snapshot()"))


def number_of(till: Till, out_request_no: str) -> NumberKey:
    return NumberKey(till.id, False, Operation.USE, out_request_no)


def test_a_till_waits_five_seconds_at_most(market: Market) -> None:
    """The protocol promises it, and tills set their own time limits by it."""
    settings = market.points.town.settings("points")
    assert isinstance(settings, PointsSettings)
    turns = create_app(settings, Directory()).state.merchant_numbers  # as it is before the tests become patient
    assert (PROMISED_SECONDS, turns._wait_seconds) == (5, 5)


async def test_while_another_process_may_be_at_work_on_a_number_one_waits_and_is_told_so(
    own_points: Points, rsa_keys: list[Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does under the number, it does behind the ledger's lock."""
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    monkeypatch.setattr(numbers, "WAIT_SECONDS", 1)
    await own_points.town.start("points", lock_timeout_seconds=0.3)
    asked = f"/requests/use/{body['out_request_no']}"
    async with market.db.sessions() as elsewhere:
        await hold_the_ledger(elsewhere)
        for answer, expected in (
            (await till.call("GET", asked), REQUEST_IN_PROGRESS),
            (await till.call("POST", "/coupons/use", body), (503, "SYSTEM_ERROR")),
        ):
            assert refusal(answer) == expected
            assert int(answer.headers["Retry-After"]) >= 1
        await elsewhere.rollback()
    assert refusal(await till.call("GET", asked)) == REQUEST_NOT_FOUND
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_who_asks_what_became_of_a_request_waits_for_another_process_and_gets_its_answer(
    market: Market, till: Till
) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    number = number_of(till, body["out_request_no"])
    answered = MerchantRequest(
        merchant_id=number.merchant_id,
        sandbox=number.sandbox,
        operation=number.operation,
        out_request_no=number.out_request_no,
        parameters_hash=b"other parameters",
        coupon_id=coupon["id"],
        status=409,
        answer=b'{"code":"COUPON_USED"}',
        answered_at=clock.now(),
    )
    async with market.db.sessions() as elsewhere, market.db.transaction() as observer:
        await hold_the_ledger(elsewhere)
        waiting = asyncio.create_task(till.call("GET", f"/requests/use/{number.out_request_no}"))
        await until_somebody_waits(observer)
        await queries.keep_answers(elsewhere, [answered])
        await elsewhere.commit()
    assert (await waiting).json()["answer"] == {"code": "COUPON_USED"}
    assert refusal(await till.call("POST", "/coupons/use", body)) == CONFLICT


async def test_who_waits_for_its_turn_and_then_for_the_ledger_waits_five_seconds_in_all(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A till has a time limit of its own: the answer that nothing is known yet must come before it."""
    monkeypatch.setattr(numbers, "WAIT_SECONDS", 0.4)
    turns = market.points.town.apps["points"].state.merchant_numbers
    turn, queued = turns.turn, asyncio.Event()

    def seen(number: NumberKey) -> AbstractAsyncContextManager[None]:
        queued.set()
        waiting: AbstractAsyncContextManager[None] = turn(number)
        return waiting

    monkeypatch.setattr(turns, "turn", seen)
    async with market.db.sessions() as elsewhere:
        await hold_the_ledger(elsewhere)
        async with turn(number_of(till, "R-waits-01")):
            asked = asyncio.create_task(till.call("GET", "/requests/use/R-waits-01"))
            await asyncio.wait_for(queued.wait(), 60)
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.3)  # all that it had is over; a second wait of its own would not be
        await elsewhere.rollback()
    assert refusal(await asked) == REQUEST_IN_PROGRESS


async def test_who_asks_after_unknown_numbers_while_the_ledger_is_busy_takes_no_connection_from_others(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    """Every till asks what became of its requests when answers are slow: that must not stop the other tills."""
    await own_points.town.start("points", db_pool_size=4, db_pool_overflow=0)
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    _, coupon = await market.coupon(till)
    async with market.db.sessions() as elsewhere, market.db.transaction() as observer:
        await hold_the_ledger(elsewhere)
        asked = [asyncio.create_task(till.call("GET", f"/requests/use/unknown-{number}")) for number in range(6)]
        await until_somebody_waits(observer)
        assert (await till.call("GET", f"/coupons/{coupon['id']}")).status_code == 200
        await elsewhere.rollback()
        assert {refusal(answer) for answer in await asyncio.gather(*asked)} == {REQUEST_NOT_FOUND}


async def test_while_this_process_works_on_a_number_one_waits_and_is_told_so(
    own_market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await own_market.till()
    _, coupon = await own_market.coupon(till)
    body = till.body(coupon["code"])
    turnstile = own_market.points.town.apps["points"].state.merchant_numbers
    monkeypatch.setattr(turnstile, "_wait_seconds", 0.2)
    async with turnstile.turn(number_of(till, body["out_request_no"])):
        for answer in (
            await till.call("POST", "/coupons/use", body),
            await till.call("GET", f"/requests/use/{body['out_request_no']}"),
        ):
            assert refusal(answer) == REQUEST_IN_PROGRESS
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_a_busy_ledger_is_no_answer_that_counts(own_points: Points, rsa_keys: list[Key]) -> None:
    """5xx: repeat with the same number. Nothing was decided."""
    await own_points.town.start("points", lock_timeout_seconds=0.3)
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    async with market.db.sessions() as elsewhere:
        await hold_the_ledger(elsewhere)
        busy = await till.call("POST", "/coupons/use", body)
        assert refusal(busy) == (503, "SYSTEM_ERROR")
        assert busy.headers["Retry-After"]
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200
