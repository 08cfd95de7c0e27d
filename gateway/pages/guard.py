"""Where a form comes from, and which device sends it."""

import re
import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from chassis.core.errors import Forbidden

COOKIE = "device"
_YEAR_SECONDS = 365 * 24 * 3600
_DEVICE = re.compile(r"[A-Za-z0-9_-]{22}")


class ForeignForm(Forbidden):
    """Another site had the browser send this form."""

    code = "foreign_form"
    title, title_zh = "This form was sent from another site", "请从本页面提交"


def check_same_site(request: Request) -> None:
    """Refuse a form that another site had the browser send. Raises ForeignForm.

    Every current browser says so in `Sec-Fetch-Site`. Older ones send `Origin`, which is `null` from our own pages,
    since they send no referrer; what is not a browser sends neither, and has nobody's cookie to misuse.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise ForeignForm
        return
    origin = request.headers.get("Origin", "null")
    if origin != "null" and urlsplit(origin).netloc != request.headers.get("Host"):
        raise ForeignForm


def device_of(request: Request) -> str | None:
    """What the browser calls itself, if it has been here before."""
    value = request.cookies.get(COOKIE)
    return value if value and _DEVICE.fullmatch(value) else None


def new_device() -> str:
    """A fresh random name for a browser: it counts how much one device sends, and says nothing else."""
    return secrets.token_urlsafe(16)


def keep_device(request: Request, response: Response, device: str) -> None:
    """Let the browser keep its name for a year."""
    response.set_cookie(
        COOKIE,
        device,
        max_age=_YEAR_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
