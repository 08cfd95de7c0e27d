"""The sandbox: a merchant tries every operation on coupons of its own, in the words of the live ones; nothing comes of
it.
"""

import gzip
import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.beijing import day_of
from services.points.coupons import rules
from services.points.coupons.queries import open_secret
from services.points.coupons.tables import CouponEvent
from services.points.coupons.terms import WrongCodeSubject
from services.points.ledger.tables import Transfer
from services.points.merchants import bills
from services.points.merchants import sandbox as sandbox_module
from services.points.merchants.jobs import sweep_sandbox
from services.points.merchants.tables import MerchantRequest, SandboxCoupon
from services.points.settlement.bills import DailyBill
from tests.points.conftest import Points
from tests.points.merchants.conftest import Key, Market, Till, at_hour, bill, fields_of, market_of, refusal
from tests.points.merchants.refusals import (
    COUPON_CODE_STALE,
    COUPON_LOCKED,
    COUPON_NOT_FOUND,
    COUPON_USED,
    NO_AUTH,
    PARAM_ERROR,
    RATE_LIMITED,
)


async def sandbox_of(market: Market, till: Till) -> Till:
    """A till of the same merchant under a sandbox key."""
    trying = Till(market, till.id, till.mchid, till.key.renamed())
    await market.record(trying, trying.key, sandbox=True)
    return trying


async def issued(trying: Till, **fields: Any) -> dict[str, Any]:
    """A coupon to try with."""
    answer = await trying.call("POST", "/sandbox/coupons", fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def code_now(trying: Till, coupon_id: str) -> str:
    return str((await trying.call("GET", f"/sandbox/coupons/{coupon_id}")).json()["coupon_code"])


def shape(body: dict[str, Any]) -> dict[str, type]:
    """Which fields an answer has, and of which kind."""
    return {name: type(value) for name, value in body.items()}


async def test_every_operation_answers_as_the_live_one_does_and_nothing_comes_of_it(own_market: Market) -> None:
    market = own_market
    till = await market.till()
    trying = await sandbox_of(market, till)
    family, live = await market.coupon(till)
    await market.coupon(till)
    coupon = await issued(trying)
    assert coupon["coupon_id"].startswith("0")
    async with market.db.transaction() as session:
        before = [await session.scalar(select(func.count()).select_from(table)) for table in (Transfer, CouponEvent)]
    answers: dict[str, list[Any]] = {"sandbox": [], "live": []}
    for name, by, code, coupon_id in (
        ("sandbox", trying, coupon["coupon_code"], coupon["coupon_id"]),
        ("live", till, live["code"], live["id"]),
    ):
        prepared = await by.prepare(code)
        locked = await by.lock(prepare_token=prepared.json()["prepare_token"])
        freed = await by.unlock(coupon_id)
        used = await by.use(prepare_token=prepared.json()["prepare_token"], out_trade_no="T1")
        again = await by.use(code)
        seen = await by.call("GET", f"/coupons/{coupon_id}")
        returned = await by.give_back(used)
        twice = await by.give_back(used)
        asked = await by.call("GET", f"/requests/use/{used.json()['out_request_no']}")
        answers[name] = [prepared, locked, freed, used, again, seen, returned, twice, asked]
        if name == "sandbox":
            async with market.db.transaction() as session:
                after = [
                    await session.scalar(select(func.count()).select_from(table)) for table in (Transfer, CouponEvent)
                ]
            assert after == before
            assert await market.shop.payable(till) == 0
    tried, real = answers["sandbox"], answers["live"]
    assert [each.status_code for each in tried] == [each.status_code for each in real]
    assert [each.status_code for each in tried] == [200, 200, 200, 200, 409, 200, 200, 409, 200]
    assert [shape(each.json()) for each in tried] == [shape(each.json()) for each in real]
    assert [each.json().get("state") for each in tried] == [each.json().get("state") for each in real]
    assert [item["id"] for item in await market.shop.coupons(family)] == [live["id"]]
    await market.shop.check()


async def test_sandbox_and_live_do_not_see_one_anothers_coupons(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    stranger = await sandbox_of(market, await market.till())
    _, live = await market.coupon(till)
    coupon = await issued(trying)
    for other in (till, stranger):
        assert refusal(await other.prepare(coupon["coupon_code"])) == COUPON_NOT_FOUND
        assert refusal(await other.use(coupon["coupon_code"])) == COUPON_NOT_FOUND
        assert refusal(await other.lock(coupon["coupon_code"])) == COUPON_NOT_FOUND
        assert refusal(await other.unlock(coupon["coupon_id"])) == COUPON_NOT_FOUND
        assert refusal(await other.call("GET", f"/coupons/{coupon['coupon_id']}")) == COUPON_NOT_FOUND
    assert refusal(await trying.use(live["code"])) == COUPON_NOT_FOUND
    assert refusal(await trying.call("GET", f"/coupons/{live['id']}")) == COUPON_NOT_FOUND
    assert refusal(await stranger.call("GET", f"/sandbox/coupons/{coupon['coupon_id']}")) == COUPON_NOT_FOUND
    assert refusal(await till.call("GET", f"/sandbox/coupons/{coupon['coupon_id']}")) == NO_AUTH
    refused = await till.call("POST", "/sandbox/coupons", {})
    assert refusal(refused) == NO_AUTH
    assert "沙箱密钥" in refused.json()["message"]
    assert (await trying.use(coupon["coupon_code"])).status_code == 200


async def test_a_token_of_the_sandbox_is_worth_nothing_to_a_live_till(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    coupon = await issued(trying)
    token = (await trying.prepare(coupon["coupon_code"])).json()["prepare_token"]
    assert refusal(await till.use(prepare_token=token)) == PARAM_ERROR


async def test_the_refusals_can_be_tried_too(market: Market, till: Till) -> None:
    """Stale codes, locks that lapse, coupons that are over, uses that can no longer be undone, wrong codes."""
    at = clock.now().replace(minute=10)
    next_door = await market.till(stores=("store-1", "store-2"))
    trying = await sandbox_of(market, next_door)
    beside = Till(market, trying.id, trying.mchid, trying.key, "store-2")
    with clock.frozen(at):
        coupon = await issued(trying, valid_seconds=7200, face_fen=5000, payable_fen=4500)
        assert (coupon["face_fen"], coupon["payable_fen"], coupon["state"]) == (5000, 4500, "EFFECTIVE")
        brief = await issued(trying, valid_seconds=1)
        body = trying.body(coupon["coupon_code"], use_time=None)
        locked = await trying.call("POST", "/coupons/lock", body)
        assert locked.status_code == 200
        assert refusal(await beside.use(coupon["coupon_code"])) == COUPON_LOCKED
    with clock.frozen(at + timedelta(minutes=5)):
        assert refusal(await trying.use(coupon["coupon_code"])) == COUPON_CODE_STALE
        assert refusal(await trying.use(brief["coupon_code"])) == COUPON_CODE_STALE
        gone = (await trying.call("GET", f"/sandbox/coupons/{brief['coupon_id']}")).json()
        assert (gone["state"], gone["coupon_code"]) == ("EXPIRED", None)
    with clock.frozen(at + timedelta(minutes=16)):
        used = await beside.use(await code_now(trying, coupon["coupon_id"]))
        assert used.status_code == 200
        assert (await trying.call("POST", "/coupons/lock", body)).content == locked.content
    with clock.frozen(datetime.fromisoformat(used.json()["used_at"]) + timedelta(minutes=61)):
        assert refusal(await beside.give_back(used)) == NO_AUTH
    with clock.frozen(at):
        wrong = (await issued(trying))["coupon_id"]
        shown = await code_now(trying, wrong)
        right = await around(market, wrong)
        digits = next(f"{number:06d}" for number in range(100) if f"{number:06d}" not in right)
        for _ in range(10):
            assert refusal(await trying.prepare(wrong + digits)) == COUPON_NOT_FOUND
        assert refusal(await trying.use(shown)) == RATE_LIMITED


async def test_wrong_codes_in_the_sandbox_are_counted_by_coupon_and_merchant_and_apart_from_the_live_ones(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rules.WRONG_CODES_AN_HOUR, WrongCodeSubject.COUPON, 2)
    monkeypatch.setitem(rules.WRONG_CODES_AN_HOUR, WrongCodeSubject.MERCHANT, 3)
    trying = await sandbox_of(market, till)
    with clock.frozen(clock.now().replace(minute=10)):
        coupons = [await issued(trying) for _ in range(3)]
        wrong = []
        for coupon in coupons:
            right = await around(market, coupon["coupon_id"])
            otp = next(f"{number:06d}" for number in range(100) if f"{number:06d}" not in right)
            wrong.append(coupon["coupon_id"] + otp)
        assert refusal(await trying.use(wrong[0])) == COUPON_NOT_FOUND
        assert refusal(await trying.lock(wrong[0])) == COUPON_NOT_FOUND
        assert refusal(await trying.use(coupons[0]["coupon_code"])) == RATE_LIMITED
        assert (await trying.use(coupons[1]["coupon_code"])).status_code == 200
        assert refusal(await trying.prepare(wrong[1])) == COUPON_NOT_FOUND
        assert refusal(await trying.use(coupons[2]["coupon_code"])) == RATE_LIMITED
        _, live = await market.coupon(till)
        assert (await till.use(live["code"])).status_code == 200


async def around(market: Market, coupon_id: str) -> set[str]:
    """The digits that a sandbox coupon shows about now."""
    async with market.db.transaction() as session:
        coupon = await session.get_one(SandboxCoupon, coupon_id)
        secret = open_secret(market.shop.vault, coupon)
    steps = (clock.now() + step * timedelta(seconds=30) for step in range(-30, 30))
    return {rules.code(coupon_id, secret, step)[14:] for step in steps}


async def test_a_program_that_reads_bills_can_be_tried_on_what_was_done_in_the_sandbox_today(
    market: Market, till: Till
) -> None:
    trying, other = await sandbox_of(market, till), await sandbox_of(market, await market.till())
    day = day_of(clock.now()) + timedelta(days=2)
    with clock.frozen(at_hour(day - timedelta(days=1), 12)):
        _, live = await market.coupon(till)
        assert (await till.use(live["code"])).status_code == 200
    with clock.frozen(at_hour(day, 12)):
        coupon = await issued(trying)
        used = await trying.use(coupon["coupon_code"], out_request_no="R-bill-01", use_time="2026-01-31T10:30:00Z")
    with clock.frozen(at_hour(day, 12, 30)):
        await trying.give_back(used, out_request_no="R-bill-02")
        code = await code_now(trying, coupon["coupon_id"])
        await trying.use(code, out_request_no="R-bill-03")
        assert refusal(await trying.use(code)) == COUPON_USED
        today = await trying.call("GET", bill(day))
        nothing = [await trying.call("GET", bill(day - timedelta(days=1))), await other.call("GET", bill(day))]
        ahead = await trying.call("GET", bill(day + timedelta(days=1)))
    with clock.frozen(at_hour(day + timedelta(days=3), 12)):
        again = await trying.call("GET", bill(day))
        nothing.append(await till.call("GET", bill(day)))
    assert today.headers["HHBY-Bill-SHA256"] == hashlib.sha256(gzip.decompress(today.content)).hexdigest()
    assert again.content == today.content
    heading, *lines, total = rows(today)
    assert len(heading) == 11
    assert [(line[4], line[6], line[7], *line[8:]) for line in lines[:2]] == [
        ("R-bill-01", "USE", "2026-01-31T18:30:00+08:00", "2000", "1500", "20"),
        ("R-bill-02", "RETURN", "2026-01-31T18:30:00+08:00", "-2000", "-1500", "-20"),
    ]
    assert [line[4] for line in lines] == ["R-bill-01", "R-bill-02", "R-bill-03"]
    assert {(line[0], line[1], line[3]) for line in lines} == {(day.isoformat(), "store-1", coupon["coupon_id"])}
    assert total == ["total", "3", "", "", "", "", "", "", "2000", "1500", "20"]
    assert {tuple(rows(answer)[1]) for answer in nothing} == {("total", "0", *[""] * 6, "0", "0", "0")}
    assert fields_of(ahead) == {"query.bill_date"}


async def test_a_return_in_the_sandbox_on_the_next_day_is_a_line_of_that_day(market: Market, till: Till) -> None:
    trying = await sandbox_of(market, till)
    day = day_of(clock.now()) + timedelta(days=1)
    with clock.frozen(at_hour(day, 23, 50)):
        coupon = await issued(trying)
        used = await trying.use(coupon["coupon_code"], use_time="2026-01-31T18:30:00+08:00")
    with clock.frozen(at_hour(day + timedelta(days=1), 0, 10)):
        await trying.give_back(used)
        answers = [await trying.call("GET", bill(each)) for each in (day, day + timedelta(days=1))]
    [[use], [undone]] = [rows(answer)[1:-1] for answer in answers]
    assert (use[6], undone[6]) == ("USE", "RETURN")
    assert (use[5], use[7]) == (undone[5], undone[7]) == (used.json()["use_no"], "2026-01-31T18:30:00+08:00")


async def test_a_bill_can_be_read_while_a_return_is_remembered_whose_use_is_forgotten(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_of(own_points, rsa_keys[0])
    trying = await sandbox_of(market, await market.till())
    day = day_of(clock.now()) + timedelta(days=1)
    with clock.frozen(at_hour(day, 23, 50)):
        forgotten = await trying.use((await issued(trying))["coupon_code"])
    with clock.frozen(at_hour(day + timedelta(days=1), 0, 10)):
        await trying.give_back(forgotten)
        used = await trying.use((await issued(trying))["coupon_code"])
    with clock.frozen(at_hour(day, 23, 59) + sandbox_module.KEPT):
        await sweep_sandbox(own_points.town.runtime("points"))
        [*lines, total] = rows(await trying.call("GET", bill(day + timedelta(days=1))))[1:]
    assert [(line[5], line[6]) for line in lines] == [(used.json()["use_no"], "USE")]
    assert total[1] == "1"


async def test_no_transaction_is_open_while_a_bill_is_compressed(
    market: Market, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying = await sandbox_of(market, till)
    daily_bill, gzipped = bills.daily_bill, DailyBill.gzipped
    sessions: list[AsyncSession] = []
    open_while: list[bool] = []

    async def read(session: AsyncSession, *asked: Any) -> DailyBill:
        sessions.append(session)
        return await daily_bill(session, *asked)

    def compressed(made: DailyBill) -> bytes:
        open_while.append(sessions[0].in_transaction())
        return gzipped(made)

    monkeypatch.setattr(bills, "daily_bill", read)
    monkeypatch.setattr(DailyBill, "gzipped", compressed)
    rows(await trying.call("GET", bill(day_of(clock.now()) - timedelta(days=1))))
    assert open_while == [False]


def rows(answer: Any) -> list[list[str]]:
    """The cells of a bill."""
    assert answer.status_code == 200, answer.text
    return [line.split(",") for line in gzip.decompress(answer.content).decode().splitlines()]


async def test_what_was_tried_is_forgotten_after_thirty_days(own_points: Points, rsa_keys: list[Key]) -> None:
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    trying = await sandbox_of(market, till)
    coupon, (_, live) = await issued(trying), await market.coupon(till)
    assert (await trying.use(coupon["coupon_code"])).status_code == 200
    assert (await till.use(live["code"])).status_code == 200
    runtime = own_points.town.runtime("points")
    at = clock.now()
    for later, left in ((timedelta(days=29), [1, 2]), (timedelta(days=31), [0, 1])):
        with clock.frozen(at + later):
            await sweep_sandbox(runtime)
        async with market.db.transaction() as session:
            found = [
                await session.scalar(select(func.count()).select_from(table))
                for table in (SandboxCoupon, MerchantRequest)
            ]
        assert found == left


async def test_a_thousand_coupons_a_day_are_enough(market: Market, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "COUPONS_A_DAY", 2)
    trying = await sandbox_of(market, till)
    at = clock.now()
    with clock.frozen(at):
        for _ in range(2):
            await issued(trying)
        refused = await trying.call("POST", "/sandbox/coupons", {})
        assert refusal(refused) == RATE_LIMITED
    with clock.frozen(at + timedelta(days=1, seconds=1)):
        await issued(trying)
