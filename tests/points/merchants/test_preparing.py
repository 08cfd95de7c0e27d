"""What a till sees of a coupon before it takes it, and the token that stands for the code then."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from chassis.core import clock
from services.points.coupons import rules
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import CouponState
from tests.points.merchants.conftest import Market, Till, fields_of, refusal
from tests.points.merchants.refusals import COUPON_CODE_STALE, COUPON_USED


async def set_state(market: Market, coupon_id: str, state: CouponState) -> None:
    async with market.db.transaction() as session:
        await session.execute(update(Coupon).where(Coupon.id == coupon_id).values(state=state))


async def test_a_till_sees_what_a_code_is_worth_before_it_takes_it(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    at = clock.now()
    with clock.frozen(at):
        answer = await till.prepare(coupon["code"])
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    token = seen.pop("prepare_token")
    assert token
    good_until = datetime.fromisoformat(seen.pop("prepare_token_expires_at"))
    assert timedelta(seconds=120) <= good_until - at < timedelta(seconds=121)
    assert datetime.fromisoformat(seen.pop("expires_at")) == datetime.fromisoformat(coupon["expires_at"])
    assert seen == {
        "coupon_id": coupon["id"],
        "state": "EFFECTIVE",
        "usable": True,
        "reason": None,
        "reward_title": "理发券",
        "face_fen": 2000,
        "payable_fen": 1500,
        "locked_until": None,
    }
    assert (await till.call("GET", f"/coupons/{coupon['id']}")).json()["state"] == "EFFECTIVE"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (CouponState.DEACTIVATED, "COUPON_EXPIRED"),
        (CouponState.REFUNDED, "COUPON_EXPIRED"),
        (CouponState.EXPIRED, "COUPON_EXPIRED"),
    ],
    ids=str,
)
async def test_a_coupon_that_cannot_be_used_says_why_and_gives_no_token(
    own_market: Market, state: CouponState, reason: str
) -> None:
    till = await own_market.till()
    _, coupon = await own_market.coupon(till)
    await set_state(own_market, coupon["id"], state)
    seen = (await till.prepare(coupon["code"])).json()
    assert (seen["state"], seen["usable"], seen["reason"]) == (state.value.upper(), False, reason)
    assert (seen["prepare_token"], seen["prepare_token_expires_at"]) == (None, None)
    assert refusal(await till.use(coupon["code"])) == (409, reason)


async def test_a_used_coupon_is_seen_as_used(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    await till.use(coupon["code"])
    seen = (await till.prepare(coupon["code"])).json()
    assert (seen["state"], seen["usable"], seen["reason"], seen["prepare_token"]) == (
        "USED",
        False,
        "COUPON_USED",
        None,
    )


async def test_a_token_takes_the_codes_place_for_two_minutes(market: Market, till: Till) -> None:
    """The customer has put the phone away, and the code that was shown is long over."""
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        token = (await till.prepare(coupon["code"])).json()["prepare_token"]
    with clock.frozen(at + timedelta(seconds=119)):
        assert refusal(await till.use(coupon["code"])) == COUPON_CODE_STALE
        answer = await till.use(prepare_token=token)
        assert answer.json()["coupon_id"] == coupon["id"]
        assert refusal(await till.use(prepare_token=token)) == COUPON_USED


async def test_a_token_that_is_over_is_stale(market: Market, till: Till) -> None:
    at = clock.now()
    with clock.frozen(at):
        _, coupon = await market.coupon(till)
        said = (await till.prepare(coupon["code"])).json()
        token = said["prepare_token"]
    with clock.frozen(datetime.fromisoformat(said["prepare_token_expires_at"])):
        assert refusal(await till.use(prepare_token=token)) == COUPON_CODE_STALE


async def test_a_token_is_good_no_longer_than_its_coupon(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    ends = datetime.fromisoformat(coupon["expires_at"])
    with clock.frozen(ends - timedelta(seconds=60)):
        code = rules.code(coupon["id"], await market.shop.secret(coupon["id"]), clock.now())
        said = (await till.prepare(code)).json()
    assert datetime.fromisoformat(said["prepare_token_expires_at"]) == ends


async def test_a_token_is_good_at_the_store_and_merchant_that_it_was_made_for_alone(market: Market) -> None:
    here, there = await market.till(stores=("store-1", "store-2")), await market.till(stores=("store-1", "store-2"))
    _, coupon = await market.coupon(here, there)
    token = (await here.prepare(coupon["code"])).json()["prepare_token"]
    sandbox = Till(market, here.id, here.mchid, here.key.renamed())
    await market.record(sandbox, sandbox.key, sandbox=True)
    assert fields_of(await there.use(prepare_token=token)) == {"body.prepare_token"}
    assert fields_of(await here.use(prepare_token=token, store_id="store-2")) == {"body.prepare_token"}
    assert fields_of(await sandbox.use(prepare_token=token)) == {"body.prepare_token"}
    swapped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for junk in (swapped, "A", "AAAA" * 20, token[4:], token * 2):
        assert fields_of(await here.use(prepare_token=junk)) == {"body.prepare_token"}
    assert (await here.use(prepare_token=token)).status_code == 200
