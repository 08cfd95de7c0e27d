"""`/q/{code}`: what somebody sees and sends who has scanned the code on a wall."""

import re
from typing import Any

import pytest
from starlette.responses import JSONResponse

from chassis.core.client import Directory
from chassis.core.ids import new_id
from gateway.app import create_app
from gateway.pages.assets import assets
from gateway.settings import GatewaySettings
from services.orders.intake.taxonomy import LIKELY, load
from services.orders.places import actions as places
from services.orders.terms import PlaceKind
from tests.gateway.pages.conftest import Site, app_for, browser_of
from tests.gateway.standin import serving
from tests.orders.images import photo
from tests.orders.neighbourhood import at
from tests.town import new_phone

TYPED: dict[str, Any] = {
    "subitem": "P0104",
    "description": "电梯门关不上，已经两天了",
    "phone": "100-1234-5678",
    "name": "王阿姨",
}


async def test_the_page_names_the_place_and_what_is_likely_there(site: Site) -> None:
    page = await site.browser.open(site.q)
    assert page.one("h1").text == "试验小区3号楼电梯"
    likely = [row["value"] for row in page.all("input", name="subitem")][: len(LIKELY[PlaceKind.LIFT])]
    assert likely == list(LIKELY[PlaceKind.LIFT])


async def test_everything_that_can_be_reported_stands_on_the_page_once(site: Site) -> None:
    page = await site.browser.open(site.q)
    codes = [row["value"] for row in page.all("input", name="subitem")]
    assert sorted(codes) == sorted(load().subitems)
    assert len(page.one("details", class_="more").all("details")) == 12


async def test_emergency_numbers_come_before_anything_else(site: Site) -> None:
    page = await site.browser.open(site.q)
    first, *_ = page.one("main").children
    assert first["class"] == "danger strong"
    assert [number["href"] for number in first.all("a")] == ["tel:119", "tel:120", "tel:110", "tel:96777"]


async def test_where_no_peril_is_likely_the_numbers_are_there_but_do_not_shout(site: Site) -> None:
    async with site.hood.db.transaction() as session:
        await site.hood.place(session, new_id(), PlaceKind.ROOM, "议事厅", f"R{site.hood.code}")
    page = await site.browser.open(f"/q/R{site.hood.code}")
    first, *_ = page.one("main").children
    assert first["class"] == "danger"
    assert first.all("a")


async def test_what_is_reported_already_is_told_without_anything_personal(site: Site) -> None:
    await site.reported(description="我家老伴被夹了一下", phone="10011112222", name="赵大爷")
    page = await site.browser.open(site.q)
    assert "这里有 1 件事已有人反映" in page.one("details", class_="open").text
    row = next(row for row in page.all("label", class_="row") if row.one("input")["value"] == "P0104")
    assert "已有人反映" in row.text
    for secret in ("老伴", "10011112222", "1001", "赵大爷", "赵"):
        assert secret not in page.text


async def test_a_report_goes_from_the_form_to_its_private_link_with_everything_that_was_typed(site: Site) -> None:
    with at("2026-11-23T10:00"):
        page = await site.browser.open(site.q)
        slots = [option["value"] for option in page.one("select").all("option")]
        assert slots[:3] == ["", "2026-11-23T14:00/2026-11-23T17:00", "2026-11-23T17:00/2026-11-23T20:00"]
        answer = await site.browser.send(site.q, photos=(photo(), photo("PNG")), visit=slots[1], **TYPED)
        assert answer.status_code == 303
        assert re.fullmatch(r"/t/[A-Za-z0-9_-]{22}", answer.headers["location"])
        found = await site.hood.track({"token": answer.headers["location"].removeprefix("/t/")})
    assert found["description"] == TYPED["description"]
    assert (found["name"], found["phone"]) == ("王**", "100****5678")
    assert found["visit"] == {"from": "2026-11-23T06:00:00Z", "to": "2026-11-23T09:00:00Z"}
    assert len(found["photos"]) == 2


async def test_a_visit_may_also_come_as_two_moments(site: Site) -> None:
    with at("2026-11-23T10:00"):
        path = await site.reported(visit_from="2026-11-24T09:00", visit_to="2026-11-24T11:30")
        page = await site.browser.open(path)
    assert "11月24日（明天）09:00–11:30" in page.text


async def test_a_phone_number_in_wide_digits_is_a_phone_number(site: Site) -> None:
    path = await site.reported(phone="１００　１２３４　５６７８")
    assert (await site.hood.track({"token": path.removeprefix("/t/")}))["phone"] == "100****5678"


async def test_a_report_needs_neither_phone_nor_photo_nor_the_pages_hidden_field(site: Site) -> None:
    answer = await site.browser.client.post(site.q, data={"subitem": "P0104", "description": "门坏了"})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("subitem", "", "请选一个问题"),
        ("subitem", "X9999", "请选一个问题"),
        ("description", "  \n ", "请写一两句"),
        ("description", "长" * 2001, "写得太长了"),
        ("description", "有\x00毒", "无法识别的符号"),
        ("phone", "1381234", "11 位数字"),
        ("name", "长" * 51, "称呼请写短一些"),
        ("visit", "2020-01-01T09:00/2020-01-01T12:00", "约不了"),
        ("visit", "明天", "约不了"),
    ],
)
async def test_an_error_stands_beside_its_field_and_nothing_typed_is_lost(
    site: Site, field: str, typed: str, says: str
) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, **(TYPED | {field: typed}))
    assert says in page.one("p", id=f"{field}-error").text
    assert says in page.one("section", class_="errors").text
    wrong = next(element for tag in ("fieldset", "textarea", "input", "select") for element in page.all(tag, id=field))
    assert wrong["aria-invalid"] == "true"
    assert f"{field}-error" in wrong["aria-describedby"]
    assert "autofocus" in wrong.attributes
    kept = TYPED | {field: typed}
    assert page.one("textarea", id="description").text == "\n" + kept["description"]
    assert page.one("input", id="phone")["value"] == kept["phone"]
    assert page.one("input", id="name")["value"] == kept["name"]
    assert [row["value"] for row in page.all("input", name="subitem") if "checked" in row.attributes] == (
        [kept["subitem"]] if kept["subitem"] in load().subitems else []
    )
    assert (await site.hood.get(f"/places/{site.hood.code}")).json()["open"] == []


async def test_of_several_errors_the_first_on_the_page_has_the_focus(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, description="", phone="12")
    assert len(page.one("section", class_="errors").all("li")) == 3
    focused = [
        element
        for tag in ("fieldset", "textarea", "input")
        for element in page.all(tag)
        if "autofocus" in element.attributes
    ]
    assert [element["id"] for element in focused] == ["subitem"]


async def test_a_sub_item_from_the_long_list_is_shown_open_again(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, subitem="H0101", description="")
    more = page.one("details", class_="more")
    opened = [item.one("summary").text for item in more.all("details") if "open" in item.attributes]
    assert opened == ["房屋修缮"]
    assert "open" in more.attributes


async def test_html_in_what_was_typed_is_shown_as_words(site: Site) -> None:
    poison = "</textarea><script>alert(1)</script>'\"&lt;"
    await site.browser.open(site.q)
    answer = await site.browser.send(site.q, subitem="P0104", description=poison, phone='"><b>', name="<i>王</i>")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text.replace("<b>119", "").replace("<b>1", "").replace("<b>9", "").replace("<b>紧", "")
    page = site.browser._read(answer)
    assert page.one("textarea", id="description").text == "\n" + poison
    assert page.one("input", id="phone")["value"] == '"><b>'


async def test_photos_that_have_arrived_need_not_be_chosen_again(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, photos=(photo(), photo("PNG")), **(TYPED | {"phone": "1"}))
    kept = [box["value"] for box in page.all("input", name="photo_id")]
    assert len(kept) == 2
    answer = await site.browser.send(site.q, photo_id=kept, **TYPED)
    found = await site.hood.track({"token": answer.headers["location"].removeprefix("/t/")})
    assert sorted(each["id"] for each in found["photos"]) == sorted(kept)


async def test_a_photo_that_is_none_is_named_and_the_report_waits_for_another(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, photos=(photo(), b"GIF89a", b"\xff\xd8\xff cut"), **TYPED)
    said = page.one("p", id="photos-error").text
    assert "第 2 张照片不是能识别的照片" in said
    assert "第 3 张照片打不开" in said
    assert len(page.all("input", name="photo_id")) == 1
    assert (await site.hood.get(f"/places/{site.hood.code}")).json()["open"] == []


async def test_a_seventh_photo_is_too_many(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, photos=(photo(),) * 7, **TYPED)
    assert "最多 6 张" in page.one("p", id="photos-error").text


async def test_photos_that_are_gone_must_be_chosen_again(site: Site) -> None:
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 422, photo_id=str(new_id()), **TYPED)
    assert "请重新选" in page.one("p", id="photos-error").text
    assert page.all("input", name="photo_id") == []


async def test_sent_twice_it_is_one_report_with_photos_and_all(site: Site) -> None:
    await site.browser.open(site.q)
    pictures = (photo(), photo("WEBP"))
    first = await site.browser.send(site.q, photos=pictures, **TYPED)
    second = await site.browser.send(site.q, photos=pictures, **TYPED)
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    assert len((await site.hood.get(f"/places/{site.hood.code}")).json()["open"]) == 1


async def test_another_matter_sent_from_a_page_gone_back_to_is_not_taken_for_the_first(site: Site) -> None:
    await site.browser.open(site.q)
    await site.browser.send(site.q, **TYPED)
    page = await site.browser.refused(site.q, 422, **(TYPED | {"subitem": "P0105", "description": "灯也不亮"}))
    assert "刚才已经提交过一次" in page.one("section", class_="errors").text
    answer = await site.browser.send(site.q, **(TYPED | {"subitem": "P0105", "description": "灯也不亮"}))
    assert answer.status_code == 303


async def test_the_same_matter_by_the_same_person_is_said_to_be_in_hand(site: Site) -> None:
    await site.reported(phone="10087654321")
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 409, subitem="P0104", description="门还是不关", phone="10087654321")
    assert "您已经反映过这件事" in page.one("section", class_="errors").text
    assert "门还是不关" in page.one("textarea", id="description").text


async def test_a_neighbour_behind_the_same_address_is_not_told_that_it_was_them(site: Site) -> None:
    await site.reported(phone="")
    await site.browser.open(site.q)
    page = await site.browser.refused(site.q, 409, subitem="P0104", description="门不关")
    assert "请留下手机号再提交" in page.one("section", class_="errors").text
    answer = await site.browser.send(site.q, subitem="P0104", description="门不关", phone=new_phone())
    assert answer.status_code == 303


async def test_too_many_reports_are_told_when_to_come_again_and_keep_their_words(site: Site) -> None:
    site.orders.refuse("POST", "/api/orders/reports", 429, "too_many_reports", **{"Retry-After": "1500"})
    await site.browser.open(site.q)
    answer = await site.browser.send(site.q, **TYPED)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1500")
    page = site.browser._read(answer)
    assert "请等 25 分钟" in page.one("section", class_="errors").text
    assert TYPED["description"] in page.one("textarea", id="description").text


async def test_while_the_first_sending_is_still_worked_on_the_form_keeps_its_key(site: Site) -> None:
    site.orders.refuse("POST", "/api/orders/reports", 409, "request_in_progress")
    await site.browser.open(site.q)
    key = site.browser.form["key"]
    await site.browser.refused(site.q, 409, **TYPED)
    assert site.browser.form["key"] == key


async def test_it_is_the_same_with_the_services_behind_a_network(site: Site) -> None:
    async with serving(site.hood.town.apps["orders"]) as port:
        directory = Directory({"orders": f"http://127.0.0.1:{port}"})
        gateway = create_app(GatewaySettings(keys_dir=site.hood.town.keys_dir), directory)
        browser = browser_of(gateway, site.address)
        async with gateway.site.router.lifespan_context(gateway.site), browser.client:
            page = await browser.open(site.q)
            assert page.one("h1").text == "试验小区3号楼电梯"
            sent = await browser.send(site.q, photos=(photo(), photo("PNG")), **TYPED)
            page = await browser.open(sent.headers["location"])
            assert [len((await browser.client.get(image["src"])).content) > 0 for image in page.all("img")] == [
                True
            ] * 2
            await browser.open("/q/nosuchcode", status=404)
            directory.urls["orders"] = "http://127.0.0.1:1"
    gateway = create_app(GatewaySettings(keys_dir=site.hood.town.keys_dir), directory)
    browser = browser_of(gateway, site.address)
    async with gateway.site.router.lifespan_context(gateway.site), browser.client:
        await browser.open(site.q, status=503)


async def test_with_orders_down_the_page_says_so_and_whom_to_call(site: Site) -> None:
    browser = browser_of(app_for(site.hood, None))
    async with browser.client:
        page = await browser.open(site.q, status=503)
    assert "系统暂时停一下" in page.one("h1").text
    assert page.one("a", href="tel:12345")


async def test_what_breaks_behind_shows_nothing_of_itself(site: Site) -> None:
    site.orders.answers["GET", f"/api/orders/places/{site.hood.code}"] = JSONResponse({"secret": "SELECT"}, 200)
    page = await site.browser.open(site.q, status=500)
    assert "SELECT" not in page.text
    assert "系统出了点问题" in page.text


async def test_an_unknown_code_is_told_what_to_do(site: Site) -> None:
    for path in ("/q/nosuchcode", "/q/" + "x" * 300, "/q/%E5%8C%97"):
        page = await site.browser.open(path, status=404)
        assert page.one("a", href="tel:12345")
        assert "再扫一次" in page.text


async def test_a_code_taken_out_of_use_is_told_apart(site: Site) -> None:
    async with site.hood.db.transaction() as session:
        await places.revoke_qr_code(session, site.hood.code)
    page = await site.browser.open(site.q, status=410)
    assert "已经停用" in page.text


async def test_staff_who_enter_a_report_for_somebody_are_not_shown_its_link(site: Site) -> None:
    await site.browser.open(site.q)
    site.browser.client.headers["Authorization"] = f"Bearer {site.hood.town.token(site.hood.dispatcher)}"
    answer = await site.browser.send(site.q, **TYPED)
    assert answer.status_code == 200
    assert "/t/" not in answer.text
    assert "编号 BY" in answer.text


async def test_a_form_that_another_site_sends_is_refused(site: Site) -> None:
    await site.browser.open(site.q)
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.beiyuan.test"},
        {"Origin": "https://evil.example"},
    ):
        answer = await site.browser.client.post(site.q, data=TYPED, headers=headers)
        assert answer.status_code == 403, headers
    assert (await site.hood.get(f"/places/{site.hood.code}")).json()["open"] == []


async def test_our_own_pages_forms_are_taken_whatever_the_browser_says_of_them(site: Site) -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": "null"},
        {"Origin": "http://beiyuan.test"},
        {},
    ):
        answer = await site.browser.client.post(site.q, data=TYPED | {"phone": new_phone()}, headers=headers)
        assert answer.status_code == 303, headers


async def test_orders_hear_who_asks_and_from_where_and_nothing_else_of_the_browser(site: Site) -> None:
    site.browser.client.headers |= {"Cookie": "session=secret", "X-Beiyuan-Client": "10.0.0.1"}
    answer = await site.browser.client.get(site.q)
    assert "set-cookie" not in answer.headers
    await site.browser.open(site.q)
    await site.browser.send(site.q, **TYPED)
    (asked,) = site.orders.asked("POST", "/api/orders/reports")
    assert asked["x-beiyuan-client"] == site.address
    assert asked["x-request-id"]
    assert "cookie" not in asked
    assert "Phone" not in asked["user-agent"]


async def test_the_page_may_load_only_its_own_files_and_frame_nothing(site: Site) -> None:
    answer = await site.browser.client.get(site.q)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "private, no-cache"
    page = site.browser._read(answer)
    loaded = [element["src"] for tag in ("script", "img") for element in page.all(tag)]
    loaded += [element["href"] for element in page.all("link")]
    own = [asset.path for name, asset in assets().items() if name != "counter.js"]  # which is a shop's
    assert sorted(loaded) == sorted(own)
    for path in loaded:
        asset = await site.browser.client.get(path)
        assert asset.status_code == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", answer.text)


@pytest.mark.parametrize("kind", list(PlaceKind))
async def test_the_page_with_its_style_and_script_weighs_less_than_60_kb(site: Site, kind: PlaceKind) -> None:
    async with site.hood.db.transaction() as session:
        await site.hood.place(session, new_id(), kind, "试验小区北区12号楼3单元", f"W{site.hood.code}")
    answer = await site.browser.client.get(f"/q/W{site.hood.code}")
    weight = len(answer.content) + sum(len(asset.content) for asset in assets().values())
    assert weight < 60_000, f"{kind}: {weight} bytes"


async def test_every_input_has_a_label_of_its_own(site: Site) -> None:
    page = await site.browser.open(site.q)
    labelled = {label["for"] for label in page.all("label") if "for" in label.attributes}
    wrapped = {id(field) for label in page.all("label") for field in label.all("input")}
    for field in [*page.all("input"), *page.all("textarea"), *page.all("select")]:
        if field.attributes.get("type") != "hidden" and id(field) not in wrapped:
            assert field["id"] in labelled, field.attributes
