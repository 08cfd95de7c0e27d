"""A merchant's daily bill: all that was posted on a day, nothing else, and the same to the byte whenever it is made."""

import csv
import gzip
import hashlib
from datetime import date, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from services.points.settlement import lines
from services.points.settlement.bills import bill_of
from services.points.statements.terms import Range
from tests.points.rewards.conftest import Merchant
from tests.points.settlement.conftest import Office, at_noon, code_of, day, noon, tenth_hour

NOTHING = (
    b"bill_date,store_id,stock_id,coupon_id,out_request_no,use_no,op,use_time,face_fen,payable_fen,points\r\n"
    b"total,0,,,,,,,0,0,0\r\n"
)


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(content.decode().splitlines()))


async def test_a_day_on_which_nothing_was_used_has_a_bill_that_says_so(office: Office) -> None:
    assert (await office.bill(Merchant(), date(2029, 1, 1))).csv == NOTHING
    assert bill_of([]).csv == NOTHING


async def test_a_use_stands_in_the_bill_of_the_day_on_which_it_was_posted(office: Office, month: date) -> None:
    merchant = await office.partner()
    with at_noon(month):
        reward = await office.shop.reward(merchant)
        family = await office.shop.household(24)
        first, second = [await office.shop.coupon(family, reward) for _ in range(2)]
        use_no = await office.shop.use_known(merchant, first["id"])
    with clock.frozen(noon(month) + timedelta(hours=12)):  # midnight in Beijing
        await office.shop.use_known(merchant, second["id"])
    head, line, total = rows((await office.bill(merchant, month)).csv)
    assert dict(zip(head, line, strict=True)) == {
        "bill_date": month.isoformat(),
        "store_id": "store-1",
        "stock_id": str(reward),
        "coupon_id": first["id"],
        "out_request_no": "",
        "use_no": use_no,
        "op": "USE",
        "use_time": f"{month}T12:00:00+08:00",
        "face_fen": "2000",
        "payable_fen": "1500",
        "points": "12",
    }
    assert total == ["total", "1", "", "", "", "", "", "", "2000", "1500", "12"]
    assert second["id"] in (await office.bill(merchant, day(month, 2))).csv.decode()


async def test_what_came_back_stands_in_the_bill_of_its_own_day_as_minus_under_its_use(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    with at_noon(month):
        _, [coupon_id] = await office.family(merchant, 1)
        use_no = await office.shop.use_known(merchant, coupon_id)
    before = await office.bill(merchant, month)
    with at_noon(day(month, 3)):
        await office.give_back(coupon_id, out_request_no="back-000001")
        again = await office.shop.use_known(merchant, coupon_id)
    assert (await office.bill(merchant, month)).csv == before.csv
    _, back, use, total = rows((await office.bill(merchant, day(month, 3))).csv)
    assert back[0] == day(month, 3).isoformat()
    assert back[4:] == ["back-000001", use_no, "RETURN", f"{month}T12:00:00+08:00", "-2000", "-1500", "-12"]
    assert use[5:7] == [again, "USE"]
    assert total[1] == "2"
    assert total[8:] == ["0", "0", "0"]


async def test_what_is_compressed_is_the_bill_that_was_hashed_and_bears_no_time(office: Office) -> None:
    found = await office.bill(Merchant(), date(2029, 1, 1))
    packed = found.gzipped()
    assert gzip.decompress(packed) == found.csv
    assert found.sha256 == hashlib.sha256(found.csv).hexdigest()
    assert packed[4:8] == bytes(4)
    assert packed == found.gzipped()


async def test_a_manager_downloads_the_bill_once_its_day_is_over(office: Office, month: date) -> None:
    merchant = await office.partner()
    with at_noon(month):
        _, [coupon_id] = await office.family(merchant, 1)
        await office.shop.use_known(merchant, coupon_id)
    asked = {"merchant_id": str(merchant.id), "bill_date": month.isoformat()}
    with clock.frozen(tenth_hour(day(month, 2)) - timedelta(seconds=1)):
        early = await office.ask(merchant.manager, "GET", "/bills/daily", params=asked)
        assert code_of(early) == (409, "day_not_over")
    with clock.frozen(tenth_hour(day(month, 2))):
        found = await office.ask(merchant.manager, "GET", "/bills/daily", params=asked)
    bill = await office.bill(merchant, month)
    assert found.content == bill.csv
    assert found.headers["HHBY-Bill-SHA256"] == bill.sha256


async def test_what_is_posted_while_a_bill_is_made_stands_in_the_bill_of_its_own_day(
    office: Office, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await office.partner()
    with at_noon(month):
        _, [first, second] = await office.family(merchant, 2)
        await office.shop.use_known(merchant, first)
    numbers_of = lines.numbers_of

    async def and_then_a_use(session: AsyncSession, begin: date, end: date) -> Range:
        numbers = await numbers_of(session, begin, end)
        with at_noon(day(month, 2)):  # the first thing that is posted since that day was over
            await office.shop.use_known(merchant, second)
        return numbers

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(lines, "numbers_of", and_then_a_use)
        bill = await office.bill(merchant, month)
    assert len(rows(bill.csv)) == 3
    assert bill.csv == (await office.bill(merchant, month)).csv


@pytest.mark.parametrize("day_", ["2026-13-01", "9999-12-31", "0001-01-01", "yesterday", ""])
async def test_a_bill_of_no_day_is_refused_by_name(office: Office, day_: str) -> None:
    asked = {"merchant_id": str(Merchant().id), "bill_date": day_}
    answer = await office.ask(office.clerk, "GET", "/bills/daily", params=asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == "query.bill_date"


async def test_nobody_sees_the_bill_of_another_merchant(office: Office, month: date) -> None:
    merchant, other = await office.partner(), await office.partner()
    asked = {"merchant_id": str(merchant.id), "bill_date": "2029-01-01"}
    with at_noon(month):
        assert code_of(await office.ask(other.manager, "GET", "/bills/daily", params=asked)) == (
            404,
            "merchant_not_found",
        )
        nobody = asked | {"merchant_id": str(Merchant().id)}
        assert (await office.ask(office.clerk, "GET", "/bills/daily", params=nobody)).status_code == 404
