"""A coupon is kept for the till that works on it, and for no longer than that."""

from datetime import datetime, timedelta

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.errors import DomainError
from services.points.coupons import life, rules
from services.points.coupons.errors import (
    CouponCodeWrong,
    CouponExpired,
    CouponLocked,
    CouponNotFound,
    CouponUsed,
)
from services.points.coupons.life import Standing
from services.points.coupons.locks import Lock, LockCoupons
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from services.points.coupons.use import UseCoupons
from services.points.ledger.actions import carry_out
from tests.points.coupons.conftest import Desk, Till
from tests.points.rewards.conftest import all_of, code_of

NOW = clock.now()
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (CouponState.USED, CouponUsed),
        (CouponState.DEACTIVATED, CouponExpired),
        (CouponState.REFUNDED, CouponExpired),
        (CouponState.EXPIRED, CouponExpired),
    ],
    ids=str,
)
def test_what_is_over_can_be_neither_used_nor_locked_nor_unlocked(
    state: CouponState, refusal: type[DomainError]
) -> None:
    coupon = Coupon(state=state, expires_at=NOW + MINUTE, locked_until=None)
    at = life.Till(Till().merchant.id, "store-1")
    with pytest.raises(refusal):
        life.check_usable(coupon, NOW, at)
    with pytest.raises(refusal):
        life.lock(coupon, at, NOW)
    with pytest.raises(refusal):
        life.unlock(coupon, at, NOW)


async def test_a_locked_coupon_can_be_used_by_the_till_that_locked_it_and_by_no_other(desk: Desk, till: Till) -> None:
    other = Till()
    family = await desk.household(12)
    reward = await desk.reward(merchant_ids=[till.merchant.id, other.merchant.id])
    coupon = (await desk.coupon(family, reward))["id"]
    locked = await desk.lock(till, coupon)
    assert (locked.state, locked.locked_until) == (CouponState.LOCKED, locked.at + 15 * MINUTE)
    for elsewhere in (other, till.beside()):
        with pytest.raises(CouponLocked):
            await desk.take(elsewhere, coupon)
        with pytest.raises(CouponLocked):
            await desk.unlock(elsewhere, coupon)
    used = await desk.take(till, coupon)
    assert (used.state, used.locked_until) == (CouponState.USED, None)
    assert [event.kind for event in await desk.events(coupon)] == ["issued", "used"]
    await desk.check()


async def test_a_lock_lapses_by_itself_and_is_not_lengthened_by_locking_again(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    other = till.beside()
    locked = await desk.lock(till, coupon)
    assert locked.locked_until is not None
    with clock.frozen(locked.locked_until - timedelta(microseconds=1)):
        for asking in (till, other):
            with pytest.raises(CouponLocked):
                await desk.lock(asking, coupon)
    with clock.frozen(locked.locked_until):
        assert (await desk.lock(other, coupon)).locked_until == locked.locked_until + 15 * MINUTE
        with pytest.raises(CouponLocked):
            await desk.unlock(till, coupon)


async def test_a_lock_lasts_no_longer_than_its_coupon(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    async with desk.db.transaction() as session:
        end = (await session.get_one(Coupon, coupon)).expires_at
    with clock.frozen(end - MINUTE):
        assert (await desk.lock(till, coupon)).locked_until == end
    with clock.frozen(end), pytest.raises(CouponExpired):
        await desk.take(till, coupon)


async def test_a_till_may_want_a_lock_for_less_but_not_for_more(desk: Desk, till: Till) -> None:
    for wanted, minutes in ((2, 2), (60, 15)):
        _, coupon = await desk.issued(till)
        locked = await desk.lock(till, coupon, lasts=wanted * MINUTE)
        assert locked.locked_until == locked.at + minutes * MINUTE


async def test_an_unlocked_coupon_is_free_for_all_and_unlocking_what_is_free_changes_nothing(
    desk: Desk, till: Till
) -> None:
    _, coupon = await desk.issued(till)
    await desk.lock(till, coupon)
    for _ in range(2):
        assert (await desk.unlock(till, coupon)).state is CouponState.EFFECTIVE
    await desk.take(till.beside(), coupon)


async def test_locking_takes_the_code_that_is_shown_and_counts_wrong_ones(desk: Desk, till: Till) -> None:
    with clock.frozen(clock.now()):
        _, coupon = await desk.issued(till)
        [wrong] = await desk.wrong(coupon)
        for _ in range(10):
            with pytest.raises(CouponCodeWrong):
                await desk.lock(till, coupon, otp=rules.read_code(wrong)[1])
        with pytest.raises(DomainError, match=r".*") as refused:
            await desk.lock(till, coupon, otp=await desk.digits(coupon))
        assert refused.value.code == "too_many_wrong_codes"
        _, fresh = await desk.issued(till)
        await desk.lock(till, fresh, otp=await desk.digits(fresh))


async def test_who_does_not_honour_a_coupon_can_neither_lock_nor_unlock_it(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    for attempt in (desk.lock(Till(), coupon), desk.unlock(Till(), coupon)):
        with pytest.raises(CouponNotFound):
            await attempt


async def test_a_household_sees_that_its_coupon_is_locked_and_still_has_a_code_to_show(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    locked = await desk.lock(till, coupon)
    shown = (await desk.show(family, coupon)).json()
    assert (shown["state"], len(shown["code"])) == ("locked", 20)
    assert datetime.fromisoformat(shown["locked_until"]) == locked.locked_until
    assert [item["id"] for item in await desk.coupons(family, state="locked")] == [coupon]
    assert await desk.coupons(family, state="effective") == []


async def test_of_ten_tills_that_lock_one_coupon_at_once_one_gets_it(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    tills = [Till(till.merchant, f"store-{number}") for number in range(10)]
    outcomes = await all_of(*(desk.lock(asking, coupon) for asking in tills))
    assert sorted(getattr(outcome, "code", "locked") for outcome in outcomes) == ["coupon_locked"] * 9 + ["locked"]


async def test_a_coupon_that_is_locked_and_used_in_one_batch_is_used_where_it_was_locked(
    desk: Desk, till: Till
) -> None:
    """Two deeds carried out together see what the other has done."""
    _, coupon = await desk.issued(till)
    lock = Lock(vault=desk.vault, otp=None, **till.means(coupon))
    outcomes = await all_of(
        desk.ask(LockCoupons, lock),
        desk.ask(UseCoupons, desk.use_of(till.beside(), coupon)),
        desk.ask(UseCoupons, desk.use_of(till, coupon)),
    )
    codes = [getattr(outcome, "code", getattr(outcome, "state", "")) for outcome in outcomes]
    # Whoever was first; but never both stores.
    assert codes in (["locked", "coupon_locked", "used"], ["coupon_used", "used", "coupon_used"])


async def test_a_midnight_that_ends_a_coupon_ends_its_lock(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till, valid_days=1)
    shown = (await desk.show(family, coupon)).json()
    assert datetime.fromisoformat(shown["expires_at"]).astimezone(BEIJING).hour == 0
    await desk.lock(till, coupon)
    with clock.frozen(datetime.fromisoformat(shown["expires_at"])):
        answer = await desk.show(family, coupon)
        assert (answer.json()["state"], answer.json()["code"]) == ("expired", None)
        async with desk.points.client(family.actor) as client:
            assert code_of(await client.get(f"/api/points/coupons/{coupon}/code")) == "coupon_expired"


async def test_a_code_and_a_token_at_two_stores_at_once_are_judged_one_after_another(desk: Desk, till: Till) -> None:
    reward = await desk.reward(till.merchant, store_ids={till.merchant.id: ["store-1"]})
    coupon = (await desk.coupon(await desk.household(12), reward))["id"]
    asked = [
        desk.use_of(till, coupon),
        desk.use_of(till.beside(), coupon, otp=await desk.digits(coupon)),  # which does not honour it
    ]
    async with desk.db.transaction() as session:
        first, second = await carry_out(session, UseCoupons(), asked)
    assert isinstance(first, Standing)
    assert first.state is CouponState.USED
    assert isinstance(second, CouponUsed)
