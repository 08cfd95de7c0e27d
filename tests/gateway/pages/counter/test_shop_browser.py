"""`/shop` in a real browser on a phone-sized screen: scanning, typing, pressing, and whether those who see or hear
little can use it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.gateway.pages.counter.conftest import CODE, Corner
from tests.gateway.pages.test_browser import PHONE, chromium, faults, phone, pytestmark

__all__ = ["chromium", "pytestmark"]

SMALL = """[...document.querySelectorAll("button, summary, select, textarea, .row, .go, .field input")]
.map((element) => [element.textContent.trim() || element.id, element.getBoundingClientRect()])
.filter(([_, box]) => box.height > 1 && (box.height < 48 || box.width < 48)).map(([text]) => text)"""

SCANNER = """
window.shown = [];
window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["ean_13", "qr_code"]; }
  constructor(options) { this.formats = options.formats; }
  async detect(video) { return window.shown.map((rawValue) => ({ rawValue })); }
};
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  canvas.getContext("2d").fillRect(0, 0, 64, 64);
  window.stream = canvas.captureStream(5);
  return window.stream;
};
"""
"""A camera that sees what the test shows it: the machine has none."""


@asynccontextmanager
async def at_the_counter(chromium: Browser, corner: Corner, **options: Any) -> AsyncIterator[Page]:
    """The clerk's phone, signed in by typing."""
    async with phone(chromium, corner.app, **options) as page:
        await page.goto("/shop")
        await page.fill("#phone", corner.clerk_phone)
        await page.click("button:text('发送验证码')")
        await page.fill("#code", CODE)
        await page.click("button:text-is('登录')")
        await page.wait_for_url(f"**{corner.path}")
        yield page


async def check(page: Page) -> None:
    """Nobody is kept out of this page, and nothing on it is too small or too wide."""
    assert await faults(page) == [], page.url
    assert await page.evaluate(SMALL) == [], page.url
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_can_be_read_and_pressed_by_anybody(chromium: Browser, corner: Corner, scheme: str) -> None:
    _, coupon = await corner.coupon()
    async with phone(chromium, corner.app, color_scheme=scheme) as page:
        await page.goto("/shop")
        await check(page)
        await page.fill("#phone", corner.manager_phone)
        await page.click("button:text('发送验证码')")
        await page.wait_for_url("**/signin/code")  # a page that is being left cannot be looked at
        await check(page)
        await page.fill("#code", CODE)
        await page.click("button:text-is('登录')")
        await page.wait_for_url(f"**{corner.path}")
        await check(page)
        await page.fill("#code", coupon["code"])
        await page.click("button:text('看看是什么券')")
        await page.wait_for_url("**/look")
        await check(page)
        await page.click("button:text('确认核销')")
        await page.wait_for_selector("text=核销成功")
        await check(page)
        await page.fill("#code", coupon["code"])
        await page.click("button:text('看看是什么券')")
        await page.wait_for_selector("text=已经用过了")
        await check(page)
        for path in (f"{corner.path}/today", "/shop?all", "/shop/join", f"{corner.path}/clerks"):
            await page.goto(path)
            await check(page)
        await page.fill("#name", "小李")
        await page.click("button:text('生成邀请码')")
        await page.wait_for_selector("text=请告诉小李")
        await check(page)


async def test_without_javascript_a_coupon_is_redeemed_and_given_back(chromium: Browser, corner: Corner) -> None:
    _, coupon = await corner.coupon()
    async with at_the_counter(chromium, corner, java_script_enabled=False) as page:
        await page.fill("#code", coupon["code"])
        await page.click("button:text('看看是什么券')")
        await page.click("button:text('确认核销')")
        await page.wait_for_url("**?done=*")
        assert await corner.shop.payable(corner) == 12
        await page.click("text=弄错了？撤销")
        await page.click("button:text('确认撤销')")
        await page.wait_for_url("**#undone")
        assert await page.is_visible("text=券退给了顾客")
        assert await corner.shop.payable(corner) == 0


async def test_a_scanned_code_needs_no_typing_and_the_camera_is_let_go(chromium: Browser, corner: Corner) -> None:
    _, coupon = await corner.coupon()
    async with at_the_counter(chromium, corner) as page:
        await page.add_init_script(SCANNER)
        await page.reload()
        await page.click("button:text('扫顾客的二维码')")
        await page.wait_for_selector("text=把二维码放在框里")
        assert await faults(page) == []
        await page.evaluate("window.shown = ['https://example.org/q/abc']")
        await page.wait_for_selector("text=这不是券的二维码")
        await page.evaluate("code => { window.shown = [code]; }", coupon["code"])
        await page.wait_for_url("**/look")
        assert await page.is_visible("text=可以核销")


async def test_who_does_not_want_to_scan_is_back_at_the_button_with_the_camera_off(
    chromium: Browser, corner: Corner
) -> None:
    async with at_the_counter(chromium, corner) as page:
        await page.add_init_script(SCANNER)
        await page.reload()
        for leave in ("text=不扫了，自己输入", None):
            await page.click("button:text('扫顾客的二维码')")
            await page.wait_for_selector("text=把二维码放在框里")
            await (page.click(leave) if leave else page.keyboard.press("Escape"))
            await page.wait_for_selector("dialog", state="detached")
            assert await page.evaluate("document.activeElement.className") == "scan"
            assert await page.evaluate("window.stream.getTracks().every((track) => track.readyState === 'ended')")


async def test_typed_digits_stand_in_groups_of_four(chromium: Browser, corner: Corner) -> None:
    async with at_the_counter(chromium, corner) as page:
        await page.locator("#code").press_sequentially("12345678901")
        assert await page.input_value("#code") == "1234 5678 901"


BLIND = "window.BarcodeDetector = class { static async getSupportedFormats() { return ['ean_13']; } };"
"""A browser that knows the word and reads no QR codes."""

BROKEN = "window.BarcodeDetector = class { static async getSupportedFormats() { throw new Error('no service'); } };"
"""A browser that knows the word and fails when it is asked what it reads."""


async def test_who_cannot_scan_is_told_to_type_and_shown_no_camera(chromium: Browser, corner: Corner) -> None:
    async with at_the_counter(chromium, corner) as page:
        for script in ("", BLIND, BROKEN):  # this browser reads no codes at all, then none of this kind, then fails
            await page.add_init_script(script)
            await page.reload()
            await page.wait_for_selector("#code-hint:has-text('不能扫码，请手动输入')")
            assert await page.locator("button:text('扫顾客的二维码')").count() == 0


async def test_pressed_twice_it_is_redeemed_once(chromium: Browser, corner: Corner) -> None:
    _, coupon = await corner.coupon()
    async with at_the_counter(chromium, corner) as page:
        await page.fill("#code", coupon["code"])
        await page.click("button:text('看看是什么券')")
        await page.dblclick("button:text('确认核销')")
        await page.wait_for_selector("text=核销成功")
    assert len(corner.points.asked("POST", f"{corner.api}/use")) == 1


async def test_scripts_see_nothing_of_who_is_signed_in(chromium: Browser, corner: Corner) -> None:
    async with at_the_counter(chromium, corner) as page:
        assert await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        assert {cookie["name"]: cookie["httpOnly"] for cookie in await page.context.cookies()} == {
            "shop": True,
            "shop-access": True,
        }
