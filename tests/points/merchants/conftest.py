"""Merchants with tills. Requests are signed, and replies checked, by PyCryptodome, or by the openssl command line where
a test says so: by implementations that are not ours.
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.merchants import actions, numbers
from services.points.merchants.openapi import CODES
from services.points.merchants.tables import MerchantNonce
from services.points.merchants.terms import Algorithm
from tests import independent, openssl, signing
from tests.points.conftest import Points
from tests.points.merchants.refusals import PARAM_ERROR
from tests.points.rewards.conftest import Household, Shop

RSA = Algorithm.RSA
SCHEME = {RSA: signing.RSA_SCHEME, Algorithm.ED25519: "HHBY1-ED25519"}
ECHO = "/merchant/v1/echo"


@dataclass(frozen=True)
class Key:
    """A merchant's key: both halves as PEM."""

    private: str
    public: str
    algorithm: Algorithm = RSA
    serial_no: str = field(default_factory=lambda: secrets.token_hex(20).upper())

    def sign(self, message: bytes) -> str:
        """The base64 signature of a message."""
        return independent.sign(self.private, message)

    def renamed(self) -> "Key":
        """The same key under another serial number."""
        return Key(self.private, self.public, self.algorithm)


class Till:
    """A till of a merchant, with the key that it signs with. It believes no reply whose signature is not good."""

    def __init__(self, market: "Market", merchant_id: UUID, mchid: str, key: Key, store_id: str = "store-1") -> None:
        self.market = market
        self.id = merchant_id  # as a reward's merchant
        self.mchid = mchid
        self.key = key
        self.store_id = store_id

    def authorization(
        self,
        method: str,
        target: str,
        content: bytes,
        *,
        nonce: str | None = None,
        at: datetime | None = None,
        scheme: str | None = None,
        serial_no: str | None = None,
        mchid: str | None = None,
    ) -> str:
        """The header for this request; what is given takes the place of what would be right."""
        return signing.authorization(
            self.key.sign,
            method,
            target,
            content,
            mchid=mchid or self.mchid,
            serial_no=serial_no or self.key.serial_no,
            timestamp=int((at or clock.now()).timestamp()),
            nonce=nonce,
            scheme=scheme or SCHEME[self.key.algorithm],
        )

    async def send(
        self, method: str, target: str, content: bytes = b"", *, sent: bytes | None = None, **changes: Any
    ) -> httpx2.Response:
        """A request with the signature over `content`; `sent` is what is sent in its place."""
        header = self.authorization(method, target, content, **changes)
        return await self.market.send(method, target, content if sent is None else sent, header)

    async def call(self, method: str, path: str, body: Any = None, **changes: Any) -> httpx2.Response:
        """A call under /merchant/v1 whose reply must bear a good signature."""
        content = b"" if body is None else json.dumps(body).encode()
        answer = await self.send(method, f"/merchant/v1{path}", content, **changes)
        self.market.check_signed(answer)
        return answer

    def body(self, code: str | None = None, **changes: Any) -> dict[str, Any]:
        """What `use` is sent for a coupon's code."""
        usual = {
            "coupon_code": code,
            "store_id": self.store_id,
            "use_time": clock.now().isoformat(timespec="seconds"),
            "out_request_no": f"R{secrets.token_hex(8)}",
        }
        return {name: value for name, value in (usual | changes).items() if value is not None}

    async def use(self, code: str | None = None, **changes: Any) -> httpx2.Response:
        """Redeem a coupon."""
        return await self.call("POST", "/coupons/use", self.body(code, **changes))

    async def lock(self, code: str | None = None, **changes: Any) -> httpx2.Response:
        """Keep a coupon for this till."""
        return await self.call("POST", "/coupons/lock", self.body(code, **({"use_time": None} | changes)))

    async def unlock(self, coupon_id: str, **changes: Any) -> httpx2.Response:
        """Let go of a coupon."""
        return await self.call("POST", "/coupons/unlock", self.body(coupon_id=coupon_id, use_time=None, **changes))

    async def give_back(self, used: httpx2.Response, **changes: Any) -> httpx2.Response:
        """Undo the use that was answered so."""
        said = used.json()
        named = {"coupon_id": said["coupon_id"], "use_no": said["use_no"], "use_time": None}
        return await self.call("POST", "/coupons/return", self.body(**(named | changes)))

    async def nonces(self) -> int:
        """How many nonces of the merchant's are remembered."""
        async with self.market.db.transaction() as session:
            statement = select(func.count()).where(MerchantNonce.merchant_id == self.id)
            return int(await session.scalar(statement) or 0)

    async def prepare(self, code: str, **changes: Any) -> httpx2.Response:
        """Look what a code is."""
        return await self.call("POST", "/coupons/prepare", {"coupon_code": code, "store_id": self.store_id} | changes)


class Market:
    """The merchants of a running points service, and households that have coupons to spend there."""

    def __init__(self, shop: Shop, platform_keys: dict[str, str], key: Key) -> None:
        self.shop = shop
        self.points = shop.points
        self.db = shop.db
        self.platform_keys = platform_keys
        self._key = key

    async def send(
        self,
        method: str,
        target: str,
        content: bytes = b"",
        authorization: str | None = None,
        *,
        address: str = "203.0.113.7",
        **further: str,
    ) -> httpx2.Response:
        """A request as it is, with `further` headers. Every reply must have an id, and be JSON if it is no bill."""
        headers = {name.replace("_", "-"): value for name, value in further.items()}
        if authorization is not None:
            headers["Authorization"] = authorization
        if content:
            headers.setdefault("content-type", "application/json")
        async with self.points.town.client("points", address=address) as client:
            answer = await client.request(method, target, content=content, headers=headers)
        assert answer.headers["Request-ID"]
        if answer.headers["Content-Type"] != "application/gzip":
            assert answer.headers["Content-Type"] == "application/json"
            assert "problem" not in answer.text
        return answer

    def check_signed(self, answer: httpx2.Response) -> None:
        """The reply bears a good signature of the platform's."""
        assert signing.is_signed(answer, self.platform_keys, independent.verifies)

    async def till(self, key: Key | None = None, *, stores: tuple[str, ...] = ("store-1",), **key_fields: Any) -> Till:
        """A till of a merchant of its own. The key's material may be shared: keys are a merchant's by serial number."""
        merchant_id = new_id()
        mchid = f"{merchant_id.int % 10**10:010d}"
        async with self.db.transaction() as session:
            await actions.record_merchant(
                session, merchant_id, mchid=mchid, name="麦垛面包房", stores=dict.fromkeys(stores, "总店")
            )
        till = Till(self, merchant_id, mchid, key or self._key.renamed(), stores[0])
        await self.record(till, till.key, **key_fields)
        return till

    async def record(self, till: Till, key: Key, **fields: Any) -> None:
        """Put a key on record for a till's merchant, good from yesterday for a year unless `fields` say otherwise."""
        at = clock.now()
        usual: dict[str, Any] = {
            "serial_no": key.serial_no,
            "algorithm": key.algorithm,
            "public_key_pem": key.public,
            "not_before": at - timedelta(days=1),
            "not_after": at + timedelta(days=365),
        }
        async with self.db.transaction() as session:
            await actions.record_key(session, till.mchid, **(usual | fields))

    async def coupon(self, *tills: Till, **reward: Any) -> tuple[Household, dict[str, Any]]:
        """A coupon that these merchants honour, as its household has it."""
        family = await self.shop.household(12)
        reward_id = await self.shop.reward(merchant_ids=[till.id for till in tills], **reward)
        return family, await self.shop.coupon(family, reward_id)


@pytest.fixture(scope="session")
def rsa_keys() -> list[Key]:
    """Two RSA keys by openssl."""
    return [Key(*openssl.new_rsa_key()) for _ in range(2)]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the ledger may take its time: who asks what became of a request waits for it."""
    monkeypatch.setattr(numbers, "WAIT_SECONDS", 60)


async def market_of(points: Points, key: Key) -> Market:
    async with points.client() as client:
        keys = signing.platform_keys_of(await client.get("/merchant/v1/platform-keys"))
    return Market(Shop(points), keys, key)


@pytest.fixture
async def market(points: Points, rsa_keys: list[Key]) -> Market:
    """The service that tests share: each has merchants and coupons of its own."""
    return await market_of(points, rsa_keys[0])


@pytest.fixture
async def own_market(own_points: Points, rsa_keys: list[Key]) -> Market:
    """A service of the test's own."""
    return await market_of(own_points, rsa_keys[0])


@pytest.fixture
async def till(market: Market) -> Till:
    """A till of a merchant that nobody else has."""
    return await market.till()


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """The status and code of a refusal, whose shape is checked; merchants were told that there is such a one."""
    body = answer.json()
    assert set(body) == {"code", "message", "detail"}, body
    assert body["message"]
    assert body["code"] in CODES[str(answer.status_code)]
    return answer.status_code, body["code"]


def fields_of(answer: httpx2.Response) -> set[str]:
    """The fields at fault. What is wrong with each must be said in Chinese first."""
    assert refusal(answer) == PARAM_ERROR
    fields = answer.json()["detail"]["fields"]
    assert all(re.match("[^ ]*[\u4e00-\u9fff]", field["reason"]) for field in fields), fields
    return {field["name"] for field in fields}


def number() -> str:
    """A merchant's number that it has not used before."""
    return f"R{secrets.token_hex(8)}"


def bill(day: date) -> str:
    """Where the bill of a day is."""
    return f"/bills/daily?bill_date={day.isoformat()}"


def at_hour(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of a day in Beijing."""
    return datetime.combine(day, time(hour, minute, second), BEIJING)
