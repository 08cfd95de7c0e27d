"""The form of a request: what cannot be read is refused before anything else, saying why."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from chassis.core import clock
from tests.points.merchants.conftest import ECHO, Market, Till, refusal
from tests.points.merchants.refusals import SIGN_ERROR
from tests.town import actor

LONG_AGO = timedelta(minutes=6)
A_NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"


def without(name: str) -> Callable[[str], str]:
    def change(header: str) -> str:
        scheme, _, rest = header.partition(" ")
        return f"{scheme} {','.join(item for item in rest.split(',') if not item.startswith(name))}"

    return change


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(header: str) -> str:
        assert old in header
        return header.replace(old, new, 1)

    return change


MALFORMED = {
    "no scheme": lambda header: header.partition(" ")[2],
    "another scheme": replaced("HHBY1-SHA256-RSA2048", "WECHATPAY2-SHA256-RSA2048"),
    "a scheme in small letters": replaced("HHBY1-SHA256-RSA2048", "hhby1-sha256-rsa2048"),
    "a scheme that is longer": replaced("HHBY1-SHA256-RSA2048", "HHBY1-SHA256-RSA20480"),
    "no fields": lambda header: header.partition(" ")[0],
    "no mchid": without("mchid"),
    "no nonce": without("nonce_str"),
    "no signature": without("signature"),
    "no timestamp": without("timestamp"),
    "no serial number": without("serial_no"),
    "a field twice": lambda header: header + ',serial_no="ABCDEF"',
    "a further field": lambda header: header + ',x="y"',
    "a field in capitals": replaced("mchid=", "MCHID="),
    "a field unquoted": replaced('mchid="', "mchid="),
    "a semicolon between fields": replaced('",nonce_str', '";nonce_str'),
    "something after the fields": lambda header: header + " x",
    "a comma at the end": lambda header: header + ",",
    "an mchid of nine digits": replaced('mchid="', 'mchid="x'),
    "a nonce too short": replaced(A_NONCE, "123456789012345"),
    "a nonce too long": replaced(A_NONCE, "1" * 33),
    "a nonce with a space": replaced(A_NONCE, "1234567890 1234567890"),
    "a signature that is no base64": replaced('signature="', 'signature="*'),
    "a signature cut off": lambda header: header.replace("==", "", 1),
    "an empty serial number": lambda header: header.split("serial_no")[0] + 'serial_no=""',
    "a timestamp with a zero in front": replaced('timestamp="', 'timestamp="0'),
    "a negative timestamp": replaced('timestamp="', 'timestamp="-'),
    "a header without end": lambda header: header + "x" * 3000,
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_header_that_cannot_be_read_is_refused_saying_why_whatever_else_is_wrong(
    market: Market, till: Till, change: Callable[[str], str]
) -> None:
    header = till.authorization("POST", ECHO, b"", nonce=A_NONCE, at=clock.now() - LONG_AGO)
    answer = await market.send("POST", ECHO, b"", change(header))
    assert refusal(answer) == SIGN_ERROR
    assert answer.json()["detail"]["reason"]
    assert answer.headers["WWW-Authenticate"].startswith("HHBY1-SHA256-RSA2048")


async def test_fields_may_stand_in_any_order_and_with_spaces_between(market: Market, till: Till) -> None:
    scheme, _, rest = till.authorization("POST", ECHO, b"").partition(" ")
    answer = await market.send("POST", ECHO, b"", f"{scheme} {', '.join(reversed(rest.split(',')))}")
    assert answer.status_code == 200, answer.text


async def test_two_headers_are_not_one(market: Market, till: Till) -> None:
    header = till.authorization("POST", ECHO, b"")
    async with market.points.client() as client:
        answer = await client.post(ECHO, headers=[("Authorization", header), ("Authorization", header)])
    assert refusal(answer) == SIGN_ERROR


async def test_a_body_of_more_than_64_kib_is_refused_unread(market: Market, till: Till) -> None:
    longest = b"x" * 65536
    assert (await till.send("POST", ECHO, longest)).status_code == 200
    answer = await till.send("POST", ECHO, longest + b"x")
    assert refusal(answer) == (413, "PARAM_ERROR")


async def test_a_persons_token_is_no_merchants_signature(market: Market) -> None:
    for role in ("merchant", "administrator"):
        async with market.points.client(actor(role)) as client:
            assert refusal(await client.post(ECHO)) == SIGN_ERROR
            assert refusal(await client.get("/merchant/v1/coupons/12345678901234")) == SIGN_ERROR
            assert (await client.get("/merchant/v1/platform-keys")).status_code == 200
