"""`/t/{token}`: how a resident follows a report by its private link, and what they may do through it."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse

from chassis.core import clock
from chassis.core.ids import new_id
from tests.gateway.pages.conftest import Site
from tests.orders.images import photo
from tests.orders.neighbourhood import TRAPPED, at

ANSWER: dict[str, Any] = {"solved": "yes", "satisfied": "satisfied"}


async def test_a_new_report_shows_its_number_its_deadline_and_how_to_keep_the_link(site: Site) -> None:
    with at("2026-11-23T10:00"):
        path = await site.reported(phone="10012345678", name="王阿姨")
        page = await site.browser.open(path)
    assert page.one("header").one("p", class_="above").text.startswith("编号 BY261123-")
    assert "提交成功" in page.text
    assert "已收到" in page.one("h2", id="state").text
    assert "11月24日（明天）10:00 前" in page.one("section", class_="state").text
    assert page.one("input", id="link")["value"] == f"http://beiyuan.test{path}"
    assert page.one("svg")
    assert "open" in page.one("section", class_="keep").one("details").attributes
    assert "王** 100****5678" in page.text


async def test_the_page_of_a_link_is_kept_by_nobody_and_told_to_nobody(site: Site) -> None:
    path = await site.reported()
    for address in (path, "/t/" + "A" * 22):
        answer = await site.browser.client.get(address)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"


async def test_an_unknown_link_is_told_what_to_do(site: Site) -> None:
    for path in ("/t/" + "A" * 22, "/t/" + "A" * 300, "/t/%00", f"/t/x/photos/{new_id()}"):
        page = await site.browser.open(path, status=404)
        assert page.one("a", href="tel:12345")


async def test_html_in_what_was_said_is_shown_as_words(site: Site) -> None:
    poison = "<script>alert(1)</script> &amp; <b>x</b>"
    path = await site.reported(description=poison, name="<u>")
    await site.browser.open(path)
    assert (await site.browser.send(f"{path}/additions", text=poison)).status_code == 303
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.act(case, "meet", site.hood.handler, mode="on_site")
    await site.hood.act(case, "resolve", site.hood.handler, note=poison, photos=[await site.hood.photo()])
    answer = await site.browser.client.get(path)
    assert "alert(1)<" not in answer.text.replace("alert(1)&lt;", "")
    page = site.browser._read(answer)
    words = [element.text for element in page.all("p", class_="words")]
    assert len(words) == 4
    assert all(poison in element for element in words)


async def test_the_history_is_told_without_who_did_it(site: Site) -> None:
    path = await site.reported()
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.work(case)
    page = await site.browser.open(path)
    told = [row.one("b").text for row in page.one("ol", class_="history").all("li")]
    assert told == [
        "收到您反映的问题",
        "已交给承办单位",
        "工作人员接单",
        "工作人员和您见面，或通了电话",
        "开始办理",
        "办好了，等您确认",
    ]
    assert str(site.hood.handler.id) not in page.text
    assert "已修复" in page.one("section", class_="ask").text
    steps = [(step.text, step["class"]) for step in page.one("ol", class_="steps").all("li")]
    assert steps == [("收到", "past"), ("接单", "past"), ("办理", "past"), ("回访", "now"), ("办结", "next")]


async def test_a_deadline_that_has_passed_is_not_glossed_over(site: Site) -> None:
    path = await site.reported()
    with clock.frozen(clock.now() + timedelta(days=20)):
        page = await site.browser.open(path)
    assert "已经超过承诺的时间" in page.text
    assert "提交成功" not in page.text


async def test_the_emergency_numbers_stand_first_while_something_urgent_waits(site: Site) -> None:
    path = await site.reported(subitem=TRAPPED)
    page = await site.browser.open(path)
    urgent = next(element for element in page.one("main").children if element.tag == "section")
    assert urgent.one("a", href="tel:119")


async def test_words_and_photos_can_be_added(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    answer = await site.browser.send(f"{path}/additions", text="今天更严重了", photos=(photo(),))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#added")
    page = await site.browser.open(path)
    assert "今天更严重了" in page.text
    (picture,) = page.all("img")
    small = await site.browser.client.get(picture["src"])
    assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg")
    assert small.headers["cache-control"] == "private, no-store"


async def test_a_photo_alone_can_be_added(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    assert (await site.browser.send(f"{path}/additions", text=" ", photos=(photo(),))).status_code == 303
    page = await site.browser.open(path)
    assert "补充照片" in page.text
    assert len(page.all("img")) == 1


async def test_an_addition_sent_twice_is_added_once(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    for _ in range(2):
        assert (await site.browser.send(f"{path}/additions", text="一次", photos=(photo(),))).status_code == 303
    found = await site.hood.track({"token": path.removeprefix("/t/")})
    assert [addition["text"] for addition in found["additions"]] == ["一次"]
    assert len(found["photos"]) == 1


@pytest.mark.parametrize(("text", "says"), [("", "想补充什么"), ("长" * 2001, "太长"), ("坏\x07", "符号")])
async def test_an_addition_that_does_not_go_through_keeps_its_words(site: Site, text: str, says: str) -> None:
    path = await site.reported()
    await site.browser.open(path)
    page = await site.browser.refused(f"{path}/additions", 422, text=text)
    assert says in page.one("p", id="text-error").text
    assert page.one("textarea", id="text").text == "\n" + text


async def test_photos_of_an_addition_that_did_not_go_through_are_kept_too(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    page = await site.browser.refused(f"{path}/additions", 422, text="长" * 2001, photos=(photo(), photo("PNG")))
    kept = [box["value"] for box in page.all("input", name="photo_id")]
    assert len(kept) == 2
    page = await site.browser.refused(f"{path}/additions", 422, text="好", photo_id=kept, photos=(b"BM nothing",))
    assert "不是能识别的照片" in page.one("p", id="photos-error").text
    assert [box["value"] for box in page.all("input", name="photo_id")] == kept


async def test_a_photo_of_another_case_is_not_shown_through_this_link(site: Site) -> None:
    first = await site.reported()
    await site.browser.open(first)
    await site.browser.send(f"{first}/additions", text="照片", photos=(photo(),))
    other = await site.reported()
    (picture,) = (await site.browser.open(first)).all("img")
    assert (await site.browser.client.get(picture["src"].replace(first, other))).status_code == 404


async def test_the_resident_says_that_it_is_solved_and_why_they_like_it(site: Site) -> None:
    path = await site.reported()
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.work(case)
    await site.browser.open(path)
    answer = await site.browser.send(f"{path}/callback", remark="师傅很耐心", **ANSWER)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#answered")
    page = await site.browser.open(path)
    assert "已办结" in page.one("h2", id="state").text
    assert "师傅很耐心" in page.text
    assert not page.all("form")


async def test_not_solved_goes_back_to_work(site: Site) -> None:
    path = await site.reported()
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.work(case)
    await site.browser.open(path)
    answer = await site.browser.send(f"{path}/callback", solved="no", satisfied="dissatisfied", remark="")
    assert answer.status_code == 303
    page = await site.browser.open(path)
    assert "正在办理" in page.one("h2", id="state").text
    assert "没有办好，退回重新办理" in page.text


async def test_half_an_answer_is_asked_for_the_other_half(site: Site) -> None:
    path = await site.reported()
    case = await site.case(path)
    await site.hood.act(case, "claim", site.hood.handler)
    await site.hood.work(case)
    await site.browser.open(path)
    page = await site.browser.refused(f"{path}/callback", 422, solved="yes", remark="还行")
    assert page.one("p", id="satisfied-error")
    assert "checked" in page.one("input", name="solved", value="yes").attributes
    assert page.one("textarea", id="remark").text == "\n还行"
    page = await site.browser.refused(f"{path}/callback", 422, solved="yes", satisfied="love", remark="")
    assert page.one("p", id="satisfied-error")


async def test_an_answer_too_early_changes_nothing_and_shows_where_it_stands(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    page = await site.browser.refused(f"{path}/callback", 409, **ANSWER)
    assert "刚刚有了变化" in page.one("section", class_="errors").text
    assert "已收到" in page.one("h2", id="state").text


async def test_settled_ends_the_work_and_still_asks_for_an_answer(site: Site) -> None:
    path = await site.reported()
    await site.hood.act(await site.case(path), "claim", site.hood.handler)
    await site.browser.open(path)
    answer = await site.browser.send(f"{path}/settled")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#settled")
    page = await site.browser.open(path)
    assert "您说问题已经解决" in page.text
    assert page.one("section", class_="ask")


async def test_a_report_is_withdrawn_with_a_reason_as_long_as_nobody_has_taken_it_up(site: Site) -> None:
    path = await site.reported()
    await site.browser.open(path)
    page = await site.browser.refused(f"{path}/withdraw", 422)
    assert page.one("p", id="reason-error")
    answer = await site.browser.send(f"{path}/withdraw", reason="mistake")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#withdrawn")
    page = await site.browser.open(path)
    assert "您已撤回" in page.one("h2", id="state").text
    assert "填错了" in page.text
    assert not page.all("ol", class_="steps")

    taken = await site.reported()
    await site.browser.open(taken)
    await site.hood.act(await site.case(taken), "claim", site.hood.handler)
    await site.browser.refused(f"{taken}/withdraw", 409, reason="other")
    assert not (await site.browser.open(taken)).all("form", action=f"{taken}/withdraw")


async def test_only_what_the_link_allows_now_is_offered(site: Site) -> None:
    path = await site.reported()
    offered = [form["action"] for form in (await site.browser.open(path)).all("form")]
    assert offered == [f"{path}/additions", f"{path}/withdraw"]
    await site.hood.act(await site.case(path), "claim", site.hood.handler)
    offered = [form["action"] for form in (await site.browser.open(path)).all("form")]
    assert offered == [f"{path}/additions", f"{path}/settled"]


@pytest.mark.parametrize("action", ["additions", "callback", "settled", "withdraw"])
async def test_a_form_that_another_site_sends_is_refused(site: Site, action: str) -> None:
    path = await site.reported()
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await site.browser.client.post(f"{path}/{action}", data={"text": "x"} | ANSWER, headers=headers)
    assert answer.status_code == 403


async def test_a_state_that_the_page_does_not_know_yet_is_not_a_blank_page(site: Site) -> None:
    path = await site.reported()
    token = path.removeprefix("/t/")
    found = await site.hood.track({"token": token})
    site.orders.answers["GET", f"/api/orders/track/{token}"] = JSONResponse(found | {"state": "teleported"})
    page = await site.browser.open(path)
    assert "正在办理" in page.one("h2", id="state").text
