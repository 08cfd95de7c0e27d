"""Many tills, many repetitions, and a database that is slow: one effect, and an answer that can be relied on."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.errors import Unavailable
from services.points.ledger.writer import Writer
from services.points.merchants import operations, queries
from services.points.merchants.errors import OutRequestNoConflict
from services.points.merchants.schemas import UseIn
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Answer, Caller, NumberKey, Operation
from tests.points.merchants.conftest import Market, Till, refusal
from tests.points.merchants.refusals import (
    CONFLICT,
    COUPON_LOCKED,
    COUPON_NOT_USED,
    COUPON_USED,
    REQUEST_NOT_FOUND,
)


def number_of(till: Till, out_request_no: str) -> NumberKey:
    return NumberKey(till.id, False, Operation.USE, out_request_no)


async def test_ten_tills_with_one_coupon_one_takes_it(market: Market) -> None:
    tills = [await market.till() for _ in range(10)]
    _, coupon = await market.coupon(*tills)
    answers = await asyncio.gather(*(till.use(coupon["code"]) for till in tills))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {COUPON_USED}
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


async def test_ten_tills_that_want_one_coupon_kept_one_has_it(market: Market) -> None:
    tills = [await market.till() for _ in range(10)]
    _, coupon = await market.coupon(*tills)
    answers = await asyncio.gather(*(till.lock(coupon["code"]) for till in tills))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {COUPON_LOCKED}
    uses = await asyncio.gather(*(till.use(coupon["code"]) for till in tills))
    assert [use.status_code for use in uses] == [answer.status_code for answer in answers]
    assert sum([await market.shop.payable(till) for till in tills]) == 12


@pytest.mark.parametrize("where", ["live", "sandbox"])
async def test_each_operations_number_ten_times_at_once_has_one_effect_and_ten_equal_answers(
    market: Market, till: Till, where: str
) -> None:
    if where == "live":
        by, (_, coupon) = till, await market.coupon(till)
        code, coupon_id = coupon["code"], coupon["id"]
    else:
        by = Till(market, till.id, till.mchid, till.key.renamed())
        await market.record(by, by.key, sandbox=True)
        issued = (await by.call("POST", "/sandbox/coupons", {})).json()
        code, coupon_id = issued["coupon_code"], issued["coupon_id"]

    async def ten(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        answers = await asyncio.gather(*(by.call("POST", f"/coupons/{operation}", body) for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        assert len({answer.content for answer in answers}) == 1
        return dict(answers[0].json())

    shown, named = by.body(code, use_time=None), by.body(coupon_id=coupon_id, use_time=None)
    locked = await ten("lock", shown)
    assert locked["state"] == "LOCKED"
    assert (await ten("unlock", named))["state"] == "EFFECTIVE"
    used = await ten("use", by.body(prepare_token=locked["prepare_token"]))
    owed = 12 if where == "live" else 0
    assert await market.shop.payable(till) == owed
    assert (await ten("return", named | {"use_no": used["use_no"]}))["state"] == "EFFECTIVE"
    assert await market.shop.payable(till) == 0
    await market.shop.check()


async def test_a_use_and_its_return_race_and_the_coupon_is_whole(market: Market, till: Till) -> None:
    """Two tills undo the same use at once, under numbers of their own: one does."""
    _, coupon = await market.coupon(till)
    used = await till.use(coupon["code"])
    answers = await asyncio.gather(*(till.give_back(used) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert {refusal(each) for each in answers if each.status_code == 409} == {COUPON_NOT_USED}
    assert await market.shop.payable(till) == 0
    await market.shop.check()


async def test_the_same_number_for_two_coupons_at_once_takes_one_of_them(market: Market, till: Till) -> None:
    coupons = [(await market.coupon(till))[1] for _ in range(2)]
    number, at = f"R{secrets.token_hex(8)}", clock.now().isoformat()
    answers = await asyncio.gather(
        *(till.use(coupon["code"], out_request_no=number, use_time=at) for coupon in coupons * 3)
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 3
    assert {refusal(each) for each in answers if each.status_code == 409} == {CONFLICT}
    assert await market.shop.payable(till) == 12


async def test_tills_of_several_processes_that_repeat_one_number_have_one_effect(market: Market, till: Till) -> None:
    """Each process has a queue and a writer of its own; they meet in the database."""
    with clock.frozen(clock.now()):  # codes are right for half a minute
        runtime = market.points.town.runtime("points")
        writers = [Writer(runtime.db, runtime.vault, runtime.metrics) for _ in range(5)]
        _, coupon = await market.coupon(till)
        caller = Caller(till.id, till.mchid, till.key.serial_no, till.key.algorithm, sandbox=False, suspended=False)
        wanted = UseIn.model_validate(till.body(coupon["code"]))
        deed = operations.deed_for(number_of(till, "R00000001"))
        asked = [operations.use_asked(runtime.vault, caller, wanted) for _ in range(10)]
        answers = await asyncio.gather(*(writers[n % 5].submit(deed, each) for n, each in enumerate(asked)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert await market.shop.payable(till) == 12
        await market.shop.check()


async def test_many_uses_of_one_batch_are_each_judged_by_themselves(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The used, the wrong, the repeated and the contradictory beside the good ones: nobody gets another's answer."""
    kept: list[list[NumberKey]] = []
    keep_answers = queries.keep_answers

    async def seen(session: AsyncSession, answered: list[MerchantRequest]) -> None:
        kept.append([request.number for request in answered])
        await keep_answers(session, answered)

    monkeypatch.setattr(queries, "keep_answers", seen)
    with clock.frozen(clock.now()):  # codes are right for half a minute
        runtime = market.points.town.runtime("points")
        writer = Writer(runtime.db, runtime.vault, runtime.metrics)
        coupons = [(await market.coupon(till))[1] for _ in range(3)]
        caller = Caller(till.id, till.mchid, till.key.serial_no, till.key.algorithm, sandbox=False, suspended=False)
        good = [till.body(coupon["code"]) for coupon in coupons]
        [wrong] = await market.shop.wrong(coupons[0]["id"])
        bodies = [
            *good,
            good[0],
            good[1] | {"out_trade_no": "T2"},
            till.body(coupons[2]["code"]),
            till.body(wrong),
            till.body(coupons[0]["code"], store_id="nowhere"),
        ]
        deed = operations.deed_for(number_of(till, "R00000001"))
        asked = [operations.use_asked(runtime.vault, caller, UseIn.model_validate(body)) for body in bodies]
        answers = await asyncio.gather(*(writer.submit(deed, each) for each in asked), return_exceptions=True)
        conflict = answers.pop(4)
        assert isinstance(conflict, OutRequestNoConflict)
        said = [answer for answer in answers if isinstance(answer, Answer)]
        codes = [json.loads(answer.body).get("code", "USED") for answer in said]
        assert codes == ["USED", "USED", "USED", "USED", "COUPON_USED", "COUPON_NOT_FOUND", "NO_AUTH"]
        assert said[3] == said[0]
        assert all(len(numbers) == len(set(numbers)) for numbers in kept), "what is repeated is not decided again"
        assert await market.shop.payable(till) == 36
        await market.shop.check()


async def test_a_deadlock_is_nothing_that_a_till_hears_of(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, coupon = await market.coupon(till)
    tries: list[AsyncSession] = []
    keep_answers = queries.keep_answers

    async def deadlocked_twice(session: AsyncSession, *arguments: Any) -> None:
        tries.append(session)
        if len(tries) < 3:
            await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        await keep_answers(session, *arguments)

    monkeypatch.setattr(queries, "keep_answers", deadlocked_twice)
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
        patch.setattr(queries, "keep_answers", failing)
        assert refusal(await till.call("POST", "/coupons/use", body)) == (503, "SYSTEM_ERROR")
    asked = await till.call("GET", f"/requests/use/{body['out_request_no']}")
    assert refusal(asked) == REQUEST_NOT_FOUND
    assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "EFFECTIVE"
    assert await market.shop.payable(till) == 0
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200
    await market.shop.check()
