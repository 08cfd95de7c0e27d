"""`/seals`: what anybody can copy today and hold against us tomorrow."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from gateway.pages import seals
from services.points.terms import LedgerName
from tests.gateway.pages.conftest import Site, browser_of, seals_of
from tests.points.conftest import Points
from tests.town import TestDatabase

Sealed = tuple[ASGIApp, Points]


@pytest.fixture(scope="module")
async def sealed(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sealed]:
    """A points service with eight heads of the civic ledger, and none of the other."""
    async with seals_of(migrated, keys_dir, tmp_path_factory.mktemp("seals"), *range(1001, 1009)) as found:
        yield found


async def test_anybody_sees_the_signed_heads_letter_by_letter_with_nobody_signed_in(sealed: Sealed) -> None:
    app, points = sealed
    async with points.client() as client:
        heads = (await client.get("/api/points/seals/checkpoints", params={"limit": 100})).json()["items"]
        keys = (await client.get("/api/points/seals/key", headers={"Accept": "text/plain"})).text
    browser = browser_of(app)
    async with browser.client:
        page = await browser.open("/seals")
    shown = [box.text for box in page.all("pre")]
    assert shown == [*(head["checkpoint"] for head in heads[: seals._SHOWN]), *keys.split()]
    assert "1,008" in page.text


async def test_a_ledger_that_was_never_sealed_is_said_to_be_so(sealed: Sealed) -> None:
    browser = browser_of(sealed[0])
    async with browser.client:
        page = await browser.open("/seals")
    assert "还没有盖过章" in page.one("section", **{"aria-labelledby": LedgerName.STAFF}).text
    assert "还没有盖过章" not in page.one("section", **{"aria-labelledby": LedgerName.CIVIC}).text


async def test_every_link_on_the_page_leads_to_what_it_says(sealed: Sealed) -> None:
    browser = browser_of(sealed[0])
    async with browser.client:
        page = await browser.open("/seals")
        for link in page.all("a"):
            answer = await browser.client.get(link["href"])
            assert answer.status_code == 200, link["href"]


async def test_the_front_page_leads_to_it(sealed: Sealed) -> None:
    browser = browser_of(sealed[0])
    async with browser.client:
        assert (await browser.open("/")).one("a", href="/seals")


async def test_while_the_points_service_is_down_the_page_says_that_the_ledger_is_not(site: Site) -> None:
    page = await site.browser.open("/seals", status=503)
    assert "积分存证暂时打不开" in page.one("h1").text
    assert "账没有停" in page.text
