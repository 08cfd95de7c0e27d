"""Through the gateway, over a socket: what a till signed is what is judged, and what is signed for it arrives whole."""

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2

from chassis.core import clock
from chassis.core.beijing import day_of
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.standin import serving
from tests.points.merchants.conftest import Market, Till, at_hour, bill, refusal
from tests.points.merchants.refusals import NONCE_REUSED, SIGN_ERROR


@asynccontextmanager
async def edge_of(market: Market) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway before the market's service. It says what it can unpack, as clients do."""
    app = create_app(GatewaySettings(keys_dir=market.points.town.keys_dir), market.points.town.directory)
    async with (
        serving(app) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False, verify=False) as client,
    ):
        client.headers["Accept-Encoding"] = "gzip, br"
        yield client


async def test_a_bill_arrives_through_the_edge_as_it_was_signed(own_market: Market) -> None:
    day = day_of(clock.now()) - timedelta(days=3)
    with clock.frozen(at_hour(day, 15)):
        till = await own_market.till()
        _, coupon = await own_market.coupon(till)
        assert (await till.use(coupon["code"], out_request_no="R-edge-01")).status_code == 200
    target = f"/merchant/v1{bill(day)}"
    async with edge_of(own_market) as edge:
        fetched = await edge.get(target, headers={"Authorization": till.authorization("GET", target, b"")})
    own_market.check_signed(fetched)
    direct = await till.call("GET", bill(day))
    assert (fetched.status_code, fetched.content) == (200, direct.content)
    assert "Content-Encoding" not in fetched.headers
    for name in ("Content-Type", "Content-Disposition", "HHBY-Bill-SHA256"):
        assert fetched.headers[name] == direct.headers[name]
    csv = gzip.decompress(fetched.content)
    assert hashlib.sha256(csv).hexdigest() == fetched.headers["HHBY-Bill-SHA256"]
    assert csv.splitlines()[1].split(b",")[4] == b"R-edge-01"


async def test_what_was_changed_on_the_way_is_noticed_behind_the_edge(market: Market, till: Till) -> None:
    target, content = "/merchant/v1/echo?b=%e5%88%b8&a=1+2", b'{"a": 1}\r\n'
    headers = {"Authorization": till.authorization("POST", target, content)}
    async with edge_of(market) as edge:
        for path, sent, expected in (
            (target.replace("%e5", "%E5"), content, SIGN_ERROR),
            (target, content.strip(), SIGN_ERROR),
            (target, content, None),
            (target, content, NONCE_REUSED),
        ):
            answer = await edge.post(path, content=sent, headers=headers)
            market.check_signed(answer)
            assert (refusal(answer) if answer.status_code != 200 else None) == expected
            assert answer.headers["Request-ID"]
