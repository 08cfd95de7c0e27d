"""`/shop/…/clerks`: a store's clerks, for the merchant's manager 店主: invited by a code, revoked by a press."""

import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.calls import Calls
from gateway.pages import forms
from gateway.pages.api import Refused
from gateway.pages.counter.answers import Clerk, Clerks, Counter, Invitation
from gateway.pages.counter.handling import HOME, handled, shop_page, to
from gateway.pages.counter.pages import AT, counter_of
from gateway.pages.counter.session import Session

_MOST_PAGES = 20
_SHOWN = frozenset({"active", "invited", "lapsed"})
_NAME = "请写一个称呼，20 个字以内，不要用特殊符号。"
_MANY = "店员已经很多了，请先停用不来的。"


class ClerkPages:
    """Who works at a counter."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """`/shop/…/clerks` and what lies under it."""
        return [
            Route(f"{AT}/clerks", handled(self._calls, self.show), methods=["GET"]),
            Route(f"{AT}/clerks", handled(self._calls, self.invite), methods=["POST"]),
            Route(f"{AT}/clerks/{{clerk_id}}", handled(self._calls, self.ask_revoke), methods=["GET"]),
            Route(f"{AT}/clerks/{{clerk_id}}", handled(self._calls, self.revoke), methods=["POST"]),
            Route(f"{AT}/clerks/{{clerk_id}}/invite", handled(self._calls, self.invite_again), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """Who works here, and who is invited."""
        counter = await _managed(request, session)
        return await _clerks_page(session, counter)

    async def invite(self, request: Request, session: Session) -> Response:
        """Another clerk, by a code to be told them. Sent again under the same key it is the same code."""
        counter = await _managed(request, session)
        form = await forms.read_form(request)
        name = forms.text_of(form, "name")
        body = {"store_id": counter.store_id, "name": name}
        try:
            made = await session.post(Invitation, _api(counter), body, key=forms.key_of(form))
        except Refused as refused:
            if refused.code == "too_many_clerks":
                return await _clerks_page(session, counter, name=name, problem=_MANY)
            if refused.status != 422:
                raise
            return await _clerks_page(session, counter, name=name, error=_NAME)
        return _invitation_page(request, counter, made)

    async def invite_again(self, request: Request, session: Session) -> Response:
        """Another code for somebody who has not joined yet; the list, where they have meanwhile."""
        counter = await _managed(request, session)
        clerk = await _clerk(request, session, counter)
        key = forms.key_of(await forms.read_form(request))
        try:
            made = await session.post(Invitation, f"{_api(counter)}/{clerk.id}/invite", {}, key=key)
        except Refused as refused:
            if refused.code != "clerk_joined":
                raise
            return to(f"{counter.path}/clerks")
        return _invitation_page(request, counter, made)

    async def ask_revoke(self, request: Request, session: Session) -> Response:
        """Whether this clerk is to do nothing more here."""
        counter = await _managed(request, session)
        clerk = await _clerk(request, session, counter)
        return shop_page("revoke.html", counter=counter, clerk=clerk)

    async def revoke(self, request: Request, session: Session) -> Response:
        """The clerk does nothing more here; back to the list."""
        counter = await _managed(request, session)
        clerk = await _clerk(request, session, counter)
        await session.post(Clerk, f"{_api(counter)}/{clerk.id}/revoke", {})
        return to(f"{counter.path}/clerks#revoked")


def _invitation_page(request: Request, counter: Counter, made: Invitation) -> Response:
    link = str(request.url.replace(path=HOME, query="", fragment=""))
    qr = segno.make(link, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff", omitsize=True)
    return shop_page("invitation.html", counter=counter, made=made, link=link, qr=qr)


async def _clerks_page(
    session: Session, counter: Counter, *, name: str = "", error: str = "", problem: str = ""
) -> Response:
    return shop_page(
        "clerks.html",
        422 if error or problem else 200,
        counter=counter,
        clerks=await _clerks(session, counter),
        name=name,
        key=forms.new_key(),
        errors={"name": error} if error else {},
        problem=problem,
    )


async def _managed(request: Request, session: Session) -> Counter:
    """The counter of the path, for the merchant's manager. Raises Refused for others."""
    counter = await counter_of(request, session)
    if counter.standing != "manager":
        raise Refused(403, "not_at_this_counter", [], None)
    return counter


async def _clerks(session: Session, counter: Counter) -> list[Clerk]:
    """Who works or is invited at this counter, those invited last first."""
    found: list[Clerk] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        clerks = await session.get(Clerks, _api(counter), limit=200, **({"cursor": cursor} if cursor else {}))
        found += [clerk for clerk in clerks.items if clerk.store_id == counter.store_id and clerk.state in _SHOWN]
        cursor = clerks.next_cursor
        if cursor is None:
            break
    return found[::-1]


async def _clerk(request: Request, session: Session, counter: Counter) -> Clerk:
    """The clerk of the path. Raises Refused where nobody of that id works here."""
    for clerk in await _clerks(session, counter):
        if str(clerk.id) == request.path_params["clerk_id"]:
            return clerk
    raise Refused(404, "clerk_not_found", [], None)


def _api(counter: Counter) -> str:
    return f"/api/points/merchants/{counter.merchant_id}/clerks"
