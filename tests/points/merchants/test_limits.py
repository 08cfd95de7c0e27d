"""What an address and a merchant may ask for in a minute."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from chassis.core.errors import TooManyRequests
from chassis.core.ids import new_id
from services.points.merchants.door import Limits
from services.points.merchants.terms import Algorithm, Caller
from tests.points.conftest import Points
from tests.points.merchants.conftest import ECHO, Key, Market, market_of, refusal
from tests.points.merchants.refusals import NONCE_REUSED, RATE_LIMITED, SIGN_ERROR


async def market_with(points: Points, key: Key, **settings: Any) -> Market:
    """The same service with other settings."""
    await points.town.start("points", **settings)
    return await market_of(points, key)


@pytest.fixture
def within_a_minute() -> Iterator[None]:
    """Limits count by the minute: here none begins while the test runs."""
    with time_machine.travel(datetime.now(UTC).replace(second=20), tick=False):
        yield


@pytest.mark.usefixtures("within_a_minute")
async def test_an_address_that_floods_the_door_is_stopped_before_anything_is_looked_at(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_with(own_points, rsa_keys[0], merchant_requests_per_address=3)
    till = await market.till()  # asking for the platform's keys was the first
    answers = [await market.send("POST", ECHO, b"", "junk") for _ in range(3)]
    assert [refusal(answer) for answer in answers] == [SIGN_ERROR, SIGN_ERROR, RATE_LIMITED]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    refused = await till.send("POST", ECHO)
    assert refusal(refused) == RATE_LIMITED
    assert "HHBY-Signature" not in refused.headers
    assert await till.nonces() == 0


@pytest.mark.usefixtures("within_a_minute")
async def test_a_merchant_over_its_limit_is_told_when_to_come_again_and_its_number_is_still_free(
    own_points: Points, rsa_keys: list[Key]
) -> None:
    market = await market_with(own_points, rsa_keys[0], merchant_requests_per_merchant=2)
    till, other = await market.till(), await market.till()
    _, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    nonce = secrets.token_hex(16)
    assert (await till.call("POST", "/echo", nonce=nonce)).status_code == 200
    assert (await till.call("POST", "/echo")).status_code == 200
    assert refusal(await till.send("POST", ECHO, nonce=nonce)) == NONCE_REUSED  # which is checked before
    for _ in range(2):
        refused = await till.call("POST", "/coupons/use", body)
        assert refusal(refused) == RATE_LIMITED
        assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert (await other.call("POST", "/echo")).status_code == 200
    await market_with(own_points, rsa_keys[0])
    assert (await till.call("POST", "/coupons/use", body)).status_code == 200


@pytest.mark.usefixtures("within_a_minute")
def test_a_subscribers_network_counts_as_one_address_and_this_machine_as_none() -> None:
    limits = Limits(per_address=1, per_merchant=1)
    limits.count_address("2001:db8::1")
    limits.count_address("2001:db8:0:1::1")
    limits.count_address("203.0.113.7")
    for counted in ("2001:db8::ffff:2", "::ffff:203.0.113.7"):
        with pytest.raises(TooManyRequests):
            limits.count_address(counted)
    for uncounted in ("127.0.0.1", "::1", "unknown") * 2:
        limits.count_address(uncounted)


@pytest.mark.usefixtures("within_a_minute")
def test_all_keys_of_a_merchant_count_together_but_those_of_its_sandbox() -> None:
    """A program that is tried out must not stop the tills; and who changes keys gains no second limit."""
    limits = Limits(per_address=1, per_merchant=1)
    live = Caller(new_id(), "1234567890", "A", Algorithm.RSA, sandbox=False, suspended=False)
    limits.count_merchant(live)
    limits.count_merchant(replace(live, sandbox=True))
    limits.count_merchant(replace(live, mchid="1234567891"))
    for again in (live, replace(live, serial_no="B"), replace(live, sandbox=True, serial_no="C")):
        with pytest.raises(TooManyRequests):
            limits.count_merchant(again)
