"""`/shop`: see what a coupon is, redeem it, undo it, and what today came to."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.core.errors import DomainError, NotFound
from gateway.calls import Calls
from gateway.pages import forms
from gateway.pages.api import Refused
from gateway.pages.counter import wording
from gateway.pages.counter.answers import Counter, Counters, Seen, Today, Undone, Use, Used
from gateway.pages.counter.handling import HOME, handled, shop_page, to, wait_of
from gateway.pages.counter.session import Session
from gateway.pages.forms import Errors

AT = "/shop/{merchant_id}/{store_id}"
"""The path of a counter."""
_MOST_PAGES = 20


class CounterPages:
    """The counter of a store, for whoever may stand there."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """`/shop` and what lies under it."""
        return [
            Route(HOME, handled(self._calls, self.home), methods=["GET"]),
            Route(AT, handled(self._calls, self.show), methods=["GET"]),
            Route(f"{AT}/look", handled(self._calls, self.look), methods=["POST"]),
            Route(f"{AT}/use", handled(self._calls, self.use), methods=["POST"]),
            Route(f"{AT}/today", handled(self._calls, self.today), methods=["GET"]),
            Route(f"{AT}/undo/{{use_no}}", handled(self._calls, self.ask_undo), methods=["GET"]),
            Route(f"{AT}/undo/{{use_no}}", handled(self._calls, self.undo), methods=["POST"]),
        ]

    async def home(self, request: Request, session: Session) -> Response:
        """Which counter: with one alone, on to it."""
        counters = await _counters(session)
        if len(counters) == 1 and "all" not in request.query_params:
            return to(counters[0].path)
        return shop_page("home.html", counters=counters)

    async def show(self, request: Request, session: Session) -> Response:
        """The counter, ready for the next coupon."""
        return await _counter_page(request, session)

    async def look(self, request: Request, session: Session) -> Response:
        """What the coupon is that was scanned or typed, and whether to redeem it."""
        counter = await counter_of(request, session)
        typed = forms.text_of(await forms.read_form(request), "code")[:200]
        digits = wording.digits_of(typed)
        if len(digits) != wording.CODE_DIGITS or not (digits.isascii() and digits.isdecimal()):
            return await _counter_page(request, session, counter, typed=typed, errors={"code": _wrong_length(digits)})
        try:
            seen = await session.post(Seen, f"{counter.api}/look", {"coupon_code": digits})
        except Refused as refused:
            return await _mend(request, session, counter, refused, typed=wording.grouped(digits))
        if seen.token is None:
            title, remedy = wording.REASONS.get(seen.reason or "", wording.REASONS["coupon_expired"])
            return shop_page("unusable.html", 200, counter=counter, seen=seen, title=title, remedy=remedy)
        return shop_page("confirm.html", counter=counter, seen=seen, key=forms.new_key())

    async def use(self, request: Request, session: Session) -> Response:
        """Redeem it. What is pressed again under the same key is done once."""
        counter = await counter_of(request, session)
        form = await forms.read_form(request)
        token, key = forms.text_of(form, "token"), forms.key_of(form)
        try:
            used = await session.post(Used, f"{counter.api}/use", {"token": token}, key=key)
        except (Refused, DomainError) as error:
            if _is_unknown(error):
                return _again_page(counter, "use", {"token": token, "key": key})
            return await _mend(request, session, counter, error)
        return to(f"{counter.path}?done={used.use_no}")

    async def today(self, request: Request, session: Session) -> Response:
        """Today's list and what it came to."""
        counter = await counter_of(request, session)
        cursor = request.query_params.get("cursor")
        today = await session.get(Today, f"{counter.api}/today", limit=50, **({"cursor": cursor} if cursor else {}))
        return shop_page("today.html", counter=counter, today=today, first=cursor is None)

    async def ask_undo(self, request: Request, session: Session) -> Response:
        """Whether this use is to be undone."""
        counter = await counter_of(request, session)
        use = await _use_named(request, session, counter)
        return shop_page("undo.html", counter=counter, use=use, key=forms.new_key())

    async def undo(self, request: Request, session: Session) -> Response:
        """Undo it; back to the list."""
        counter = await counter_of(request, session)
        form = await forms.read_form(request)
        use_no, key = request.path_params["use_no"], forms.key_of(form)
        coupon_id = forms.text_of(form, "coupon_id")
        try:
            body = {"coupon_id": coupon_id, "use_no": use_no}
            await session.post(Undone, f"{counter.api}/return", body, key=key)
        except (Refused, DomainError) as error:
            if _is_unknown(error):
                return _again_page(counter, f"undo/{use_no}", {"coupon_id": coupon_id, "key": key})
            return await _mend(request, session, counter, error)
        return to(f"{counter.path}/today#undone")


async def _counters(session: Session) -> list[Counter]:
    return (await session.get(Counters, "/api/points/counter/stores")).items


async def counter_of(request: Request, session: Session) -> Counter:
    """The counter of the path. Raises Refused where one does not stand there."""
    named = request.path_params["merchant_id"], request.path_params["store_id"]
    for counter in await _counters(session):
        if (str(counter.merchant_id), counter.store_id) == named:
            return counter
    raise Refused(403, "not_at_this_counter", [], None)


async def _counter_page(
    request: Request,
    session: Session,
    counter: Counter | None = None,
    *,
    typed: str = "",
    errors: Errors | None = None,
    problem: tuple[str, str] | None = None,
    status: int = 422,
) -> Response:
    """The counter ready for a coupon: after what was just done, or with what is wrong."""
    counter = counter or await counter_of(request, session)
    today = await session.get(Today, f"{counter.api}/today", limit=50)
    done = request.query_params.get("done") if request.method == "GET" else None
    return shop_page(
        "counter.html",
        status if errors or problem else 200,
        counter=counter,
        today=today,
        done=next((use for use in today.items if use.use_no == done and use.returned_at is None), None),
        typed=typed,
        errors=errors or {},
        problem=problem,
    )


async def _mend(
    request: Request, session: Session, counter: Counter, error: Refused | DomainError, *, typed: str = ""
) -> Response:
    """The counter again, for a refusal that somebody at it can do something about. Raises the others."""
    if isinstance(error, Refused) and error.status == 429:
        problem = wording.TOO_MANY, f"为了安全，请等 {wait_of(error)}再试。"
    elif isinstance(error, Refused) and error.code in wording.REASONS:
        problem = wording.REASONS[error.code]
    else:
        raise error
    return await _counter_page(request, session, counter, typed=typed, problem=problem, status=error.status)


async def _use_named(request: Request, session: Session, counter: Counter) -> Use:
    """The use of the path, off today's list. Raises NotFound where it is not there to be undone."""
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        params = {"cursor": cursor} if cursor else {}
        today = await session.get(Today, f"{counter.api}/today", limit=200, **params)
        for use in today.items:
            if use.use_no == request.path_params["use_no"]:
                return use
        cursor = today.next_cursor
        if cursor is None:
            break
    raise NotFound


def _again_page(counter: Counter, action: str, fields: dict[str, str]) -> Response:
    """What to do where it is not known whether it was done: the same once more, under the same key."""
    return shop_page("again.html", 503, counter=counter, action=f"{counter.path}/{action}", fields=fields)


def _is_unknown(error: Refused | DomainError) -> bool:
    """Whether it is not known what was done: nobody answered, or not in time, or something broke."""
    return error.status >= 500 or error.code == "request_in_progress"


def _wrong_length(digits: str) -> str:
    if not digits:
        return "请扫码，或输入券码。"
    if not (digits.isascii() and digits.isdecimal()):
        return "券码只有数字，请检查一下。"
    return f"券码是 {wording.CODE_DIGITS} 位数字，您输入了 {len(digits)} 位，请检查一下。"
