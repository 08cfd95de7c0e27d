"""Whose request it is, and whether it is what was signed, and when: anything else is nobody's and burns no nonce."""

from datetime import timedelta

import pytest

from chassis.core import clock
from tests.points.merchants.conftest import ECHO, Market, Till, refusal
from tests.points.merchants.refusals import SIGN_ERROR, TIMESTAMP_EXPIRED

LONG_AGO = timedelta(minutes=6)


@pytest.mark.parametrize("off", [LONG_AGO, -LONG_AGO, timedelta(seconds=301), timedelta(seconds=-301)], ids=str)
async def test_a_clock_that_is_off_is_told_so_and_nothing_else(market: Market, till: Till, off: timedelta) -> None:
    """Neither that the key is unknown nor that the signature is wrong. Nothing is done, and no nonce is burnt."""
    now = clock.now().replace(microsecond=0)
    with clock.frozen(now):
        right = await till.send("POST", ECHO, at=now + off)
        market.check_signed(right)
        wrong_signature = await till.send("POST", ECHO, b"{}", sent=b"[]", at=now + off)
        unknown_key = await till.send("POST", ECHO, at=now + off, serial_no="FFFF")
    bodies = {answer.content for answer in (right, wrong_signature, unknown_key)}
    assert len(bodies) == 1
    assert refusal(right) == TIMESTAMP_EXPIRED
    assert await till.nonces() == 0


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_a_clock_may_be_off_by_five_minutes(till: Till, seconds: int) -> None:
    at = clock.now().replace(microsecond=0)
    with clock.frozen(at):
        assert (await till.call("POST", "/echo", at=at + timedelta(seconds=seconds))).status_code == 200


async def test_an_unknown_key_and_a_wrong_signature_are_told_alike(market: Market, till: Till) -> None:
    other = await market.till()
    answers = [
        await till.send("POST", ECHO, serial_no="FFFF"),
        await till.send("POST", ECHO, mchid="0000000001"),
        await till.send("POST", ECHO, serial_no=other.key.serial_no),
        await till.send("POST", ECHO, b"{}", sent=b"[]"),
    ]
    assert {refusal(answer) for answer in answers} == {SIGN_ERROR}
    assert len({answer.content for answer in answers}) == 1
    assert ["HHBY-Signature" in answer.headers for answer in answers] == [False, False, False, True]
    assert await till.nonces() == 0


CHANGED = {
    "the body by one byte": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b'{"fen":2}'),
    "a space in the body": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b'{"fen": 1}'),
    "the body left out": ("POST", ECHO, b'{"fen":1}', "POST", ECHO, b""),
    "a newline after the body": ("POST", ECHO, b"{}", "POST", ECHO, b"{}\n"),
    "the method": ("POST", ECHO, b"", "PUT", ECHO, b""),
    "the path": ("POST", ECHO, b"", "POST", "/merchant/v1/coupons/use", b""),
    "a query that was not signed": ("POST", ECHO, b"", "POST", f"{ECHO}?a=1", b""),
    "the query": ("POST", f"{ECHO}?a=1", b"", "POST", f"{ECHO}?a=2", b""),
    "the query's order": ("POST", f"{ECHO}?a=1&b=2", b"", "POST", f"{ECHO}?b=2&a=1", b""),
    "how the path is written": ("POST", ECHO, b"", "POST", "/merchant/v1/ech%6F", b""),
}


@pytest.mark.parametrize("case", CHANGED.values(), ids=CHANGED.keys())
async def test_whatever_was_changed_on_the_way_is_noticed(
    market: Market, till: Till, case: tuple[str, str, bytes, str, str, bytes]
) -> None:
    method, target, content, sent_method, sent_target, sent = case
    header = till.authorization(method, target, content)
    assert refusal(await market.send(sent_method, sent_target, sent, header)) == SIGN_ERROR
    assert await till.nonces() == 0
    assert (await market.send(method, target, content, header)).status_code == 200


async def test_path_and_query_are_signed_as_they_are_written(till: Till) -> None:
    for target in (f"{ECHO}?b=%E5%88%B8&a=1+2", "/merchant/v1/ech%6F"):
        answer = await till.send("POST", target)
        assert answer.status_code == 200, answer.text
