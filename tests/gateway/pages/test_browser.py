"""The pages in a real browser on a phone-sized screen: what JavaScript adds, what works without it, and whether
people who see or hear little can use them.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, async_playwright
from starlette.types import ASGIApp

from tests.gateway.pages.conftest import Site, seals_of
from tests.gateway.standin import serving
from tests.orders.images import encoded, image
from tests.town import TestDatabase

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]
FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MILLISECONDS = 120_000
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[f"--{flag}" for flag in (*FLAGS.split(), "disable-sync")],
            timeout=PATIENCE_MILLISECONDS,
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def phone(chromium: Browser, app: ASGIApp, **options: Any) -> AsyncIterator[Page]:
    """A page on a phone that reaches the site over a socket. It may ask nobody else and must log no error."""
    async with serving(app, proxy_headers=False, server_header=False) as port:
        home = f"http://127.0.0.1:{port}"
        context = await chromium.new_context(base_url=home, viewport=PHONE, locale="zh-CN", bypass_csp=False, **options)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("request", lambda asked: complaints.extend([asked.url][asked.url.startswith((home, "blob:")) :]))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.extend([said.text]["Security Policy" not in said.text :]))
        try:
            yield page
            assert complaints == []
        finally:
            await context.close()


async def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical. It is evaluated past the page's own policy."""
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


async def resolved(site: Site) -> str:
    """The path of the private link of a report that waits for its call-back."""
    path = await site.reported()
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.work(case)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_fault_on_any_page(chromium: Browser, site: Site, scheme: str) -> None:
    waiting, asking = await site.reported(), await resolved(site)
    async with phone(chromium, site.app, color_scheme=scheme) as page:
        for path in (site.q, waiting, asking, "/", "/q/nosuchcode"):
            await page.goto(path)
            await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            assert await faults(page) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_of_seals_can_be_read_and_copied_whole_on_a_phone(
    chromium: Browser, migrated: TestDatabase, keys_dir: Path, tmp_path: Path, scheme: str
) -> None:
    async with (
        seals_of(migrated, keys_dir, tmp_path, 3, 1_234) as (app, _),
        phone(chromium, app, color_scheme=scheme, java_script_enabled=True) as page,
    ):
        await page.goto("/seals")
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        assert await faults(page) == []
        boxes = "[document.documentElement, ...document.querySelectorAll('pre')]"
        wide = f"{boxes}.filter((box) => box.scrollWidth > box.clientWidth)"
        assert await page.evaluate(f"{wide}.length") == 0
        targets = "[...document.querySelectorAll('a, summary')].filter((it) => it.getBoundingClientRect().height < 48)"
        assert await page.evaluate(f"{targets}.length") == 0


async def test_axe_finds_no_serious_fault_on_a_form_with_errors_and_the_focus_is_on_the_first(
    chromium: Browser, site: Site
) -> None:
    async with phone(chromium, site.app, java_script_enabled=True) as page:
        await page.goto(site.q)
        await page.check("input[value=P0101]")
        await page.fill("#description", "门坏了")
        await page.fill("#phone", "123")
        await page.click("button:text('提交')")
        await page.wait_for_selector(".errors")
        assert await faults(page) == []
        assert await page.evaluate("document.activeElement.id") == "phone"


async def test_every_target_is_big_enough_for_a_thumb(chromium: Browser, site: Site) -> None:
    path = await resolved(site)
    async with phone(chromium, site.app) as page:
        for address in (site.q, path):
            await page.goto(address)
            await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            small = await page.evaluate(
                """[...document.querySelectorAll("button, summary, select, textarea, .row, .calls a, .field input")]
                .map((element) => [element.textContent.trim(), element.getBoundingClientRect()])
                .filter(([_, box]) => box.height > 1 && (box.height < 48 || box.width < 48)).map(([text]) => text)"""
            )
            assert small == [], address
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_the_emergency_numbers_stay_in_sight_once_something_urgent_is_chosen(
    chromium: Browser, site: Site
) -> None:
    async with phone(chromium, site.app, java_script_enabled=False) as page:
        await page.goto(site.q)
        assert not await page.is_visible(".dial")
        await page.check("input[value=P0101]")
        box = await page.locator(".dial").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE["height"] + 1


async def test_without_javascript_a_report_is_sent_followed_and_answered(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "门.jpg").write_bytes(encoded(image(800, 600)))
    async with phone(chromium, site.app, java_script_enabled=False) as page:
        await page.goto(site.q)
        await page.click("text=上面没有")
        await page.click("summary:text-is('环境卫生与绿化')")
        await page.click("text=树木倾倒枝干隐患")
        await page.click("text=门故障")
        await page.fill("#description", "门关不上")
        await page.set_input_files("#photos", tmp_path / "门.jpg")
        await page.click("button:text('提交')")
        await page.wait_for_url("**/t/*")
        assert await page.is_visible("text=提交成功")
        path = page.url.removeprefix("http://").partition("/")[2]
        case = await site.case(f"/{path}")
        await site.hood.act(case, "claim", site.hood.handler)
        await site.hood.work(case)
        await page.reload()
        await page.check("[name=solved][value=yes]")
        await page.check("[name=satisfied][value=satisfied]")
        await page.click("button:text('提交评价')")
        await page.wait_for_url("**#answered")
        assert await page.is_visible("text=您的评价已经收到")
        assert await page.is_visible("h2:text('已办结')")


async def test_photos_are_shown_made_smaller_and_can_be_taken_out_before_they_are_sent(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    for name in ("一", "二", "三"):
        (tmp_path / f"{name}.png").write_bytes(encoded(_noise(3000, 1500), "PNG"))
    async with phone(chromium, site.app) as page:
        await page.goto(site.q)
        await page.check("input[value=P0104]")
        await page.fill("#description", "门关不上")
        await page.set_input_files("#photos", [tmp_path / "一.png", tmp_path / "二.png"])
        await page.wait_for_selector("text=已选 2 张照片")
        await page.set_input_files("#photos", tmp_path / "三.png")
        await page.wait_for_selector("text=已选 3 张照片")
        await page.click("button[aria-label='去掉照片 2']")
        sizes = await page.evaluate(
            "[...document.getElementById('photos').files].map((file) => [file.type, file.size])"
        )
        assert [kind for kind, _ in sizes] == ["image/jpeg"] * 2
        assert all(size < (tmp_path / "一.png").stat().st_size for _, size in sizes)
        await page.click("button:text-is('提交')")
        await page.wait_for_url("**/t/*")
        assert await page.locator(".photos img").count() == 2
        found = await site.hood.track({"token": page.url.rpartition("/")[2]})
        assert max(photo["width"] for photo in found["photos"]) == 2560


async def test_pressed_twice_it_is_sent_once(chromium: Browser, site: Site) -> None:
    async with phone(chromium, site.app) as page:
        await page.goto(site.q)
        await page.check("input[value=P0104]")
        await page.fill("#description", "门关不上")
        await page.dblclick("button:text-is('提交')")
        await page.wait_for_url("**/t/*")
    assert len(site.orders.asked("POST", "/api/orders/reports")) == 1


async def test_gone_back_to_the_form_still_has_what_was_typed_and_sends_no_second_report(
    chromium: Browser, site: Site
) -> None:
    async with phone(chromium, site.app) as page:
        await page.goto(site.q)
        await page.check("input[value=P0104]")
        await page.fill("#description", "门关不上")
        await page.click("button:text-is('提交')")
        await page.wait_for_url("**/t/*")
        await page.go_back()
        assert await page.input_value("#description") == "门关不上"
        assert await page.is_checked("input[value=P0104]")
        await page.click("button:text-is('提交')")
        await page.wait_for_selector("text=这件事已经有人从您所在的网络反映过")
    assert len((await site.hood.get(f"/places/{site.hood.code}")).json()["open"]) == 1


async def test_a_sub_item_is_found_by_a_few_characters(chromium: Browser, site: Site) -> None:
    async with phone(chromium, site.app) as page:
        await page.goto(site.q)
        await page.click("text=上面没有")
        await page.fill("[type=search]", "漏雨")
        assert await page.locator(".more .row:visible").all_inner_texts() == ["屋面漏雨"]
        await page.fill("[type=search]", "没有这种事")
        assert await page.is_visible("text=没有找到")
        await page.fill("[type=search]", "")
        assert await page.locator(".more > details:visible").count() == 12


async def test_nothing_is_kept_on_the_phone(chromium: Browser, site: Site) -> None:
    async with phone(chromium, site.app) as page:
        await page.goto(site.q)
        await page.fill("#phone", "10012345678")
        await page.fill("#description", "门关不上")
        await page.goto(await site.reported())
        assert await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        assert await page.context.cookies() == []


def _noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), os.urandom(width * height * 3))
