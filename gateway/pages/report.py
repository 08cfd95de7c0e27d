"""`/q/{code}`: what a resident sees and sends who scans the code on a wall 码上说."""

import re
from collections.abc import Mapping
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chassis.core import clock
from chassis.core.errors import NotFound
from gateway.pages import forms, guard
from gateway.pages.answers import Item, PlacePage, Taxonomy
from gateway.pages.api import Api, Refused
from gateway.pages.forms import Errors, ReportForm
from gateway.pages.refusals import friendly, wait_text
from gateway.pages.rendering import PRIVATE, page
from gateway.pages.times import visit_slots

_CODE = re.compile(r"[A-Za-z0-9_-]{1,40}")
# What must be dealt with so soon may cost lives: where it is likely, the emergency numbers stand out.
_PERIL_HOURS = 2
# Refusals after which the resident changes something and sends again, and what the page says of them.
_TO_MEND: Mapping[str, str] = {
    "already_reported": "您已经反映过这件事，正在办理。想补充情况，请打开当时存下的查询链接。",
    "idempotency_key_reused": "这一页刚才已经提交过一次。如果是另一件事，请再点一次提交。",
    "request_in_progress": "刚才那次提交还在处理，请等几秒再点一次，只会算一件。",
}
# Without a phone number, all who share a network address are one to the orders service.
_REPORTED_FROM_HERE = "这件事已经有人从您所在的网络反映过，正在办理。如果不是您反映的，请留下手机号再提交。"


class ReportPages:
    """The page of a QR code, and what is sent from it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def routes(self) -> list[Route]:
        """`/q/{code}`."""
        return [
            Route("/q/{code}", friendly(self.show), methods=["GET"]),
            Route("/q/{code}", friendly(self.send), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form."""
        response = await self._form(request, ReportForm())
        # Unlike other pages: going back to it must bring back what was typed.
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    async def send(self, request: Request) -> Response:
        """Take the report; then on to its private link. What is wrong is shown beside what was typed."""
        guard.check_same_site(request)
        code = _code(request)
        sent = await forms.read_form(request)
        form = ReportForm.read(sent)
        photo_ids = list(form.photo_ids)
        try:
            photo_ids, wrong = await forms.send_photos(self._api, request, forms.photos_of(sent), form.key)
            if wrong:
                return await self._form(request, form.again(photo_ids=photo_ids), errors={"photos": wrong})
            report = await self._api.send_report(request, form.with_photos(photo_ids).body(code), form.key)
        except Refused as refused:
            return await self._mend(request, form, photo_ids, refused)
        if report.tracking_url is None:
            lines = [f"编号 {report.number}。", "代居民录入的，不显示查询链接。"]
            return page("notice.html", 200, PRIVATE, title="已经录入", lines=lines, reference=None)
        return RedirectResponse(report.tracking_url, 303, PRIVATE | {"Cache-Control": "no-store"})

    async def _mend(self, request: Request, form: ReportForm, photo_ids: list[str], refused: Refused) -> Response:
        """The form again, with what was typed, for a refusal that the resident can do something about."""
        errors: Errors = {"": ""}
        problem = _TO_MEND.get(refused.code, "")
        if refused.code == "already_reported" and not form.phone.strip():
            problem = _REPORTED_FROM_HERE
        if refused.status == 422 and not problem:
            errors = forms.explain(refused.fields, asdict(form))
            if "photos" in errors:
                photo_ids = []
        elif refused.status == 429:
            problem = f"提交得太频繁了，请等 {wait_text(refused.retry_after or '60')}再提交。您写的内容还在。"
        elif not problem:
            raise refused
        # What may have been taken already is sent again under its own key, and so only once.
        in_flight = refused.code == "request_in_progress"
        again = form.with_photos(photo_ids) if in_flight else form.again(photo_ids=photo_ids)
        response = await self._form(request, again, errors=errors, problem=problem, status=refused.status)
        if refused.retry_after:
            response.headers["Retry-After"] = refused.retry_after
        return response

    async def _form(
        self,
        request: Request,
        form: ReportForm,
        *,
        errors: Errors | None = None,
        problem: str = "",
        status: int = 422,
    ) -> Response:
        here = await self._api.place(request, _code(request))
        taxonomy = await self._api.taxonomy(request)
        others = _others(here, taxonomy)
        return page(
            "report.html",
            status if errors else 200,
            PRIVATE,
            here=here,
            others=others,
            elsewhere=_item_of(form.subitem, others),
            reported={order.subitem_code for order in here.open},
            perilous=any(subitem.urgent and subitem.sla_hours <= _PERIL_HOURS for subitem in here.likely),
            slots=list(visit_slots(clock.now())),
            form=form,
            errors=errors or {},
            problem=problem,
        )


def _code(request: Request) -> str:
    code: str = request.path_params["code"]
    if not _CODE.fullmatch(code):
        raise NotFound
    return code


def _others(here: PlacePage, taxonomy: Taxonomy) -> list[Item]:
    """Every item, without the sub-items that the page offers first."""
    likely = {subitem.code for subitem in here.likely}
    return [
        Item(code=item.code, name=item.name, subitems=rest)
        for item in taxonomy.items
        if (rest := [subitem for subitem in item.subitems if subitem.code not in likely])
    ]


def _item_of(subitem: str, items: list[Item]) -> str | None:
    """The item that a chosen sub-item stands under, so that it is shown open."""
    return next((item.code for item in items if subitem in {other.code for other in item.subitems}), None)
