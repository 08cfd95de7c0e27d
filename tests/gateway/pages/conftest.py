"""The gateway with its pages in front of the real orders service; other answers of it can be put in its place."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.core.client import Directory
from gateway.app import create_app
from gateway.pages.front import DemoCode
from gateway.settings import GatewaySettings
from services.points.seals import actions
from services.points.terms import LedgerName
from tests.gateway.pages.reading import Element, read
from tests.orders.conftest import hood, orders_database, orders_town
from tests.orders.neighbourhood import Neighbourhood
from tests.points.conftest import Points, service_on
from tests.points.seals.history import History
from tests.town import TestDatabase, copy_of, new_address, new_phone

__all__ = ["hood", "orders_database", "orders_town"]


@dataclass
class Between:
    """Stands in front of a service: remembers what it was asked, and answers for it where told to."""

    app: ASGIApp
    answers: dict[tuple[str, str], JSONResponse] = field(default_factory=dict)
    seen: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        await self.answers.get((scope["method"], scope["path"]), self.app)(scope, receive, send)

    def refuse(self, method: str, path: str, status: int, code: str, **headers: str) -> None:
        """Answer with this problem from now on."""
        self.answers[method, path] = JSONResponse({"code": code, "errors": []}, status, headers)

    def asked(self, method: str, path: str) -> list[dict[str, str]]:
        """The headers of every such request."""
        return [
            {name.decode(): value.decode() for name, value in scope["headers"]}
            for scope in self.seen
            if (scope["method"], scope["path"]) == (method, path)
        ]


class Browser:
    """A resident's browser without JavaScript."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.form: dict[str, str] = {}

    async def open(self, path: str, *, status: int = 200) -> Element:
        """The page at a path."""
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return self._read(answer)

    async def send(self, path: str, *, photos: tuple[bytes, ...] = (), **typed: Any) -> httpx2.Response:
        """Send the page's form: its hidden fields, and what is typed over them."""
        files = [("photos", ("IMG_1.jpg", photo, "image/jpeg")) for photo in photos]
        files = files or [("photos", ("", b"", "application/octet-stream"))]
        return await self.client.post(path, data=self.form | typed, files=files)

    async def refused(self, path: str, status: int, **typed: Any) -> Element:
        """Send the form, which must be refused with this status; the page that comes back."""
        answer = await self.send(path, **typed)
        assert answer.status_code == status, answer.text
        return self._read(answer)

    def _read(self, answer: httpx2.Response) -> Element:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = read(answer.text)
        self.form = {field["name"]: field["value"] for field in page.all("input", type="hidden")}
        return page


@dataclass
class Site:
    """A gateway in front of a neighbourhood's orders service."""

    hood: Neighbourhood
    orders: Between
    browser: Browser
    app: ASGIApp
    address: str

    @property
    def q(self) -> str:
        """The path of the lift's page."""
        return f"/q/{self.hood.code}"

    async def reported(self, **over: Any) -> str:
        """A report sent from the page; the path of its private link."""
        await self.browser.open(self.q)
        typed = {"subitem": "P0104", "description": "电梯门关不上", "phone": new_phone()} | over
        answer = await self.browser.send(self.q, **typed)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def case(self, path: str) -> dict[str, Any]:
        """The order behind a private link, as `Neighbourhood` takes it."""
        found = await self.hood.track({"token": path.removeprefix("/t/")})
        orders = await self.hood.get("", self.hood.auditor)
        order: dict[str, Any]
        (order,) = [order for order in orders.json()["items"] if order["number"] == found["number"]]
        return order | {"token": path.removeprefix("/t/")}


def app_for(
    hood: Neighbourhood, orders: ASGIApp | None, *, identity: ASGIApp | None = None, demo_codes: Sequence[DemoCode] = ()
) -> ASGIApp:
    """The gateway, with these in the place of the services; without an orders service if None."""
    directory = Directory()
    for name, service in {**hood.town.directory.apps, "orders": orders}.items():
        if service is not None:
            directory.host(name, identity if identity and name == "identity" else service)
    return create_app(GatewaySettings(keys_dir=hood.town.keys_dir), directory, demo_codes=demo_codes)


def browser_of(app: ASGIApp, address: str = "203.0.113.9") -> Browser:
    """A browser at an address."""
    transport = httpx2.ASGITransport(app, client=(address, 40000))
    headers = {"Accept": "text/html", "User-Agent": "Phone/1"}
    return Browser(httpx2.AsyncClient(transport=transport, base_url="http://beiyuan.test", headers=headers))


@asynccontextmanager
async def seals_of(
    migrated: TestDatabase, keys_dir: Path, folder: Path, *heads: int, ledger: LedgerName = LedgerName.CIVIC
) -> AsyncIterator[tuple[ASGIApp, Points]]:
    """The gateway in front of a real points service with a head over each of these numbers of transfers, and it."""
    with copy_of(migrated) as database:
        async with service_on(database, keys_dir, folder) as points:
            history = History(database, ledger)
            for size in heads:
                history.grow(size - len(history.ids))
                history.write()
                await actions.seal(points.town.apps["points"].state.seals.sealing, ledger, at_most=size)
            yield create_app(GatewaySettings(keys_dir=keys_dir), points.town.directory), points


@pytest.fixture
async def site(hood: Neighbourhood) -> AsyncIterator[Site]:
    """The pages of a neighbourhood of the test's own, seen from an address of its own."""
    orders = Between(hood.town.apps["orders"])
    app = app_for(hood, orders)
    address = new_address()
    browser = browser_of(app, address)
    async with browser.client:
        yield Site(hood, orders, browser, app, address)
