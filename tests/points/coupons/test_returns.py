"""A use is undone: by its merchant within the hour, by staff later, by nobody once it is settled, and only once."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.beijing import day_of
from services.points.coupons import returns
from services.points.coupons.errors import (
    CouponNotFound,
    CouponNotUsed,
    CouponUsed,
    ReturnTooLate,
    UseSettled,
)
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.coupons.use import UseCoupons
from services.points.ledger.tables import Transfer
from services.points.ledger.terms import TransferCode
from services.points.webhooks.announcing import Announcement
from tests.points.coupons.conftest import STAFF, Desk, Till, person
from tests.points.rewards.conftest import Merchant, all_of

HOUR = timedelta(minutes=60)
INSTANT = timedelta(microseconds=1)


async def used(desk: Desk, till: Till, **changes: Any) -> tuple[str, str, datetime]:
    """A coupon that was used there: its id, the number of the use, and when it was posted."""
    _, coupon = await desk.issued(till, **changes)
    use = await desk.take(till, coupon)
    assert use.use_no is not None
    assert use.used_at is not None
    return coupon, use.use_no, use.used_at


async def test_a_use_that_is_undone_leaves_the_coupon_good_and_the_merchant_with_nothing(
    desk: Desk, till: Till
) -> None:
    coupon, use_no, _ = await used(desk, till)
    clerk = person()
    undone = await desk.give_back(till, coupon, use_no, operator_id=clerk, out_request_no="R-000001")
    assert (undone.state, undone.use_no, undone.used_by) == (CouponState.EFFECTIVE, use_no, till.merchant.id)
    assert await desk.payable(till.merchant) == 0
    event = (await desk.events(coupon))[-1]
    assert (event.kind, event.number, event.use_no) == (CouponEventKind.RETURNED, 3, use_no)
    assert (event.merchant_id, event.store_id, event.mchid) == (till.merchant.id, "store-1", till.merchant.mchid)
    assert (event.operator_id, event.out_request_no, event.at) == (clerk, "R-000001", undone.at)
    async with desk.db.transaction() as session:
        posted = await session.get_one(Transfer, event.transfer_id)
        use = (await session.scalars(select(Transfer).where(Transfer.id == posted.reverses_id))).one()
        assert (posted.code, posted.amount, posted.posted_at) == (TransferCode.REVERSAL, 12, event.at)
        assert use.code is TransferCode.USE
        row = await session.get_one(Coupon, coupon)
        assert (row.used_at, row.use_no, row.use_transfer_id) == (None, None, None)
    await desk.check()


async def test_a_coupon_that_came_back_is_used_again_under_another_number(desk: Desk, till: Till) -> None:
    coupon, first, _ = await used(desk, till)
    await desk.give_back(till, coupon)
    again = await desk.take(till.beside(), coupon)
    assert again.use_no not in (None, first)
    assert await desk.payable(till.merchant) == 12
    assert [event.use_no for event in await desk.events(coupon)] == [None, first, first, again.use_no]
    await desk.check()


async def test_a_late_repeat_does_not_undo_the_next_use(desk: Desk, till: Till) -> None:
    coupon, first, _ = await used(desk, till)
    await desk.give_back(till, coupon, first)
    await desk.take(till, coupon)
    with pytest.raises(CouponNotUsed):
        await desk.give_back(till, coupon, first)
    assert await desk.payable(till.merchant) == 12


async def test_a_merchant_may_undo_a_use_for_sixty_minutes_and_staff_after_that(desk: Desk, till: Till) -> None:
    on_time, _, at = await used(desk, till)
    with clock.frozen(at + HOUR):
        await desk.give_back(till, on_time)
    late, _, at = await used(desk, till)
    with clock.frozen(at + HOUR + INSTANT):
        with pytest.raises(ReturnTooLate):
            await desk.give_back(till, late)
        assert await desk.payable(till.merchant) == 12
        undone = await desk.give_back(None, late)
    assert undone.state is CouponState.EFFECTIVE
    event = (await desk.events(late))[-1]
    assert (event.operator_id, event.merchant_id) == (STAFF, till.merchant.id)
    await desk.check()


@pytest.mark.parametrize(("settled", "refused"), [(0, False), (1, True)], ids=["the-day-before", "that-day"])
async def test_what_is_settled_is_undone_by_nobody(
    desk: Desk, till: Till, monkeypatch: pytest.MonkeyPatch, settled: int, refused: bool
) -> None:
    coupon, _, at = await used(desk, till)

    async def settled_before(_: object, merchant_ids: set[UUID]) -> dict[UUID, date]:
        assert merchant_ids == {till.merchant.id}
        return dict.fromkeys(merchant_ids, day_of(at) + timedelta(days=settled))

    monkeypatch.setattr(returns, "settled_before", settled_before)
    for by in (till, None):
        if refused:
            with pytest.raises(UseSettled):
                await desk.give_back(by, coupon)
    if not refused:
        await desk.give_back(till, coupon)
    assert await desk.payable(till.merchant) == (12 if refused else 0)


async def test_what_is_not_used_there_cannot_be_undone_there(desk: Desk, till: Till) -> None:
    other = Till()
    family = await desk.household(24)
    reward = await desk.reward(merchant_ids=[till.merchant.id, other.merchant.id])
    unused, taken = [(await desk.coupon(family, reward))["id"] for _ in range(2)]
    await desk.take(till, taken)
    for attempt in (
        desk.give_back(till, unused),
        desk.give_back(None, unused),
        desk.give_back(other, taken),
        desk.give_back(till, taken, store_id="store-2"),
    ):
        with pytest.raises(CouponNotUsed):
            await attempt
    for stranger in (Till(), None):
        with pytest.raises(CouponNotFound):
            await desk.give_back(stranger, taken if stranger else "1" * 14)
    await desk.give_back(till, taken, store_id="store-1")
    await desk.check()


async def test_a_merchant_that_honours_the_reward_no_more_may_still_undo_its_use(desk: Desk, till: Till) -> None:
    family = await desk.household(12)
    reward = await desk.reward(till.merchant)
    coupon = (await desk.coupon(family, reward))["id"]
    await desk.take(till, coupon)
    await desk.reward(id=reward, merchant_ids=[Merchant().id])
    await desk.give_back(till, coupon)
    assert await desk.payable(till.merchant) == 0


@pytest.mark.parametrize("promised", [True, False], ids=["points-come-back", "points-are-gone"])
async def test_what_comes_back_after_its_time_expires_at_once(desk: Desk, till: Till, promised: bool) -> None:
    family = await desk.household(12)
    reward = await desk.reward(till.merchant, valid_days=1, refund_on_expiry=promised)
    coupon = (await desk.coupon(family, reward))["id"]
    use = await desk.take(till, coupon)
    lost = await desk.lost()
    with clock.frozen(use.expires_at):
        undone = await desk.give_back(None, coupon)
    assert undone.state is CouponState.EXPIRED
    assert await desk.balance(family) == (12 if promised else 0)
    assert await desk.lost() - lost == (0 if promised else 12)
    kinds = [event.kind for event in await desk.events(coupon)]
    assert kinds == ["issued", "used", "returned", "expired"]
    await desk.check()


async def test_of_ten_returns_at_once_one_takes_the_points_back(desk: Desk, till: Till) -> None:
    coupon, use_no, _ = await used(desk, till)
    outcomes = await all_of(*(desk.give_back(till, coupon, use_no) for _ in range(10)))
    assert sorted(getattr(outcome, "code", "undone") for outcome in outcomes) == ["coupon_not_used"] * 9 + ["undone"]
    assert await desk.payable(till.merchant) == 0
    await desk.check()


async def test_uses_and_returns_of_one_coupon_that_come_together_are_as_if_one_after_another(
    desk: Desk, till: Till
) -> None:
    """Deeds carried out in one batch see what the others have done: nothing is numbered twice, no points move twice."""
    coupon, use_no, _ = await used(desk, till)
    back = Return(coupon_id=coupon, use_no=use_no, merchant_id=till.merchant.id)
    outcomes = await all_of(
        desk.ask(ReturnCoupons, back),
        desk.ask(UseCoupons, desk.use_of(till, coupon)),
        desk.ask(ReturnCoupons, Return(coupon_id=coupon, use_no=None, merchant_id=till.merchant.id)),
    )
    events = await desk.events(coupon)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    done = sum(not isinstance(outcome, Exception) for outcome in outcomes)
    assert len(events) == 2 + done
    assert await desk.payable(till.merchant) == (12 if events[-1].kind is CouponEventKind.USED else 0)
    await desk.check()


async def test_a_use_may_be_undone_in_the_very_batch_that_made_it(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    use, back = await all_of(
        desk.ask(UseCoupons, desk.use_of(till, coupon)),
        desk.ask(ReturnCoupons, Return(coupon_id=coupon, use_no=None, merchant_id=till.merchant.id)),
    )
    assert getattr(use, "state", "") is CouponState.USED, "an answer does not change with what comes after it"
    assert getattr(back, "state", "") is CouponState.EFFECTIVE
    assert await desk.payable(till.merchant) == 0
    await desk.check()


async def test_merchants_are_told_of_uses_and_returns_and_of_no_person(
    desk: Desk, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Announcement] = []

    async def announce(_: object, announcements: list[Announcement]) -> None:
        told.extend(announcements)

    monkeypatch.setattr("services.points.coupons.record.announce", announce)
    family, coupon = await desk.issued(till)
    use = await desk.take(till, coupon, out_request_no="U-000001", operator_id=person())
    await desk.give_back(till, coupon, out_request_no="R-000001", operator_id=person())
    with pytest.raises(CouponNotUsed):
        await desk.give_back(till, coupon)
    assert [(each.event_type, each.merchant_id) for each in told] == [
        ("COUPON.USED", till.merchant.id),
        ("COUPON.RETURNED", till.merchant.id),
    ]
    first, second = (dict(each.resource) for each in told)
    assert (first["coupon_id"], first["use_no"], first["state"]) == (coupon, use.use_no, "USED")
    assert (second["use_no"], second["out_request_no"], second["state"]) == (use.use_no, "R-000001", "EFFECTIVE")
    known = {"coupon_id", "use_no", "store_id", "out_request_no", "state", "face_fen", "payable_fen", "used_at"}
    assert (set(first), set(second)) == (known, known | {"returned_at"})
    assert str(family.id) not in str(told)


async def test_a_return_that_is_refused_leaves_no_trace(desk: Desk, till: Till) -> None:
    coupon, _, at = await used(desk, till)
    with clock.frozen(at + 2 * HOUR), pytest.raises(ReturnTooLate):
        await desk.give_back(till, coupon)
    assert len(await desk.events(coupon)) == 2
    with pytest.raises(CouponUsed):
        await desk.take(till, coupon)
    await desk.check()
