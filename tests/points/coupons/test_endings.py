"""What becomes of points whose coupon nobody used: back to the family where that was promised, as good as before."""

from datetime import datetime, timedelta

import httpx2
import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.coupons import jobs
from services.points.coupons.errors import (
    CouponExpired,
    CouponLocked,
    CouponNotFound,
    CouponUsed,
)
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.ledger.tables import Lot, Transfer
from services.points.ledger.terms import TransferCode, household_wallet
from tests.points.coupons.conftest import STAFF, Desk, Till
from tests.points.facts import Family
from tests.points.rewards.conftest import Household, code_of
from tests.town import actor

ADMIN = actor("administrator")


async def coupons_of(desk: Desk, till: Till, number: int, *, promised: bool) -> tuple[Household, list[str], datetime]:
    """A household with so many coupons that are good for a day, their ids, and when that is over."""
    family = await desk.household(12 * number)
    reward = await desk.reward(till.merchant, valid_days=1, refund_on_expiry=promised)
    coupons = [await desk.coupon(family, reward) for _ in range(number)]
    return family, [coupon["id"] for coupon in coupons], datetime.fromisoformat(coupons[0]["expires_at"])


async def lots(desk: Desk, family: Household) -> list[tuple[int, datetime]]:
    """What a household has left of each of its credits, and until when."""
    async with desk.db.transaction() as session:
        own = select(Lot.free, Lot.expires_at).where(Lot.account_id == household_wallet(family.id).id, Lot.free > 0)
        return [(free, at) for free, at in await session.execute(own.order_by(Lot.expires_at))]


async def staff(desk: Desk, coupon: str, act: str, **body: str) -> httpx2.Response:
    """What an administrator is answered who does something to a coupon."""
    async with desk.points.client(ADMIN) as client:
        return await client.post(f"/api/points/coupons/{coupon}/{act}", json=body)


async def test_points_of_what_expired_come_back_with_their_own_expiry_where_that_was_promised(
    desk: Desk, till: Till
) -> None:
    family = await desk.household(24)
    before = await lots(desk, family)
    reward = await desk.reward(till.merchant, valid_days=1, refund_on_expiry=True)
    coupon = await desk.coupon(family, reward)
    end = datetime.fromisoformat(coupon["expires_at"])
    with clock.frozen(end - timedelta(microseconds=1)):
        await desk.expire()
        assert (await desk.show(family, coupon["id"])).json()["state"] == "effective"
    with clock.frozen(end):
        assert await desk.expire() == 1
        assert await desk.expire() == 0
        assert (await desk.show(family, coupon["id"])).json()["state"] == "expired"
    assert await lots(desk, family) == before
    event = (await desk.events(coupon["id"]))[-1]
    assert (event.kind, event.number, event.merchant_id, event.operator_id) == (CouponEventKind.EXPIRED, 2, None, None)
    await desk.check()


async def test_points_of_what_expired_are_gone_where_nothing_was_promised(desk: Desk, till: Till) -> None:
    family, [coupon], end = await coupons_of(desk, till, 1, promised=False)
    lost = await desk.lost()
    with clock.frozen(end):
        await desk.expire()
    assert (await desk.balance(family), await desk.lost() - lost) == (0, 12)
    async with desk.db.transaction() as session:
        gone = await session.get_one(Transfer, (await desk.events(coupon))[-1].transfer_id)
        assert (gone.code, gone.reverses_id) == (TransferCode.EXPIRY, None)
    await desk.check()


async def test_the_promise_is_that_of_the_day_of_issue(desk: Desk, till: Till) -> None:
    family = await desk.household(12)
    reward = await desk.reward(till.merchant, valid_days=1, refund_on_expiry=True)
    coupon = await desk.coupon(family, reward)
    await desk.reward(till.merchant, id=reward, refund_on_expiry=False)
    with clock.frozen(datetime.fromisoformat(coupon["expires_at"])):
        await desk.expire()
    assert await desk.balance(family) == 12


async def test_the_job_expires_all_that_is_due_in_parts_and_nothing_else(desk: Desk, till: Till) -> None:
    family, coupons, end = await coupons_of(desk, till, 5, promised=True)
    later, [unexpired] = (await coupons_of(desk, till, 1, promised=True))[:2]
    used = coupons.pop()
    await desk.take(till, used)
    locked = coupons[0]
    with clock.frozen(end - timedelta(minutes=1)):
        await desk.lock(till, locked)
        await desk.expire()
    runtime = desk.points.town.runtime("points")
    with clock.frozen(end):
        # The last one has an end of its own, a day later.
        assert await jobs.expire(runtime, end - timedelta(microseconds=1), at_once=2) == 0
        assert await jobs.expire(runtime, end, at_once=2) == 5
    assert await desk.balance(family) == 4 * 12
    assert await desk.balance(later) == 12
    assert [event.kind for event in await desk.events(used)] == ["issued", "used"]
    assert [event.kind for event in await desk.events(unexpired)] == ["issued", "expired"]
    await desk.check()


async def test_what_a_family_that_joined_another_gets_back_is_the_others(desk: Desk, till: Till) -> None:
    family, [coupon], end = await coupons_of(desk, till, 1, promised=True)
    joined = await desk.household()
    await desk.points.tell(
        Family(id=joined.id).changed(1, joined.person_id), Family(id=family.id).changed(1, family.person_id)
    )
    await desk.points.tell(Family(id=family.id).dissolved(2, joined.id))
    with clock.frozen(end):
        await desk.expire()
        assert (await desk.show(joined, coupon)).json()["state"] == "expired"
    assert await desk.balance(joined) == 12
    await desk.check()


async def test_staff_refund_a_coupon_and_the_piece_can_be_had_again(desk: Desk, till: Till) -> None:
    family = await desk.household(12)
    before = await lots(desk, family)
    reward = await desk.reward(till.merchant, stock=1, household_limit=1)
    coupon = (await desk.coupon(family, reward))["id"]
    answer = await staff(desk, coupon, "refund", reason="商家停业")
    assert (answer.status_code, answer.json()["state"]) == (200, "refunded")
    assert await lots(desk, family) == before
    assert await desk.stock(reward) == 1
    event = (await desk.events(coupon))[-1]
    assert (event.kind, event.operator_id) == (CouponEventKind.REFUNDED, ADMIN.id)
    assert (await desk.redeem(family, reward)).status_code == 201
    await desk.check()


async def test_a_coupon_that_is_taken_out_of_use_is_worth_nothing_to_anybody(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    lost = await desk.lost()
    assert (await staff(desk, coupon, "deactivate", reason="盗用")).json()["state"] == "deactivated"
    assert (await desk.balance(family), await desk.lost() - lost) == (0, 12)
    with pytest.raises(CouponExpired):
        await desk.take(till, coupon)
    assert [item["id"] for item in await desk.coupons(family, state="deactivated")] == [coupon]
    await desk.check()


@pytest.mark.parametrize("act", ["refund", "deactivate"])
async def test_what_is_used_locked_over_or_not_there_is_not_ended(desk: Desk, till: Till, act: str) -> None:
    _, used = await desk.issued(till)
    await desk.take(till, used)
    _, locked = await desk.issued(till)
    with clock.frozen(clock.now()):
        await desk.lock(till, locked)
        _, ended = await desk.issued(till)
        assert (await staff(desk, ended, act, reason="试验")).status_code == 200
        refusals = [code_of(await staff(desk, each, act, reason="试验")) for each in (used, locked, ended, "1" * 14)]
    errors = (CouponUsed, CouponLocked, CouponExpired, CouponNotFound)
    assert refusals == [error.code for error in errors]
    assert code_of(await staff(desk, used, act)) == "invalid"
    await desk.check()


async def test_staff_undo_a_use_and_their_reason_is_read_in_the_coupons_history_until_it_is_erased(
    desk: Desk, till: Till
) -> None:
    family, coupon = await desk.issued(till)
    use = await desk.take(till, coupon, out_trade_no="T-1", out_request_no="U-000001", operator_id=STAFF)
    assert use.used_at is not None
    with clock.frozen(use.used_at + timedelta(days=2)):
        answer = await staff(desk, coupon, "return", reason="顾客未取货", use_no=str(use.use_no))
        assert (answer.status_code, answer.json()["state"]) == (200, "effective")
        async with desk.points.client(actor("auditor")) as client:
            history = (await client.get(f"/api/points/coupons/{coupon}/history")).json()
            transfer = history["events"][0]["transfer_id"]
            read = await client.get(f"/api/points/transfers/{transfer}")
    assert (history["state"], history["household_id"]) == ("effective", str(family.id))
    assert "code" not in history
    events = [(event["kind"], event["reason"], event["operator_id"]) for event in history["events"]]
    assert events == [("returned", "顾客未取货", str(ADMIN.id)), ("used", None, str(STAFF)), ("issued", None, None)]
    assert history["events"][1]["out_request_no"] == "U-000001"
    assert (read.json()["reason"], read.json()["posted_by"]) == ("顾客未取货", str(ADMIN.id))
    async with desk.points.client(ADMIN) as client:
        erased = await client.delete(f"/api/points/transfers/{transfer}/reason")
        assert erased.status_code < 300, erased.text
        history = (await client.get(f"/api/points/coupons/{coupon}/history")).json()
    assert [event["reason"] for event in history["events"]] == [None] * 3


async def test_a_family_reads_in_its_statement_why_a_coupon_was_refunded(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    await staff(desk, coupon, "refund", reason="商家停业")
    line = (await desk.points.entries(family.actor, "civic"))[0]
    assert (line["amount"], line["coupon"]["id"], line["reason"]) == (12, coupon, "商家停业")


async def test_a_refund_repeated_under_its_key_is_answered_once_more_and_posts_once(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    key = {"Idempotency-Key": str(new_id())}
    async with desk.points.client(ADMIN) as client:
        answers = [
            await client.post(f"/api/points/coupons/{coupon}/refund", json={"reason": "重复"}, headers=key)
            for _ in range(2)
        ]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 2
    assert (answers[0].json()["state"], await desk.balance(family)) == (CouponState.REFUNDED, 12)


async def test_staff_do_nothing_to_a_coupon_of_their_own_household(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    used_family, used = await desk.issued(till)
    use_no = (await desk.take(till, used)).use_no
    await desk.know(*(Household(id=home, person_id=ADMIN.id) for home in (family.id, used_family.id)))
    for refused in (
        await staff(desk, coupon, "refund", reason="不想要了"),
        await staff(desk, coupon, "deactivate", reason="不想要了"),
        await staff(desk, used, "return", reason="再用一次", use_no=str(use_no)),
    ):
        assert (refused.status_code, code_of(refused)) == (403, "own_points")
    assert len(await desk.events(coupon)) == 1
    assert len(await desk.events(used)) == 2
    assert (await desk.refund(coupon)).state is CouponState.REFUNDED
