"""Paying a month moves exactly its points, once, whoever records it how often."""

import asyncio
from collections import Counter
from datetime import date

import httpx2
import pytest

from chassis.core.ids import new_id
from services.points.ledger.terms import merchants_settled
from services.points.settlement.rules import next_month
from tests.points.settlement.conftest import Office, at_noon, code_of, day


async def settled(office: Office) -> int:
    """What merchants were paid for so far, in points."""
    return await office.balance(merchants_settled())


async def test_a_paid_month_leaves_nothing_owed_and_says_by_what_it_was_paid(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month, 2)
    statement_id = await office.confirmed(merchant, month)
    before = await settled(office)
    with at_noon(day(next_month(month), 20)):
        paid = await office.pay(statement_id, 3000, "ICBC-20290120-1")
    assert paid.status_code == 201, paid.text
    assert paid.json()["statements"] == [statement_id]
    assert await office.shop.payable(merchant) == 0
    assert await settled(office) == before + 24
    statement = await office.statement(statement_id, merchant.manager)
    assert (statement["state"], statement["bank_reference"]) == ("paid", "ICBC-20290120-1")
    assert statement["paid_at"] == paid.json()["paid_at"]
    await office.shop.check()


async def test_uses_of_the_next_month_stay_owed_when_a_month_is_paid(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    await office.draw_up(merchant, month)
    await office.used(merchant, next_month(month), 2)
    statement_id = await office.confirmed(merchant, month)
    with at_noon(day(next_month(month), 20)):
        assert (await office.pay(statement_id, 1500, "B-1")).status_code == 201
    assert await office.shop.payable(merchant) == 24


@pytest.mark.parametrize("amount_fen", [1499, 0, -1500, 3000])
async def test_what_was_not_owed_is_not_paid(office: Office, month: date, amount_fen: int) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.confirmed(merchant, month)
    with at_noon(day(next_month(month), 20)):
        answer = await office.pay(statement_id, amount_fen, "B-1")
    assert code_of(answer) == (422, "amount_differs")
    assert answer.json()["errors"] == [{"name": "body.amount_fen", "reason": "must be 1500"}]
    assert await office.shop.payable(merchant) == 12
    assert (await office.statement(statement_id))["state"] == "confirmed"


async def test_money_is_not_paid_without_what_the_bank_calls_it_nor_under_a_name_twice(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    await office.used(merchant, next_month(month))
    second = await office.confirmed(merchant, next_month(month))
    [first] = [one["id"] for one in await office.statements(merchant, month=f"{month:%Y-%m}")]
    with at_noon(day(next_month(next_month(month)), 20)):
        assert code_of(await office.pay(first, 1500)) == (422, "bank_reference_needed")
        assert (await office.pay(first, 1500, "B-1")).status_code == 201
        assert code_of(await office.pay(second, 1500, "B-1")) == (409, "bank_reference_used")
        assert (await office.pay(second, 1500, "B-2")).status_code == 201


async def test_a_draft_is_not_paid_and_a_month_is_paid_once(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    with at_noon(day(next_month(month), 1)):
        assert code_of(await office.pay(statement_id, 1500, "B-1")) == (409, "statement_not_confirmed")
    await office.confirmed(merchant, next_month(month))
    with at_noon(day(next_month(next_month(month)), 20)):
        assert (await office.pay(statement_id, 1500, "B-1")).status_code == 201
        assert code_of(await office.pay(statement_id, 1500, "B-2")) == (409, "statement_paid")
        assert code_of(await office.pay(str(new_id()), 1500, "B-2")) == (404, "statement_not_found")


async def test_the_same_payment_recorded_again_is_the_first_one(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.confirmed(merchant, month)
    with at_noon(day(next_month(month), 20)):
        answers = [await office.pay(statement_id, 1500, "B-1", key=f"pay-{statement_id}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert await office.shop.payable(merchant) == 0


async def test_of_ten_who_record_a_payment_at_once_one_does(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.confirmed(merchant, month)

    async def pay(number: int) -> httpx2.Response:
        return await office.pay(statement_id, 1500, f"B-{number}")

    with at_noon(day(next_month(month), 20)):
        answers = await asyncio.gather(*map(pay, range(10)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    assert await office.shop.payable(merchant) == 0


async def test_a_month_in_which_more_came_back_than_was_used_is_made_up_for_by_a_later_one(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    second, third = next_month(month), next_month(next_month(month))
    [coupon_id] = await office.used(merchant, month)
    first_id = await office.draw_up(merchant, month)
    with at_noon(day(second, 2)):
        await office.give_back(coupon_id)
    second_id = await office.confirmed(merchant, second)
    with at_noon(day(third, 10)):
        assert (await office.pay(first_id, 1500, "B-1")).status_code == 201
    assert await office.shop.payable(merchant) == -12
    await office.used(merchant, day(third, 11), 3)
    third_id = await office.confirmed(merchant, third)
    with at_noon(day(next_month(third), 20)):
        assert code_of(await office.pay(second_id, 0)) == (422, "amount_differs")
        paid = await office.pay(third_id, 3000, "B-2")
        assert paid.json()["statements"] == [second_id, third_id]
    assert await office.shop.payable(merchant) == 0
    assert {one["state"] for one in await office.statements(merchant)} == {"paid"}
    await office.shop.check()


async def test_what_a_merchant_pays_back_is_recorded_with_a_minus(office: Office, month: date) -> None:
    merchant = await office.partner()
    second = next_month(month)
    [coupon_id] = await office.used(merchant, month)
    first_id = await office.draw_up(merchant, month)
    with at_noon(day(second, 2)):
        await office.give_back(coupon_id)
    second_id = await office.confirmed(merchant, second)
    with at_noon(day(next_month(second), 20)):
        await office.pay(first_id, 1500, "B-1")
        paid = await office.pay(second_id, -1500, "B-2")
    assert (paid.status_code, paid.json()["amount_fen"]) == (201, -1500)
    assert await office.shop.payable(merchant) == 0
    await office.shop.check()


async def test_months_that_come_to_nothing_need_no_bank(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    with at_noon(next_month(month)):
        wanted = {"fen": -1500, "reason": "抵扣场地费"}
        line = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
        await office.told(office.second, "POST", f"/adjustments/{line['id']}/approve")
        await office.told(merchant.manager, "POST", f"/statements/{statement_id}/confirm")
        paid = await office.pay(statement_id, 0)
        assert (paid.status_code, paid.json()["bank_reference"]) == (201, None), paid.text
    assert await office.shop.payable(merchant) == 0, "its points are settled all the same"


async def test_payments_of_several_merchants_in_one_batch_do_not_mix(office: Office, month: date) -> None:
    merchants = [await office.partner() for _ in range(3)]
    for number, merchant in enumerate(merchants, start=1):
        await office.used(merchant, month, number)
    ids = [await office.draw_up(merchant, month) for merchant in merchants]
    with at_noon(day(next_month(month), 20)):
        for merchant, statement_id in zip(merchants, ids, strict=True):
            await office.told(merchant.manager, "POST", f"/statements/{statement_id}/confirm")
        answers = await asyncio.gather(*(office.pay(id_, 1500 * n, "B-1") for n, id_ in enumerate(ids, start=1)))
    assert [answer.json()["statements"] for answer in answers] == [[id_] for id_ in ids]
    assert {await office.shop.payable(merchant) for merchant in merchants} == {0}
