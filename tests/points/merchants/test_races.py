"""Many tills, many repetitions, and a database that is slow: one effect, and an answer that can be relied on."""

import asyncio
import secrets
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.errors import Unavailable
from services.points.ledger.queries import lock_ledgers
from services.points.merchants import queries
from services.points.merchants.terms import Answer, NumberKey, Operation
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key, Market, Till, market_of, refusal

USED = (409, "COUPON_USED")
IN_PROGRESS = (409, "REQUEST_IN_PROGRESS")


def number_of(till: Till, out_request_no: str) -> NumberKey:
    return NumberKey(till.id, False, Operation.USE, out_request_no)


async def test_ten_tills_with_one_coupon_one_takes_it(market: Market) -> None:
    tills = [await market.till() for _ in range(10)]
    _, coupon = await market.coupon(*tills)
    answers = await asyncio.gather(*(till.use(coupon["code"]) for till in tills))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {USED}
    assert sorted([await market.shop.payable(till) for till in tills]) == [0] * 9 + [12]
    await market.shop.check()


async def test_ten_tills_of_one_merchant_with_one_coupon_one_takes_it(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    answers = await asyncio.gather(*(till.use(coupon["code"]) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert await market.shop.payable(till) == 12


async def test_the_same_number_ten_times_at_once_has_one_effect_and_ten_equal_answers(
    market: Market, till: Till
) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    answers = await asyncio.gather(*(till.call("POST", "/coupons/use", body) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["HHBY-Nonce"] for answer in answers}) == 10
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_the_same_number_for_two_coupons_at_once_takes_one_of_them(market: Market, till: Till) -> None:
    coupons = [(await market.coupon(till))[1] for _ in range(2)]
    number, at = f"R{secrets.token_hex(8)}", clock.now().isoformat()
    answers = await asyncio.gather(
        *(till.use(coupon["code"], out_request_no=number, use_time=at) for coupon in coupons * 3)
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 3
    assert {refusal(each) for each in answers if each.status_code == 409} == {(409, "OUT_REQUEST_NO_CONFLICT")}
    assert await market.shop.payable(till) == 12


async def test_while_another_process_works_on_a_number_one_waits_and_is_told_so(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "WAIT_SECONDS", 1)
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    number = number_of(till, body["out_request_no"])
    async with market.db.sessions() as elsewhere:
        await queries.claim_number(elsewhere, number, b"", "")
        for answer in (
            await till.call("POST", "/coupons/use", body),
            await till.call("GET", f"/requests/use/{number.out_request_no}"),
        ):
            assert refusal(answer) == IN_PROGRESS
            assert int(answer.headers["Retry-After"]) >= 1
        await elsewhere.rollback()
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_who_waits_for_another_process_gets_its_answer(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    number = number_of(till, body["out_request_no"])
    async with market.db.sessions() as elsewhere:
        await queries.claim_number(elsewhere, number, b"other parameters", "")
        waiting = asyncio.create_task(till.call("GET", f"/requests/use/{number.out_request_no}"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await queries.keep_answer(elsewhere, number, Answer(409, b'{"code":"COUPON_USED"}'), clock.now())
        await elsewhere.commit()
    assert (await waiting).json()["answer"] == {"code": "COUPON_USED"}
    assert refusal(await till.call("POST", "/coupons/use", body)) == (409, "OUT_REQUEST_NO_CONFLICT")


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
            assert refusal(answer) == IN_PROGRESS
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_a_busy_ledger_is_no_answer_that_counts(own_points: Points, rsa_keys: list[Key]) -> None:
    """5xx: repeat with the same number. Nothing was decided."""
    await own_points.town.start("points", lock_timeout_seconds=0.3)
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    async with market.db.sessions() as elsewhere:
        await lock_ledgers(elsewhere, [LedgerName.CIVIC])
        busy = await till.call("POST", "/coupons/use", body)
        assert refusal(busy) == (503, "SYSTEM_ERROR")
        assert busy.headers["Retry-After"]
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


async def test_a_deadlock_is_nothing_that_a_till_hears_of(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, coupon = await market.coupon(till)
    tries: list[AsyncSession] = []
    keep_answer = queries.keep_answer

    async def deadlocked_twice(session: AsyncSession, *arguments: Any) -> None:
        tries.append(session)
        if len(tries) < 3:
            await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        await keep_answer(session, *arguments)

    monkeypatch.setattr(queries, "keep_answer", deadlocked_twice)
    assert (await till.use(coupon["code"])).status_code == 200
    assert len(tries) == 3
    assert await market.shop.payable(till) == 12


async def test_what_fails_after_the_coupon_was_spent_undoes_it_with_the_number(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coupon, ledger and number stand or fall together."""
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])

    async def failing(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(queries, "keep_answer", failing)
        assert refusal(await till.call("POST", "/coupons/use", body)) == (503, "SYSTEM_ERROR")
    asked = await till.call("GET", f"/requests/use/{body['out_request_no']}")
    assert refusal(asked) == (404, "REQUEST_NOT_FOUND")
    assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "EFFECTIVE"
    assert await market.shop.payable(till) == 0
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200
    await market.shop.check()
