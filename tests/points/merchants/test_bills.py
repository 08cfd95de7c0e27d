"""Daily bills as merchants fetch them: when they are there, and that the bytes can be checked."""

import gzip
import hashlib
from datetime import timedelta

from chassis.core import clock
from chassis.core.beijing import day_of
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key, Till, at_hour, bill, market_of, refusal
from tests.points.merchants.refusals import PARAM_ERROR


async def test_yesterdays_bill_is_there_at_ten_and_the_same_to_the_byte_ever_after(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_of(own_points, rsa_keys[0])
    till, other = await market.till(), await market.till()
    day = day_of(clock.now()) + timedelta(days=1)
    with clock.frozen(at_hour(day, 15)):
        _, coupon = await market.coupon(till)
        _, stays = await market.coupon(till)
        used = await till.use(coupon["code"], out_request_no="R-bill-01", use_time="2026-01-31T18:30:00+08:00")
        await till.give_back(used, out_request_no="R-bill-02")
        assert (await till.use(stays["code"], out_request_no="R-bill-03")).status_code == 200
    morning = day + timedelta(days=1)
    with clock.frozen(at_hour(morning, 9, 59, 58)):
        early = await till.call("GET", bill(day))
        assert refusal(early) == (404, "BILL_NOT_READY")
        assert early.headers["Retry-After"] == "2"
    with clock.frozen(at_hour(morning, 10)):
        first = await till.call("GET", bill(day))
        nothing = await other.call("GET", bill(day))
    with clock.frozen(at_hour(morning + timedelta(days=90), 3)):
        again = await till.call("GET", bill(day))
    assert first.status_code == 200, first.text
    assert first.content == again.content
    assert first.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in first.headers, "what is signed must reach the merchant as it is"
    assert first.headers["Content-Disposition"] == f'attachment; filename="bill-{till.mchid}-{day}.csv.gz"'
    csv = gzip.decompress(first.content)
    assert first.headers["HHBY-Bill-SHA256"] == hashlib.sha256(csv).hexdigest()
    heading, *lines, total = csv.decode().splitlines()
    assert heading == (
        "bill_date,store_id,stock_id,coupon_id,out_request_no,use_no,op,use_time,face_fen,payable_fen,points"
    )
    cells = [line.split(",") for line in lines]
    assert [(line[0], line[4], line[6]) for line in cells] == [
        (day.isoformat(), "R-bill-01", "USE"),
        (day.isoformat(), "R-bill-02", "RETURN"),
        (day.isoformat(), "R-bill-03", "USE"),
    ]
    assert cells[0][7] == "2026-01-31T18:30:00+08:00"
    assert total.split(",") == ["total", "3", "", "", "", "", "", "", "2000", "1500", "12"]
    assert gzip.decompress(nothing.content).decode().splitlines()[1:] == ["total,0,,,,,,,0,0,0"]
    assert nothing.headers["HHBY-Bill-SHA256"] == hashlib.sha256(gzip.decompress(nothing.content)).hexdigest()


async def test_a_day_that_is_not_over_has_no_bill(till: Till) -> None:
    today = day_of(clock.now()) + timedelta(days=2)
    yesterday, before = today - timedelta(days=1), today - timedelta(days=2)
    with clock.frozen(at_hour(today, 12)):
        for day in (today, today + timedelta(days=1)):
            answer = await till.call("GET", bill(day))
            assert refusal(answer) == PARAM_ERROR
            assert [field["name"] for field in answer.json()["detail"]["fields"]] == ["query.bill_date"]
        assert (await till.call("GET", bill(yesterday))).status_code == 200
    with clock.frozen(at_hour(today, 0)):
        assert refusal(await till.call("GET", bill(yesterday))) == (404, "BILL_NOT_READY")
        assert (await till.call("GET", bill(before))).status_code == 200
