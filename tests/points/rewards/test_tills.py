"""A coupon is shown at a till: taken once, by who honours it, and not by guessing or from a photograph."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.coupons import actions, queries
from services.points.coupons.errors import (
    CouponCodeMalformed,
    CouponCodeStale,
    CouponCodeWrong,
    CouponExpired,
    CouponNotFound,
    CouponUsed,
    TooManyWrongCodes,
)
from services.points.coupons.tables import Coupon, CouponEvent, WrongCodeCount
from services.points.coupons.terms import CouponState, WrongCodeSubject
from tests.points.rewards.conftest import Household, Merchant, Shop

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
A_MINUTE_AND_A_HALF = timedelta(seconds=90)


@pytest.fixture
def merchant() -> Merchant:
    return Merchant()


async def shown(shop: Shop, merchant: Merchant, **changes: Any) -> tuple[Household, dict[str, str]]:
    """A household, and the coupon that it shows at a merchant's."""
    family = await shop.household(12)
    return family, await shop.coupon(family, await shop.reward(merchant, **changes))


async def wrong_codes(shop: Shop, subject: str) -> int:
    """How many wrong codes are counted of a merchant or a coupon."""
    async with shop.db.transaction() as session:
        return int(
            await session.scalar(select(func.sum(WrongCodeCount.wrong)).where(WrongCodeCount.subject == subject)) or 0
        )


async def test_using_a_coupon_moves_its_points_to_the_merchant_and_says_where_and_when(
    shop: Shop, merchant: Merchant
) -> None:
    family, coupon = await shown(shop, merchant)
    at = clock.now()
    with clock.frozen(at):
        use_no = await shop.use(merchant, coupon["code"])
    assert await shop.payable(merchant) == 12
    async with shop.db.transaction() as session:
        used = await session.get_one(Coupon, coupon["id"])
        assert used.state is CouponState.USED
        assert (used.used_by, used.store_id, used.use_no, used.used_at) == (merchant.id, "store-1", use_no, at)
        events = select(CouponEvent).where(CouponEvent.coupon_id == coupon["id"]).order_by(CouponEvent.number)
        issued, event = await session.scalars(events)
        assert (event.number, event.kind, event.use_no, event.mchid) == (2, "used", use_no, merchant.mchid)
        assert event.out_trade_no == "T1"
        refs = await queries.coupons_of_transfers(session, [issued.transfer_id, event.transfer_id])
        assert [ref.id for ref in refs.values()] == [coupon["id"]] * 2
    [listed] = await shop.coupons(family)
    assert (listed["state"], datetime.fromisoformat(listed["used_at"])) == ("used", at)
    await shop.check()


async def test_a_used_coupon_is_not_used_again_there_or_elsewhere(shop: Shop) -> None:
    here, elsewhere = Merchant(), Merchant()
    family = await shop.household(12)
    coupon = await shop.coupon(family, await shop.reward(merchant_ids=[here.id, elsewhere.id]))
    await shop.use(here, coupon["code"])
    for merchant in (here, elsewhere):
        with pytest.raises(CouponUsed):
            await shop.use(merchant, coupon["code"])
    assert (await shop.payable(here), await shop.payable(elsewhere)) == (12, 0)
    answer = await shop.show(family, coupon["id"])
    assert (answer.json()["code"], answer.json()["code_expires_at"]) == (None, None)


async def test_a_coupon_can_be_used_until_its_midnight_and_not_from_then_on(shop: Shop, merchant: Merchant) -> None:
    midnight = datetime(2026, 3, 4, tzinfo=BEIJING)
    with clock.frozen(NOON):
        coupons = [(await shown(shop, merchant, valid_days=1))[1]["id"] for _ in range(2)]
    with clock.frozen(midnight), pytest.raises(CouponExpired):
        await shop.use_known(merchant, coupons[0])
    with clock.frozen(midnight - timedelta(microseconds=1)):
        await shop.use_known(merchant, coupons[1])
    await shop.check()


async def test_an_expired_coupon_is_shown_as_expired_and_has_no_code(shop: Shop, merchant: Merchant) -> None:
    with clock.frozen(NOON):
        family, coupon = await shown(shop, merchant, valid_days=1)
    with clock.frozen(NOON + timedelta(days=3)):
        answer = await shop.show(family, coupon["id"])
        assert (answer.json()["state"], answer.json()["code"]) == ("expired", None)
        assert [item["id"] for item in await shop.coupons(family, state="expired")] == [coupon["id"]]
        assert await shop.coupons(family, state="effective") == []


async def test_who_does_not_honour_a_coupon_learns_nothing_of_it(shop: Shop, merchant: Merchant) -> None:
    _, coupon = await shown(shop, merchant)
    stranger = Merchant()
    with pytest.raises(CouponCodeWrong):
        await shop.use(stranger, coupon["code"])
    with pytest.raises(CouponNotFound):
        await shop.use_known(stranger, coupon["id"])
    async with shop.db.transaction() as session:
        with pytest.raises(CouponNotFound):
            await queries.coupon_for_merchant(session, coupon["id"], stranger.id)
        assert (await queries.coupon_for_merchant(session, coupon["id"], merchant.id)).reward.title == "理发券"
    await shop.use(merchant, coupon["code"])


async def test_a_merchant_still_sees_what_was_used_there_when_it_honours_the_reward_no_more(
    shop: Shop, merchant: Merchant
) -> None:
    family = await shop.household(24)
    reward = await shop.reward(merchant)
    used, unused = await shop.coupon(family, reward), await shop.coupon(family, reward)
    await shop.use(merchant, used["code"])
    await shop.reward(id=reward, merchant_ids=[new_id()])
    async with shop.db.transaction() as session:
        assert (await queries.coupon_for_merchant(session, used["id"], merchant.id)).state is CouponState.USED
        with pytest.raises(CouponNotFound):
            await queries.coupon_for_merchant(session, unused["id"], merchant.id)
    with pytest.raises(CouponUsed):
        await shop.use_known(merchant, used["id"])
    with pytest.raises(CouponNotFound):
        await shop.use_known(merchant, unused["id"])


async def test_a_photographed_code_is_refused_soon_after_and_the_coupon_itself_is_still_good(
    shop: Shop, merchant: Merchant
) -> None:
    with clock.frozen(NOON):
        family, coupon = await shown(shop, merchant)
    with clock.frozen(NOON + A_MINUTE_AND_A_HALF):
        with pytest.raises(CouponCodeStale):
            await shop.use(merchant, coupon["code"])
        fresh = (await shop.show(family, coupon["id"])).json()
        assert fresh["code"] != coupon["code"]
        assert fresh["code_expires_at"] == "2026-03-02T04:02:00Z"
    with clock.frozen(NOON + timedelta(minutes=11)), pytest.raises(CouponCodeWrong):
        await shop.use(merchant, coupon["code"])
    with clock.frozen(NOON + timedelta(minutes=2, seconds=29)):
        await shop.use(merchant, fresh["code"])


async def test_a_code_that_is_merely_old_does_not_use_up_the_tries(shop: Shop, merchant: Merchant) -> None:
    with clock.frozen(NOON):
        family, coupon = await shown(shop, merchant)
    with clock.frozen(NOON + A_MINUTE_AND_A_HALF):
        for _ in range(12):
            with pytest.raises(CouponCodeStale):
                await shop.judge(merchant, coupon["code"])
        await shop.judge(merchant, (await shop.show(family, coupon["id"])).json()["code"])


async def test_ten_wrong_codes_close_a_coupon_for_the_hour_even_to_the_right_one(
    shop: Shop, merchant: Merchant
) -> None:
    with clock.frozen(NOON + timedelta(minutes=59, seconds=50)):
        family, coupon = await shown(shop, merchant)
        [wrong] = await shop.wrong(coupon["id"])
        for _ in range(10):
            with pytest.raises(CouponCodeWrong):
                await shop.judge(merchant, wrong)
        with pytest.raises(TooManyWrongCodes) as refused:
            await shop.judge(merchant, coupon["code"])
        assert refused.value.headers["Retry-After"] == "11"
        assert await wrong_codes(shop, coupon["id"]) == await wrong_codes(shop, str(merchant.id)) == 10
    with clock.frozen(NOON + timedelta(hours=1)):
        await shop.judge(merchant, (await shop.show(family, coupon["id"])).json()["code"])


async def test_a_merchant_cannot_guess_through_many_coupons(shop: Shop, merchant: Merchant) -> None:
    """Whether or not these coupons exist."""
    with clock.frozen(NOON):
        _, coupon = await shown(shop, merchant)
        for number in range(100):
            with pytest.raises(CouponCodeWrong):
                await shop.judge(merchant, f"{new_id().int % 10**14:014d}{number:06d}")
        with pytest.raises(TooManyWrongCodes):
            await shop.judge(merchant, coupon["code"])
        [wrong] = await shop.wrong(coupon["id"])
        with pytest.raises(CouponCodeWrong):
            await shop.judge(Merchant(), wrong)


async def test_a_coupon_that_is_not_there_is_refused_like_one_that_a_merchant_does_not_honour(
    shop: Shop, merchant: Merchant
) -> None:
    """The same words, and the same limit: nobody learns which coupons exist."""
    told = []
    with clock.frozen(NOON):  # tries are counted by the hour of the clock
        _, coupon = await shown(shop, merchant)
        for coupon_id in (coupon["id"], f"{new_id().int % 10**14:014d}"):
            stranger, refusals = Merchant(), []
            for number in range(101):
                with pytest.raises(DomainError) as refused:
                    await shop.judge(stranger, f"{coupon_id}{number:06d}")
                refusals.append((type(refused.value), refused.value.code, refused.value.detail))
            told.append(refusals)
    assert told[0] == told[1]
    assert told[0][-2:] == [(CouponCodeWrong, "coupon_not_found", ""), (TooManyWrongCodes, "too_many_wrong_codes", "")]


async def test_a_merchant_that_does_not_honour_a_coupon_cannot_use_up_its_tries(shop: Shop, merchant: Merchant) -> None:
    with clock.frozen(NOON):
        _, coupon = await shown(shop, merchant)
        stranger = Merchant()
        for code in await shop.wrong(coupon["id"], 12):
            with pytest.raises(CouponCodeWrong):
                await shop.judge(stranger, code)
            with pytest.raises(CouponCodeWrong):
                await shop.use(stranger, code)
        assert await wrong_codes(shop, coupon["id"]) == 0
        assert await wrong_codes(shop, str(stranger.id)) == 24
        await shop.use(merchant, coupon["code"])


async def test_what_is_no_code_at_all_is_not_counted(shop: Shop, merchant: Merchant) -> None:
    for code in ("", "12345", "1" * 19 + "x"):
        with pytest.raises(CouponCodeMalformed):
            await shop.judge(merchant, code)
    assert await wrong_codes(shop, str(merchant.id)) == 0


async def test_old_counts_of_wrong_codes_are_forgotten_and_those_of_this_hour_kept(
    shop: Shop, merchant: Merchant
) -> None:
    long_ago = datetime(2020, 1, 1, 4, 30, tzinfo=UTC)
    for at in (long_ago - timedelta(hours=1), long_ago):
        with clock.frozen(at), pytest.raises(CouponCodeWrong):
            await shop.judge(merchant, "1" * 20)
    async with shop.db.transaction() as session:
        await actions.sweep(session, long_ago)
        kept = await session.scalars(
            select(WrongCodeCount.hour).where(
                WrongCodeCount.by == WrongCodeSubject.MERCHANT, WrongCodeCount.subject == str(merchant.id)
            )
        )
        assert kept.all() == [long_ago.replace(minute=0)]


async def test_a_use_that_is_refused_leaves_no_trace(shop: Shop, merchant: Merchant) -> None:
    _, coupon = await shown(shop, merchant)
    await shop.use(merchant, coupon["code"])
    with pytest.raises(CouponUsed):
        await shop.use(merchant, coupon["code"])
    async with shop.db.transaction() as session:
        events = await session.scalar(select(func.count()).where(CouponEvent.coupon_id == coupon["id"]))
        assert events == 2
    await shop.check()
