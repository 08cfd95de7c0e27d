"""A resident with a phone in the hand: the QR page and the report in a real Chromium, with JavaScript and without."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright

from tests.journeys.running import Running
from tests.journeys.test_order import CONTENT, a_property_code, act, handle, photo

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE_LIMIT_BYTES = 60_000
PATIENCE_MILLISECONDS = 120_000
ABORTED = "net::ERR_ABORTED"
"""What was still on its way when its page was left, as pictures are that load lazily."""
expect.set_options(timeout=PATIENCE_MILLISECONDS)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE_MILLISECONDS)
        yield chromium
        chromium.close()


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A phone's browser."""
    made = browser.new_context(
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        java_script_enabled=request.param,
    )
    made.set_default_timeout(PATIENCE_MILLISECONDS)
    yield made
    made.close()


def look(page: Page, name: str) -> None:
    """Keep a screenshot where TEST_SCREENSHOTS says, for people to look at."""
    if folder := os.environ.get("TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_report_is_sent_from_the_wall_and_followed_to_its_end(
    running: Running, context: BrowserContext, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = re.sub(r"\W+", "-", request.node.name.partition("[")[2])
    code = a_property_code(running)
    picture = tmp_path / "漏雨.jpg"
    picture.write_bytes(photo())
    page = context.new_page()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.extend([request.url][request.failure == ABORTED :]))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{running.url}/q/{code['code']}")
    look(page, f"{name}-1-report")

    page.get_by_label("屋面漏雨").check()
    page.locator("[name=description]").fill("下雨时楼道里漏水，地上很滑。<script>alert(1)</script>")
    page.locator("[name=photos]").set_input_files(picture)
    page.locator("[name=phone]").fill("100 2233 4455")
    page.locator("[name=name]").fill("周阿姨")
    look(page, f"{name}-2-filled")
    page.get_by_role("button", name="提交", exact=True).click()

    page.wait_for_url(re.compile("/t/"))
    link = page.url.partition("?")[0].partition("#")[0]
    expect(page.locator("body")).to_contain_text("下雨时楼道里漏水，地上很滑。<script>alert(1)</script>")
    expect(page.locator("body")).not_to_contain_text("22334455")
    number = re.search(r"BY\d{6}-\d{6}", page.locator("body").inner_text())
    assert number
    look(page, f"{name}-3-sent")

    order = find(running, code["property_company"], number.group())
    with running.signed_in(running.account("handler", code["property_company"])["phone"]) as handler:
        handle(handler, order)
    page.goto(link)
    look(page, f"{name}-4-resolved")
    page.get_by_label("解决了", exact=True).check()
    page.get_by_label("满意", exact=True).check()
    page.get_by_role("button", name="提交评价").click()
    page.wait_for_url(re.compile("#answered"))
    look(page, f"{name}-5-answered")

    with running.client() as client:
        token = link.rsplit("/", 1)[1]
        seen = client.get(f"/api/orders/track/{token}").json()
    if seen["state"] != "closed":  # the share of answers by link that is checked by phone
        with running.signed_in(running.account("callback_agent")["phone"]) as agent:
            assert act(agent, order, "callback", CONTENT).json()["state"] == "closed"
        page.goto(link)
    expect(page.locator("body")).to_contain_text("办结")
    assert failed == []


def test_axe_finds_no_serious_fault_on_the_pages(running: Running, browser: Browser) -> None:
    code = a_property_code(running)
    with running.client() as client:
        body = {"qr_code": code["code"], "subitem_code": "H0206", "description": "电线裸露", "photos": []}
        tracking = client.post("/api/orders/reports", json=body).json()["tracking_url"]
    made = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
    made.set_default_timeout(PATIENCE_MILLISECONDS)
    try:
        page = made.new_page()
        for path in (f"/q/{code['code']}", tracking, "/", "/privacy", "/q/unknown-code"):
            page.goto(running.url + path)
            found = Axe().run(page).response["violations"]
            grave = [item["id"] for item in found if item["impact"] in {"serious", "critical"}]
            assert grave == [], path
    finally:
        made.close()


def test_the_page_behind_a_code_weighs_less_than_60_kb_with_all_it_loads(running: Running, browser: Browser) -> None:
    made = browser.new_context(viewport={"width": 390, "height": 844})
    made.set_default_timeout(PATIENCE_MILLISECONDS)
    try:
        page = made.new_page()
        answers: list[Response] = []
        page.on("response", lambda response: answers.append(response))
        page.goto(f"{running.url}/q/{a_property_code(running)['code']}", wait_until="networkidle")
        assert 0 < sum(len(answer.body()) for answer in answers) < PAGE_LIMIT_BYTES
    finally:
        made.close()


def test_the_page_says_where_to_go_when_the_code_is_unknown(running: Running) -> None:
    with running.client() as client:
        answer: httpx2.Response = client.get("/q/nosuchcode")
    assert answer.status_code == 404
    assert "12345" in answer.text


def find(running: Running, company: str, number: str) -> dict[str, str]:
    """The order with this number, as the company's handler finds it in the pool."""
    with running.signed_in(running.account("handler", company)["phone"]) as handler:
        cursor: str | None = None
        while True:
            params = {"state": "pooled"} | ({"cursor": cursor} if cursor else {})
            listed = handler.get("/api/orders", params=params).json()
            for item in listed["items"]:
                if item["number"] == number:
                    return {"id": item["id"]}
            cursor = listed["next_cursor"]
            assert cursor, f"{number} is not in the pool"
