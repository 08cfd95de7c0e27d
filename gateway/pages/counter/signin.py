"""`/shop/signin`: signing in by a code sent by SMS, and `/shop/join`, becoming a clerk by an invitation."""

import unicodedata

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.calls import Calls
from gateway.pages import forms
from gateway.pages.answers import PrivacyNotice
from gateway.pages.api import Refused
from gateway.pages.counter import wording
from gateway.pages.counter.answers import CodeSent, Counter
from gateway.pages.counter.handling import HOME, SIGN_IN, handled, shop_page, to, wait_of
from gateway.pages.counter.session import Session
from gateway.pages.forms import Errors

_PHONE = "手机号应该是 11 位数字，请检查一下。"
_CODE = "验证码不对，或者过期了。请检查，或重新发送。"
_INVITATION = "邀请码不对、用过了，或者过了 24 小时。请和店主核对。"


class SignInPages:
    """Signing in and out, and joining a store."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """`/shop/signin`, `/shop/signout`, `/shop/join`."""
        return [
            Route(SIGN_IN, handled(self._calls, self.ask), methods=["GET"]),
            Route(f"{SIGN_IN}/code", handled(self._calls, self.send_code), methods=["POST"]),
            Route(SIGN_IN, handled(self._calls, self.sign_in), methods=["POST"]),
            Route("/shop/signout", handled(self._calls, self.sign_out), methods=["POST"]),
            Route("/shop/join", handled(self._calls, self.show_join), methods=["GET"]),
            Route("/shop/join", handled(self._calls, self.join), methods=["POST"]),
        ]

    async def ask(self, request: Request, session: Session) -> Response:
        """Whose phone it is."""
        return shop_page("signin.html", phone="", errors={}, problem="")

    async def send_code(self, request: Request, session: Session) -> Response:
        """Have a code sent, and ask for it."""
        phone = _digits(forms.text_of(await forms.read_form(request), "phone"))
        try:
            await session.anonymous(CodeSent, "POST", "/api/identity/otp", json={"phone": phone})
        except Refused as refused:
            errors, problem = _explain(refused, {"phone": _PHONE})
            return shop_page("signin.html", refused.status, phone=phone, errors=errors, problem=problem)
        return _code_page(phone)

    async def sign_in(self, request: Request, session: Session) -> Response:
        """Spend the code; on to the counter."""
        form = await forms.read_form(request)
        phone, code = _digits(forms.text_of(form, "phone")), _digits(forms.text_of(form, "code"))
        body = {"phone": phone, "code": code}
        if accepted := forms.text_of(form, "privacy_notice"):
            body["privacy_notice"] = accepted
        try:
            await session.sign_in(body)
        except Refused as refused:
            if refused.code == "privacy_notice_required":
                notice = await session.anonymous(PrivacyNotice, "GET", "/api/identity/privacy-notice")
                return _code_page(phone, code=code, notice=notice, status=422)
            errors, problem = _explain(refused, {"code": _CODE, "phone": _PHONE})
            return _code_page(phone, errors=errors, problem=problem, status=refused.status)
        return to(HOME)

    async def sign_out(self, request: Request, session: Session) -> Response:
        """Forget who it was."""
        await session.sign_out()
        return to(SIGN_IN)

    async def show_join(self, request: Request, session: Session) -> Response:
        """Ask for an invitation's digits."""
        session.require()
        return shop_page("join.html", code="", errors={}, problem="")

    async def join(self, request: Request, session: Session) -> Response:
        """Become a clerk; on to the counter."""
        code = _digits(forms.text_of(await forms.read_form(request), "code"))
        try:
            counter = await session.post(Counter, "/api/points/counter/join", {"code": code})
        except Refused as refused:
            if refused.code == "already_clerk":
                return to(HOME)
            errors, problem = _explain(refused, {"code": _INVITATION})
            return shop_page("join.html", refused.status, code=code, errors=errors, problem=problem)
        return to(counter.path)


def _code_page(
    phone: str,
    *,
    code: str = "",
    notice: PrivacyNotice | None = None,
    errors: Errors | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    return shop_page(
        "code.html",
        status,
        phone=phone,
        masked=wording.masked_phone(phone),
        code=code,
        notice=notice,
        errors=errors or {},
        problem=problem,
    )


def _explain(refused: Refused, texts: Errors) -> tuple[Errors, str]:
    """What is wrong by field, or with the whole. Raises what nobody at the page can do anything about."""
    if refused.status == 429:
        return {"": ""}, f"试得太多了，请等 {wait_of(refused)}再试。"
    if refused.status != 422:
        raise refused
    named = {error.name.removeprefix("body.") for error in refused.fields}
    return {name: text for name, text in texts.items() if name in named} or {"": ""}, ""


def _digits(typed: str) -> str:
    """As typed, in plain digits; Chinese keyboards also write ０-９."""
    return "".join(unicodedata.normalize("NFKC", typed).split())[:40]
