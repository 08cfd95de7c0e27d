"""A shop whose people sign in at its page: the gateway in front of the real identity and points services."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from starlette.types import ASGIApp

from chassis.core import clock
from chassis.core.ids import new_id
from gateway.app import create_app
from gateway.settings import GatewaySettings
from services.identity.organisations import actions as organisations
from services.identity.people import actions as people
from services.identity.terms import Level, OrganisationKind, Role
from services.points.counter import actions as counters
from tests.gateway.pages.conftest import Between
from tests.gateway.pages.reading import Element, read
from tests.points.conftest import Points
from tests.points.registry.conftest import Registry
from tests.points.rewards.conftest import Household, Shop
from tests.town import TestDatabase, Town, copy_of, new_address, new_phone

CODE = "246810"
"""What every SMS says here."""


class Visitor:
    """A browser without JavaScript that keeps cookies, at the page of a shop."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.page: Element | None = None

    async def open(self, path: str, *, status: int = 200) -> Element:
        """The page at a path, wherever it leads."""
        answer = await self.client.get(path, follow_redirects=True)
        assert answer.status_code == status, answer.text
        return self._read(answer)

    async def send(self, path: str, *, follow: bool = True, **typed: str) -> httpx2.Response:
        """Send the form for this path of the page that is open: its hidden fields and what is typed."""
        assert self.page is not None
        form = next(form for form in self.page.all("form") if form["action"] == path)
        hidden = {field["name"]: field["value"] for field in form.all("input", type="hidden")}
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = await self.client.post(path, data=hidden | typed, headers=headers, follow_redirects=follow)
        if "text/html" in answer.headers.get("content-type", ""):
            self._read(answer)
        return answer

    async def press(self, path: str, *, status: int = 200, **typed: Any) -> Element:
        """The same; the page that one comes to."""
        answer = await self.send(path, **typed)
        assert answer.status_code == status, answer.text
        assert self.page is not None
        return self.page

    async def sign_in(self, phone: str) -> Element:
        """Sign in by the code that was sent."""
        await self.open("/shop/signin")
        await self.press("/shop/signin/code", phone=phone)
        return await self.press("/shop/signin", code=CODE)

    def _read(self, answer: httpx2.Response) -> Element:
        self.page = read(answer.text)
        return self.page


@dataclass
class Corner:
    """A merchant with a store, its manager and a clerk, and the page where they redeem coupons."""

    town: Town
    shop: Shop
    registry: Registry
    app: ASGIApp
    points: Between
    id: UUID  # the merchant's, as a reward's merchant
    manager_phone: str
    clerk_phone: str
    clerk_id: UUID

    @property
    def path(self) -> str:
        return f"/shop/{self.id}/s1"

    @property
    def api(self) -> str:
        return f"/api/points/counter/{self.id}/s1"

    async def news(self) -> None:
        """All that identity has to tell the points service arrives."""
        relay = self.town.runtime("identity").relay()
        while await relay.send_batch("points"):
            pass

    async def coupon(self, **reward: Any) -> tuple[Household, dict[str, Any]]:
        """A coupon that the merchant honours, as its household has it."""
        family = await self.shop.household(12)
        return family, await self.shop.coupon(family, await self.shop.reward(merchant_ids=[self.id], **reward))


def visitor_of(app: ASGIApp, scheme: str = "http") -> Visitor:
    """A browser at an address of its own."""
    transport = httpx2.ASGITransport(app, client=(new_address(), 40000))
    return Visitor(
        httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://beiyuan.test", headers={"Accept": "text/html"})
    )


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """A code changes every half minute and the day at midnight: neither comes in the middle of a test, however slow."""
    with clock.frozen(clock.now()):
        yield


@pytest.fixture(scope="module")
def shop_database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for a module's tests: each has a merchant and people of its own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="module")
async def shop_town(
    shop_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    """Identity and points, as a module's tests share them."""
    town = Town(shop_database, keys_dir, tmp_path_factory.mktemp("shop"))
    try:
        for service in ("identity", "points"):
            await town.start(service)
        town.apps["identity"].state.desk.demo_code = CODE
        yield town
    finally:
        await town.close()


@pytest.fixture
async def corner(shop_town: Town) -> Corner:
    """A corner shop of the test's own."""
    points = Points(shop_town)
    shop, registry = Shop(points), Registry(points)
    merchant_id = await registry.merchant(name="麦垛面包房")
    await registry.patch(f"/{merchant_id}/stores/s1", {"name": "麦垛面包房槐安里总店"})
    manager_id, clerk_id = new_id(), new_id()
    phones = {manager_id: new_phone(), clerk_id: new_phone()}
    identity = shop_town.runtime("identity")
    async with identity.db.transaction() as session:
        await organisations.record_organisation(
            session, merchant_id, name="麦垛面包房", kind=OrganisationKind.MERCHANT, level=Level.PROPERTY
        )
        for person_id, phone in phones.items():
            await people.record_person(session, identity.vault, person_id, name="某某", phone=phone)
        await organisations.give_post(session, manager_id, merchant_id, Role.MERCHANT)
    async with points.db.transaction() as session:
        await counters.record_clerk(
            session, shop.vault, new_id(), person_id=clerk_id, merchant_id=merchant_id, store_id="s1", name="小王"
        )
    between = Between(shop_town.apps["points"])
    directory = type(shop_town.directory)()
    directory.host("identity", shop_town.apps["identity"])
    directory.host("points", between)
    app = create_app(GatewaySettings(keys_dir=shop_town.keys_dir), directory)
    return Corner(shop_town, shop, registry, app, between, merchant_id, phones[manager_id], phones[clerk_id], clerk_id)


@pytest.fixture
async def visitor(corner: Corner) -> AsyncIterator[Visitor]:
    """Somebody at the page who is not signed in."""
    visitor = visitor_of(corner.app)
    async with visitor.client:
        yield visitor


@pytest.fixture
async def clerk(corner: Corner, visitor: Visitor) -> Visitor:
    """The clerk, signed in."""
    await visitor.sign_in(corner.clerk_phone)
    return visitor
