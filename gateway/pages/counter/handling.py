"""What every request to a shop's page has in common: its session, where its forms come from, and what is said where a
page cannot be shown.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chassis.core.errors import DomainError
from chassis.core.telemetry import request_id
from gateway.calls import Calls
from gateway.pages import guard
from gateway.pages.api import Refused
from gateway.pages.counter import wording
from gateway.pages.counter.session import Session, SignedOut
from gateway.pages.refusals import wait_text
from gateway.pages.rendering import PRIVATE, page

log = structlog.get_logger(__name__)

HOME = "/shop"
SIGN_IN = "/shop/signin"
# The browser may name these pages to themselves, so that an older one says where a form comes from.
_OWN = PRIVATE | {"Referrer-Policy": "same-origin"}

Handler = Callable[[Request, Session], Awaitable[Response]]


def shop_page(template: str, status: int = 200, /, **values: Any) -> Response:
    """A page of the shop's."""
    return page(f"counter/{template}", status, _OWN, words=wording, **values)


def to(path: str) -> Response:
    """On to another page, after something was done."""
    return RedirectResponse(path, 303, _OWN | {"Cache-Control": "no-store"})


def handled(calls: Calls, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The handler as a route's endpoint: with a session, whose cookies go out with whatever is answered.

    A form must come from these pages. Whoever is not signed in is asked to sign in.
    """

    @wraps(handler)
    async def answer(request: Request) -> Response:
        session = Session(calls, request)
        try:
            if request.method == "POST":
                guard.check_own_form(request)
            response = await handler(request, session)
        except SignedOut:
            response = to(SIGN_IN)
        except Refused as refused:
            response = _refusal(refused.status, refused.code, refused.retry_after)
        except DomainError as error:
            response = _refusal(error.status, error.code, error.headers.get("Retry-After"))
        except HTTPException as error:
            response = _refusal(error.status_code, "", None)
        except Exception:
            log.exception("page_failed")
            response = _refusal(500, "internal", None)
        finally:
            await request.close()
        return session.leave_on(response)

    return answer


def wait_of(refused: Refused) -> str:
    """How long to wait after a refusal for too many tries."""
    return wait_text(refused.retry_after or "60")


def _refusal(status: int, code: str, retry_after: str | None) -> Response:
    title, remedy = wording.refusal(status, code)
    if status == 429 and retry_after:
        remedy = f"请等 {wait_text(retry_after)}再来。"
    response = shop_page("notice.html", status, title=title, remedy=remedy, reference=request_id.get())
    if retry_after:
        response.headers["Retry-After"] = retry_after
    return response
