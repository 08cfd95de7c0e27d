"""A nonce is good once: what was overheard does nothing when it is sent again."""

import asyncio
import json
import secrets
from datetime import timedelta
from typing import Any

import pytest

from chassis.core import clock
from services.points.merchants.jobs import forget_nonces
from tests.points.conftest import Points
from tests.points.merchants.conftest import ECHO, Key, Market, Till, market_of, refusal
from tests.points.merchants.refusals import NONCE_REUSED

LONG_AGO = timedelta(minutes=6)


@pytest.mark.parametrize("wrong", ["signature", "timestamp", "key"])
async def test_junk_cannot_burn_a_nonce_that_the_merchant_is_about_to_use(
    market: Market, till: Till, wrong: str
) -> None:
    nonce = secrets.token_hex(16)
    junk: dict[str, dict[str, Any]] = {
        "signature": {"sent": b"x"},
        "timestamp": {"at": clock.now() - LONG_AGO},
        "key": {"scheme": "HHBY1-ED25519"},
    }
    refused = await till.send("POST", ECHO, nonce=nonce, **junk[wrong])
    assert refused.status_code == 401
    assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200


async def test_a_request_that_was_overheard_does_nothing_when_it_is_sent_again(market: Market, till: Till) -> None:
    _, coupon = await market.coupon(till)
    content = json.dumps(till.body(coupon["code"])).encode()
    header = till.authorization("POST", "/merchant/v1/coupons/use", content)
    assert (await market.send("POST", "/merchant/v1/coupons/use", content, header)).status_code == 200
    again = await market.send("POST", "/merchant/v1/coupons/use", content, header)
    assert refusal(again) == NONCE_REUSED
    market.check_signed(again)
    assert await market.shop.payable(till) == 12
    await market.shop.check()


async def test_of_one_request_sent_many_times_at_once_one_is_let_in(market: Market, till: Till) -> None:
    header = till.authorization("POST", ECHO, b"")
    answers = await asyncio.gather(*(market.send("POST", ECHO, b"", header) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
    assert {refusal(answer) for answer in answers if answer.status_code != 200} == {NONCE_REUSED}


async def test_the_nonce_of_a_request_that_failed_is_spent_too(market: Market, till: Till) -> None:
    for target in ("/merchant/v1/coupons/use", "/merchant/v1/nothing"):
        nonce = secrets.token_hex(8)
        assert (await till.send("POST", target, b"{}", nonce=nonce)).status_code in {400, 404}
        assert refusal(await till.send("POST", target, b"{}", nonce=nonce)) == NONCE_REUSED


async def test_a_nonce_is_one_merchants_and_keys(market: Market, till: Till, rsa_keys: list[Key]) -> None:
    nonce = secrets.token_hex(16)
    await market.record(till, second := rsa_keys[1].renamed())
    assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
    assert (await Till(market, till.id, till.mchid, second).send("POST", ECHO, nonce=nonce)).status_code == 200
    assert (await (await market.till()).send("POST", ECHO, nonce=nonce)).status_code == 200


async def test_a_nonce_is_remembered_for_eleven_minutes_with_and_without_the_sweep(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    nonce, at = secrets.token_hex(16), clock.now()
    runtime = own_points.town.runtime("points")
    with clock.frozen(at):
        assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
    with clock.frozen(at + timedelta(seconds=659)):
        await forget_nonces(runtime)
        assert refusal(await till.send("POST", ECHO, nonce=nonce)) == NONCE_REUSED
    with clock.frozen(at + timedelta(seconds=660)):
        assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
        await forget_nonces(runtime)
        assert await till.nonces() == 1
    with clock.frozen(at + timedelta(seconds=1320)):
        await forget_nonces(runtime)
        assert await till.nonces() == 0
