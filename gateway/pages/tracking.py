"""`/t/{token}`: the private link, by which a resident follows a report, adds to it, and says how it ended."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import segno
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chassis.core import clock
from chassis.core.errors import NotFound
from gateway.pages import forms, guard
from gateway.pages.api import Api, Refused
from gateway.pages.forms import Errors
from gateway.pages.refusals import friendly, wait_text
from gateway.pages.rendering import PRIVATE, page
from gateway.pages.wording import WITHDRAW_REASONS

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NEW = timedelta(minutes=10)
_PHOTO_HEADERS = PRIVATE | {"Cache-Control": "private, no-store", "Content-Security-Policy": "default-src 'none'"}
_NO_STORE = PRIVATE | {"Cache-Control": "no-store"}
_TO_MEND: Mapping[str, str] = {
    "wrong_state": "这件事刚刚有了变化，请看最新情况。",
    "already_answered": "您已经评价过了，可能会有工作人员打电话核实。",
    "own_callback": "办理过这件事的人不能自己评价，会有回访员联系您。",
    "too_many_additions": "补充的次数已经到了上限。着急的事，请拨打 12345。",
    "idempotency_key_reused": "这一页刚才已经提交过一次，请看最新情况。",
    "request_in_progress": "刚才那次提交还在处理，请等几秒看最新情况。",
}
_ONLY_PHOTOS = "（补充照片）"


@dataclass(frozen=True, slots=True)
class Typed:
    """What was sent and did not get through: words by field, and photos that have been taken in."""

    words: Mapping[str, str] = field(default_factory=dict)
    photo_ids: Sequence[str] = ()


class TrackingPages:
    """The page of a private link, and what is sent from it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def routes(self) -> list[Route]:
        """`/t/{token}` and what lies under it."""
        return [
            Route("/t/{token}", friendly(self.show), methods=["GET"]),
            Route("/t/{token}/photos/{photo_id}", friendly(self.photo), methods=["GET"]),
            Route("/t/{token}/additions", friendly(self.add), methods=["POST"]),
            Route("/t/{token}/callback", friendly(self.answer), methods=["POST"]),
            Route("/t/{token}/settled", friendly(self.settle), methods=["POST"]),
            Route("/t/{token}/withdraw", friendly(self.withdraw), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Where the report stands."""
        return await self._page(request, {}, Typed())

    async def photo(self, request: Request) -> Response:
        """A photo of the case; `?size=thumb` for a small one."""
        photo_id = request.path_params["photo_id"]
        try:
            UUID(photo_id)
        except ValueError:
            raise NotFound from None
        size = "thumb" if request.query_params.get("size") == "thumb" else "full"
        content = await self._api.photo(request, _token(request), photo_id, size)
        return Response(content, media_type="image/jpeg", headers=_PHOTO_HEADERS)

    async def add(self, request: Request) -> Response:
        """More words, more photos."""
        form = await _read(request)
        words, key = forms.text_of(form, "text"), forms.key_of(form)
        typed = Typed({"text": words})
        try:
            photo_ids, wrong = await forms.send_photos(self._api, request, forms.photos_of(form), key)
            typed = replace(typed, photo_ids=photo_ids)
            if wrong:
                return await self._page(request, {"photos": wrong}, typed)
            text = words if words.strip() or not photo_ids else _ONLY_PHOTOS
            await self._api.act(request, _token(request), "additions", {"text": text, "photos": photo_ids}, key)
        except Refused as refused:
            return await self._mend(request, refused, typed)
        return _back(request, "added")

    async def answer(self, request: Request) -> Response:
        """回访: whether it is solved, how satisfied they are, and, if they like, why."""
        form = await _read(request)
        words = {name: forms.text_of(form, name) for name in ("solved", "satisfied", "remark")}
        errors = {name: forms.REASONS[name] for name in ("solved", "satisfied") if not words[name]}
        if errors:
            return await self._page(request, errors, Typed(words))
        key = forms.key_of(form)
        said = {"solved": words["solved"] == "yes", "satisfied": words["satisfied"]}
        try:
            if words["remark"].strip():
                await self._api.act(request, _token(request), "additions", {"text": words["remark"]}, f"{key}.remark")
            await self._api.act(request, _token(request), "callback", said, key)
        except Refused as refused:
            return await self._mend(request, refused, Typed(words))
        return _back(request, "answered")

    async def settle(self, request: Request) -> Response:
        """The matter has been settled."""
        form = await _read(request)
        try:
            await self._api.act(request, _token(request), "settled", {}, forms.key_of(form))
        except Refused as refused:
            return await self._mend(request, refused, Typed())
        return _back(request, "settled")

    async def withdraw(self, request: Request) -> Response:
        """撤回: nothing need be done any more."""
        form = await _read(request)
        reason = WITHDRAW_REASONS.get(forms.text_of(form, "reason"))
        if reason is None:
            return await self._page(request, {"reason": forms.REASONS["reason"]}, Typed())
        try:
            await self._api.act(request, _token(request), "withdraw", {"reason": reason}, forms.key_of(form))
        except Refused as refused:
            return await self._mend(request, refused, Typed())
        return _back(request, "withdrawn")

    async def _mend(self, request: Request, refused: Refused, typed: Typed) -> Response:
        """The page again, with what was typed, for a refusal that the resident can do something about."""
        errors: Errors = {"": ""}
        problem = _TO_MEND.get(refused.code, "")
        if refused.status == 422 and not problem:
            errors = forms.explain(refused.fields, typed.words)
            if "remark" in typed.words and "text" in errors:  # it goes to the API as an addition
                errors = {"remark": errors["text"]}
            if "photos" in errors:
                typed = replace(typed, photo_ids=())
        elif refused.status == 429:
            problem = f"提交得太频繁了，请等 {wait_text(refused.retry_after or '60')}再提交。"
        elif not problem:
            raise refused
        return await self._page(request, errors, typed, problem=problem, status=refused.status)

    async def _page(
        self, request: Request, errors: Errors, typed: Typed, *, problem: str = "", status: int = 422
    ) -> Response:
        token = _token(request)
        report = await self._api.track(request, token)
        link = str(request.url.replace(path=f"/t/{token}", query="", fragment=""))
        qr = segno.make(link, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff", omitsize=True)
        return page(
            "track.html",
            status if errors else 200,
            PRIVATE,
            report=report,
            token=token,
            link=link,
            qr=qr,
            is_new=clock.now() - report.created_at < _NEW and len(report.history) <= 2,
            is_late=report.state not in _DONE and clock.now() > report.due_at,
            key=forms.new_key(),
            typed=typed.words,
            photo_ids=typed.photo_ids,
            errors=errors,
            problem=problem,
        )


_DONE = frozenset({"resolved", "review_pending", "closed", "cancelled"})


def _token(request: Request) -> str:
    token: str = request.path_params["token"]
    if not _TOKEN.fullmatch(token):
        raise NotFound
    return token


async def _read(request: Request) -> FormData:
    guard.check_same_site(request)
    return await forms.read_form(request)


def _back(request: Request, done: str) -> Response:
    """Back to the page of the link; the fragment makes it say what was done."""
    return RedirectResponse(f"/t/{_token(request)}#{done}", 303, _NO_STORE)
