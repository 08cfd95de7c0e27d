"""`/` and `/privacy`, and what browsers are shown instead of problem+json."""

from starlette.responses import JSONResponse

from gateway.pages.front import DemoCode
from tests.gateway.pages.conftest import Between, Site, app_for, browser_of


async def test_the_front_page_says_what_runs_and_where_the_documents_are(site: Site) -> None:
    page = await site.browser.open("/")
    services = {row.one("b").text: row["class"] for row in page.one("ul", class_="services").all("li")}
    assert services["接诉即办"] == "up"
    assert services["双向积分"] == "down"  # it does not run in these tests
    assert {"/docs", "/openapi.json"} <= {link["href"] for link in page.all("a")}
    assert not any(link["href"].startswith("/q/") for link in page.all("a"))


async def test_codes_of_the_demo_town_stand_on_the_front_page_where_there_is_one(site: Site) -> None:
    browser = browser_of(app_for(site.hood, site.orders, demo_codes=[DemoCode(site.hood.code, "槐安里<南区>")]))
    async with browser.client:
        page = await browser.open("/")
    assert page.one("a", href=f"/q/{site.hood.code}").text == "槐安里<南区>"


async def test_the_privacy_notice_is_shown_in_full(site: Site) -> None:
    notice = {"version": "2025-01", "text": "题目\n\n一、收集什么\n手机号。<b>\n\n最后一句。\n"}
    identity = Between(site.hood.town.directory.apps["identity"])
    identity.answers["GET", "/api/identity/privacy-notice"] = JSONResponse(notice)
    browser = browser_of(app_for(site.hood, site.orders, identity=identity))
    async with browser.client:
        page = await browser.open("/privacy")
    assert [heading.text for heading in page.all("h2")] == ["一、收集什么"]
    assert "手机号。<b>" in page.text
    assert "最后一句。" in page.text


async def test_without_identity_the_notice_is_excused_and_its_gist_told(site: Site) -> None:
    page = await site.browser.open("/privacy", status=503)
    assert "加密保存" in page.text


async def test_what_the_edge_refuses_a_browser_reads_as_a_page_and_a_program_as_problem_json(site: Site) -> None:
    await site.browser.open("/no/such/page", status=404)
    await site.browser.open("/q/a//b", status=404)
    headers = {"Content-Length": "99999999", "Content-Type": "multipart/form-data; boundary=x"}
    answer = await site.browser.client.post(site.q, content=b"", headers=headers)
    assert answer.status_code == 413
    assert "照片太大" in answer.text
    for path in ("/no/such/page", "/q/a//b"):
        answer = await site.browser.client.get(path, headers={"Accept": "*/*"})
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await site.browser.client.get("/api/orders/places/nothing")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_asset_by_another_name_is_not_found(site: Site) -> None:
    for name in ("page.css", "page.000000000000.css", "..%2freport.html"):
        answer = await site.browser.client.get(f"/assets/{name}")
        assert answer.status_code == 404


async def test_many_files_and_fields_are_refused_as_a_page(site: Site) -> None:
    files = [("photos", (f"{number}.jpg", b"x", "image/jpeg")) for number in range(30)]
    answer = await site.browser.client.post(site.q, files=files)
    assert answer.status_code == 400
    assert "没有收到完整的内容" in answer.text
    answer = await site.browser.client.post(site.q, content=b"{}", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
