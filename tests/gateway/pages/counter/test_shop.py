"""`/shop` without JavaScript: how a clerk redeems, undoes and sees the day, and whom the page serves."""

from datetime import timedelta

import pytest

from chassis.core import clock
from services.points.counter.rules import TOKEN_GOOD_FOR
from tests.gateway.pages.counter.conftest import CODE, Corner, Visitor, visitor_of
from tests.town import actor, new_phone

LIMIT = 60_000


async def test_a_clerk_sees_what_a_coupon_is_redeems_it_and_undoes_it(corner: Corner, clerk: Visitor) -> None:
    family, coupon = await corner.coupon()
    shown = " ".join(coupon["code"][start : start + 4] for start in range(0, 20, 4))
    page = await clerk.press(f"{corner.path}/look", code=shown)
    assert page.one("h1").text == "理发券"
    assert "可以核销" in page.text
    assert "15 元" in page.text
    assert await corner.shop.payable(corner) == 0  # looking does nothing
    page = await clerk.press(f"{corner.path}/use")
    assert "核销成功" in page.text
    assert await corner.shop.payable(corner) == 12
    undo = next(link["href"] for link in page.all("a") if "撤销（" in link.text)
    await clerk.open(undo)
    page = await clerk.press(undo)
    assert "已撤销" in page.text
    assert await corner.shop.payable(corner) == 0
    assert (await corner.shop.show(family, coupon["id"])).json()["state"] == "effective"


async def test_the_day_is_summed_and_says_who_redeemed_what(corner: Corner, clerk: Visitor) -> None:
    for _ in range(2):
        _, coupon = await corner.coupon()
        await clerk.open(corner.path)
        await clerk.press(f"{corner.path}/look", code=coupon["code"])
        await clerk.press(f"{corner.path}/use")
    page = await clerk.open(f"{corner.path}/today")
    sums = [bold.text for bold in page.one("section", class_="sum").all("b")]
    assert sums == ["2", "30 元"]
    assert len(page.one("ol", class_="uses").all("li")) == 2
    assert "小王" in page.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "请扫码，或输入券码"),
        ("1234 5678", "20 位数字，您输入了 8 位"),
        ("１２３４", "您输入了 4 位"),
        ("一二三四五六七八九十一二三四五六七八九十", "券码只有数字"),
        ("99999999999999000000", "没有找到这张券"),
    ],
    ids=["nothing", "too short", "wide digits", "no digits", "no such coupon"],
)
async def test_a_code_that_is_none_is_said_in_plain_words_beside_what_was_typed(
    corner: Corner, clerk: Visitor, typed: str, said: str
) -> None:
    answer = await clerk.send(f"{corner.path}/look", code=typed)
    assert answer.status_code in {404, 422}
    assert clerk.page is not None
    assert said in clerk.page.one("section", class_="errors").text
    if typed.isascii():
        assert clerk.page.one("input", id="code")["value"].replace(" ", "") == typed.replace(" ", "")


async def test_a_used_coupon_an_old_code_and_ones_own_are_told_apart(corner: Corner, clerk: Visitor) -> None:
    _, coupon = await corner.coupon()
    await clerk.press(f"{corner.path}/look", code=coupon["code"])
    await clerk.press(f"{corner.path}/use")
    page = await clerk.press(f"{corner.path}/look", code=coupon["code"])
    assert "已经用过了" in page.text
    assert "本店核销" in page.text
    _, other = await corner.coupon()
    await clerk.open(corner.path)
    with clock.frozen(clock.now() + timedelta(minutes=2)):
        page = await clerk.press(f"{corner.path}/look", status=409, code=other["code"])
    assert "券码过时了" in page.text


async def test_pressed_twice_a_coupon_is_redeemed_once_and_both_are_told_so(corner: Corner, clerk: Visitor) -> None:
    _, coupon = await corner.coupon()
    page = await clerk.press(f"{corner.path}/look", code=coupon["code"])
    first = await clerk.press(f"{corner.path}/use")
    clerk.page = page
    again = await clerk.press(f"{corner.path}/use")
    assert "核销成功" in first.text
    assert "核销成功" in again.text
    assert await corner.shop.payable(corner) == 12


async def test_where_no_answer_came_the_same_press_is_offered_again_and_counts_once(
    corner: Corner, clerk: Visitor
) -> None:
    _, coupon = await corner.coupon()
    await clerk.press(f"{corner.path}/look", code=coupon["code"])
    corner.points.refuse("POST", f"{corner.api}/use", 503, "unavailable")
    page = await clerk.press(f"{corner.path}/use", status=503)
    assert "不知道成没成" in page.text
    corner.points.answers.clear()
    assert "核销成功" in (await clerk.press(f"{corner.path}/use")).text
    keys = {headers["idempotency-key"] for headers in corner.points.asked("POST", f"{corner.api}/use")}
    assert len(keys) == 1


async def test_what_was_looked_at_too_long_ago_is_looked_at_again(corner: Corner, clerk: Visitor) -> None:
    _, coupon = await corner.coupon()
    await clerk.press(f"{corner.path}/look", code=coupon["code"])
    with clock.frozen(clock.now() + TOKEN_GOOD_FOR + timedelta(seconds=5)):
        page = await clerk.press(f"{corner.path}/use", status=409)
    assert "券码过时了" in page.text
    assert await corner.shop.payable(corner) == 0


async def test_whoever_is_not_signed_in_is_asked_to_sign_in(corner: Corner, visitor: Visitor) -> None:
    for path in ("/shop", corner.path, f"{corner.path}/today", f"{corner.path}/clerks", f"{corner.path}/undo/1"):
        answer = await visitor.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/shop/signin"), path


async def test_a_wrong_code_and_a_wrong_phone_are_said_beside_the_field(corner: Corner, visitor: Visitor) -> None:
    await visitor.open("/shop/signin")
    page = await visitor.press("/shop/signin/code", status=422, phone="12345")
    assert "手机号应该是 11 位数字" in page.one("p", id="phone-error").text
    await visitor.press("/shop/signin/code", phone=corner.clerk_phone)
    page = await visitor.press("/shop/signin", status=422, code="000000")
    assert "验证码不对" in page.one("p", id="code-error").text
    assert "麦垛面包房槐安里总店" in (await visitor.press("/shop/signin", code=CODE)).text


async def test_a_new_clerk_accepts_the_privacy_notice_and_joins_by_the_managers_code(
    corner: Corner, visitor: Visitor
) -> None:
    manager = visitor_of(corner.app)
    async with manager.client:
        await manager.sign_in(corner.manager_phone)
        await manager.open(f"{corner.path}/clerks")
        page = await manager.press(f"{corner.path}/clerks", name="小李")
        code = page.one("section", class_="state keep invitation").one("b").text
        assert "小李" in (await manager.open(f"{corner.path}/clerks")).text
        await visitor.open("/shop/signin")
        await visitor.press("/shop/signin/code", phone=new_phone())
        page = await visitor.press("/shop/signin", status=422, code=CODE)
        box = page.one("input", type="checkbox")
        page = await visitor.press("/shop/signin", code=CODE, privacy_notice=box["value"])
        assert page.one("h1").text == "还没有门店"
        await visitor.open("/shop/join")
        assert "邀请码不对" in (await visitor.press("/shop/join", status=422, code="1")).text
        page = await visitor.press("/shop/join", code=code)
        assert page.one("h1").text == "麦垛面包房槐安里总店"
        # Revoked, they are out with the next press.
        page = await manager.open(f"{corner.path}/clerks")
        revoke = next(link["href"] for link in page.all("a") if "停用 小李" in link.text)
        await manager.open(revoke)
        await manager.press(revoke)
        page = await visitor.press(f"{corner.path}/look", status=403, code="1" * 20)
        assert "您不是这家门店的店员" in page.text


async def test_whose_code_was_lost_or_ran_out_is_given_another_and_the_old_one_is_good_for_nothing(
    corner: Corner, visitor: Visitor
) -> None:
    manager = visitor_of(corner.app)
    async with manager.client:
        await manager.sign_in(corner.manager_phone)
        await manager.open(f"{corner.path}/clerks")
        codes = [(await manager.press(f"{corner.path}/clerks", name="小李")).one("b").text]
        page = await manager.open(f"{corner.path}/clerks")
        [again] = [form["action"] for form in page.all("form") if form["action"].endswith("/invite")]
        codes.append((await manager.press(again)).one("b").text)
        before = await manager.open(f"{corner.path}/clerks")
        await visitor.open("/shop/signin")
        await visitor.press("/shop/signin/code", phone=new_phone())
        box = (await visitor.press("/shop/signin", status=422, code=CODE)).one("input", type="checkbox")
        await visitor.press("/shop/signin", code=CODE, privacy_notice=box["value"])
        await visitor.open("/shop/join")
        await visitor.press("/shop/join", status=422, code=codes[0])
        assert (await visitor.press("/shop/join", code=codes[1])).one("h1").text == "麦垛面包房槐安里总店"
        # Pressed on a page from before they came, it shows that they are there.
        manager.page = before
        page = await manager.press(again)
        assert page.one("h1").text == "店员"
        assert [form for form in page.all("form") if form["action"].endswith("/invite")] == []


async def test_a_clerk_who_deletes_their_account_leaves_the_shop_and_no_name_in_it(
    corner: Corner, clerk: Visitor
) -> None:
    _, coupon = await corner.coupon()
    await clerk.press(f"{corner.path}/look", code=coupon["code"])
    await clerk.press(f"{corner.path}/use")
    async with corner.town.client("identity", actor(id=corner.clerk_id)) as client:
        answer = await client.post("/api/identity/me/delete", json={"confirm": True})
        assert answer.status_code == 204, answer.text
    await corner.news()
    # The access token in the browser is good for minutes yet: it opens nothing here any more.
    assert (await clerk.client.get(corner.path)).status_code == 403
    manager = visitor_of(corner.app)
    async with manager.client:
        await manager.sign_in(corner.manager_phone)
        uses = (await manager.open(f"{corner.path}/today")).one("ol", class_="uses").text
        assert ("已注销" in uses, "小王" in uses) == (True, False)
        assert (await manager.open(f"{corner.path}/clerks")).all("ul", class_="uses") == []


async def test_clerks_do_not_see_to_clerks(corner: Corner, clerk: Visitor) -> None:
    assert (await clerk.client.get(f"{corner.path}/clerks")).status_code == 403
    page = await clerk.open(corner.path)
    assert f"{corner.path}/clerks" not in [link["href"] for link in page.all("a")]


async def test_signed_out_nothing_of_the_sign_in_is_good_any_more(corner: Corner, clerk: Visitor) -> None:
    tokens = dict(clerk.client.cookies.items())
    answer = await clerk.send("/shop/signout", follow=False)
    assert answer.headers["location"] == "/shop/signin"
    assert dict(clerk.client.cookies.items()) == {}
    other = visitor_of(corner.app)
    async with other.client:
        other.client.cookies.set("shop", tokens["shop"])
        assert (await other.client.get(corner.path)).headers["location"] == "/shop/signin"


async def test_the_sign_in_goes_on_when_the_access_token_is_over(corner: Corner, clerk: Visitor) -> None:
    before = clerk.client.cookies["shop"]
    clerk.client.cookies.delete("shop-access")
    await clerk.open(corner.path)
    assert clerk.client.cookies["shop"] != before
    clerk.client.cookies.delete("shop-access")
    clerk.client.cookies.set("shop-access", "not.a.token", domain="beiyuan.test", path="/")
    assert (await clerk.open(corner.path)).one("h1").text == "麦垛面包房槐安里总店"


async def test_a_refresh_that_is_refused_leads_to_the_sign_in_and_leaves_no_cookie(
    corner: Corner, visitor: Visitor
) -> None:
    visitor.client.cookies.set("shop", "A" * 60, domain="beiyuan.test", path="/")
    assert (await visitor.open("/shop")).one("h1").text == "店员登录"
    assert dict(visitor.client.cookies.items()) == {}


@pytest.mark.parametrize(
    ("scheme", "prefix", "secure"), [("https", "__Host-", True), ("http", "", False)], ids=["https", "http"]
)
async def test_the_cookies_are_out_of_reach_of_scripts_other_sites_and_plain_connections(
    corner: Corner, scheme: str, prefix: str, *, secure: bool
) -> None:
    visitor = visitor_of(corner.app, scheme)
    async with visitor.client:
        await visitor.open("/shop/signin")
        await visitor.press("/shop/signin/code", phone=corner.clerk_phone)
        answer = await visitor.send("/shop/signin", follow=False, code=CODE)
    set_cookies = answer.headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in set_cookies} == {f"{prefix}shop", f"{prefix}shop-access"}
    for cookie in set_cookies:
        words = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= words
        assert ("secure" in words) is secure
        assert not any(word.startswith("domain") for word in words)


FOREIGN: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {},
)


async def test_no_other_site_can_have_a_signed_in_browser_redeem_anything(corner: Corner, clerk: Visitor) -> None:
    _, coupon = await corner.coupon()
    page = await clerk.press(f"{corner.path}/look", code=coupon["code"])
    fields = {field["name"]: field["value"] for field in page.all("input", type="hidden")}
    for headers in FOREIGN:
        for path in (f"{corner.path}/use", f"{corner.path}/look", "/shop/signout", "/shop/signin", "/shop/signin/code"):
            answer = await clerk.client.post(path, data=fields, headers=headers)
            assert answer.status_code == 403, (path, headers)
    assert await corner.shop.payable(corner) == 0
    own = {"Origin": "http://beiyuan.test"}  # an older browser, from the page itself
    assert (await clerk.client.post(f"{corner.path}/use", data=fields, headers=own)).status_code == 303


async def test_every_page_is_light_kept_by_nobody_and_its_words_are_words(corner: Corner, clerk: Visitor) -> None:
    poison = "<b>&x</b>"
    _, coupon = await corner.coupon(title=poison)
    await clerk.press(f"{corner.path}/look", code=coupon["code"])
    assert clerk.page is not None
    assert clerk.page.one("h1").text == poison
    await clerk.press(f"{corner.path}/use")
    for path in ("/shop/signin", "/shop?all", corner.path, f"{corner.path}/today", "/shop/join"):
        answer = await clerk.client.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "<b>&x" not in answer.text
        page = clerk._read(answer)
        loaded = [link["href"] for link in page.all("link")] + [script["src"] for script in page.all("script")]
        weight = sum([len((await clerk.client.get(asset)).content) for asset in loaded])
        assert len(answer.content) + weight < LIMIT
