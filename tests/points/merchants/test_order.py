"""The order of the checks at the merchants' door, each proved by a request that fails there and only there."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import httpx2
import pytest
import time_machine

from chassis.core import clock
from services.points.merchants import actions, signing
from tests.points.conftest import Points
from tests.points.merchants.conftest import ECHO, Key, Market, Till, market_of, refusal
from tests.points.merchants.refusals import (
    CONFLICT,
    NO_AUTH,
    NONCE_REUSED,
    RATE_LIMITED,
    SIGN_ERROR,
    TIMESTAMP_EXPIRED,
)
from tests.points.rewards.conftest import Household

USE = "/merchant/v1/coupons/use"
FLOODED, QUIET = "203.0.113.200", "203.0.113.201"
AN_ADDRESS = 20


class Check(IntEnum):
    """The checks in the order of the protocol."""

    ADDRESS = 1
    FORM = 2
    TIMESTAMP = 3
    KEY = 4
    SIGNATURE = 5
    NONCE = 6
    MERCHANT = 7
    NUMBER = 8


ANSWERS = {
    Check.ADDRESS: RATE_LIMITED,
    Check.FORM: SIGN_ERROR,
    Check.TIMESTAMP: TIMESTAMP_EXPIRED,
    Check.KEY: SIGN_ERROR,
    Check.SIGNATURE: SIGN_ERROR,
    Check.NONCE: NONCE_REUSED,
    Check.MERCHANT: RATE_LIMITED,
    Check.NUMBER: CONFLICT,
}
SIGNED = {Check.TIMESTAMP, Check.KEY, Check.SIGNATURE, Check.NONCE, Check.MERCHANT, Check.NUMBER}
"""Replies to requests whose header names a key on record. Before it was read there is no nonce to sign them for."""


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    """Limits count by the minute: none begins here unless the test goes there.

    It is some minutes ago, since a clock that is ahead of the database's posts nothing.
    """
    at = (datetime.now(UTC) - timedelta(minutes=10)).replace(second=20, microsecond=0)
    with time_machine.travel(at, tick=False) as traveller:
        yield traveller


@dataclass
class Scene:
    """A merchant whose limit is used up, with what can be wrong with a request of its."""

    market: Market
    till: Till
    revoked: Key
    family: Household
    coupon: dict[str, Any]
    spent_number: str
    spent_nonce: str
    verified: list[bytes]

    async def ask(self, *wrong: Check) -> httpx2.Response:
        """A use that fails at these checks and would pass all others but the limit by merchant."""
        body = self.till.body(self.coupon["code"])
        if Check.NUMBER in wrong:
            body["out_request_no"] = self.spent_number
        content = json.dumps(body).encode()
        header = self.till.authorization(
            "POST",
            USE,
            content,
            nonce=self.spent_nonce if Check.NONCE in wrong else None,
            at=clock.now() - timedelta(minutes=6) if Check.TIMESTAMP in wrong else None,
            serial_no=self.revoked.serial_no if Check.KEY in wrong else None,
        )
        if Check.FORM in wrong:
            header += ',x="y"'
        sent = content.replace(b"{", b"{ ", 1) if Check.SIGNATURE in wrong else content
        address = FLOODED if Check.ADDRESS in wrong else QUIET
        return await self.market.send("POST", USE, sent, header, address=address)

    def check_refused(self, answer: httpx2.Response, at: Check) -> None:
        """The refusal is that of this check, signed if it is one of those."""
        assert refusal(answer) == ANSWERS[at], at
        assert ("HHBY-Signature" in answer.headers) == (at in SIGNED), at
        if at in SIGNED:
            self.market.check_signed(answer)
        assert bool(answer.json()["detail"]["reason"]) == (at is Check.FORM)


@pytest.fixture
async def scene(
    own_points: Points,
    rsa_keys: list[Key],
    traveller: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    await own_points.town.start("points", merchant_requests_per_address=AN_ADDRESS, merchant_requests_per_merchant=2)
    market = await market_of(own_points, rsa_keys[0])
    till = await market.till()
    revoked = rsa_keys[1].renamed()
    await market.record(till, revoked)
    async with market.db.transaction() as session:
        await actions.revoke_key(session, till.mchid, revoked.serial_no)
    family, coupon = await market.coupon(till)
    nonce, earlier = secrets.token_hex(16), till.body(coupon["code"], store_id="nowhere")
    assert refusal(await till.call("POST", "/coupons/use", earlier)) == NO_AUTH
    assert (await till.send("POST", ECHO, nonce=nonce)).status_code == 200
    for _ in range(AN_ADDRESS):
        assert refusal(await market.send("POST", ECHO, b"", "junk", address=FLOODED)) == SIGN_ERROR
    verified: list[bytes] = []
    verify = signing.verify

    def recorded(public_key: str, algorithm: Any, message: bytes, signature: bytes) -> None:
        verified.append(message)
        verify(public_key, algorithm, message, signature)

    monkeypatch.setattr(signing, "verify", recorded)
    return Scene(market, till, revoked, family, coupon, earlier["out_request_no"], nonce, verified)


async def test_a_request_that_is_wrong_in_every_way_is_told_of_one_thing_after_the_other_in_the_protocols_order(
    scene: Scene, traveller: time_machine.Traveller
) -> None:
    for check in Check:
        answer = await scene.ask(*(later for later in Check if later >= check))
        scene.check_refused(answer, check)
        if check is Check.MERCHANT:  # what is put right about a limit by waiting
            traveller.shift(timedelta(minutes=2))
        if check <= Check.KEY:
            assert not scene.verified, "no signature is looked at before all that comes before it is right"
    fresh = (await scene.market.shop.show(scene.family, scene.coupon["id"])).json()["code"]
    assert (await scene.till.use(fresh)).status_code == 200
    await scene.market.shop.check()


async def test_what_is_wrong_in_one_way_alone_is_refused_for_that(
    scene: Scene, traveller: time_machine.Traveller
) -> None:
    for check in Check:
        if check is Check.MERCHANT:
            scene.check_refused(await scene.ask(), check)  # nothing is wrong but that it is over its limit
            traveller.shift(timedelta(minutes=2))
        else:
            scene.check_refused(await scene.ask(check), check)
