"""Where a form comes from."""

from urllib.parse import urlsplit

from starlette.requests import Request

from chassis.core.errors import Forbidden


class ForeignForm(Forbidden):
    """Another site had the browser send this form."""

    code = "foreign_form"
    title, title_zh = "This form was sent from another site", "请从本页面提交"


def check_same_site(request: Request) -> None:
    """Refuse a form that another site had the browser send. Raises ForeignForm.

    Every current browser says so in `Sec-Fetch-Site`. Older ones send `Origin`, which is `null` from our own pages,
    since they send no referrer; what is not a browser sends neither. (There is no cookie here that could be misused.)
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise ForeignForm
        return
    origin = request.headers.get("Origin", "null")
    if origin != "null" and urlsplit(origin).netloc != request.headers.get("Host"):
        raise ForeignForm


def check_own_form(request: Request) -> None:
    """The same for pages that know their reader by a cookie: what does not say where it comes from is refused too.

    Raises ForeignForm. Such pages let the browser name them to themselves (`Referrer-Policy: same-origin`), so that
    older ones send an `Origin` which is not `null`; the cookie's SameSite is the other half of it.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise ForeignForm
        return
    if urlsplit(request.headers.get("Origin", "")).netloc != request.headers.get("Host"):
        raise ForeignForm
