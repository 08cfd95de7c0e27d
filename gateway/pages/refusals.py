"""What a resident reads where a page cannot be shown: what is the matter, and what to do now."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from chassis.core.errors import DomainError
from chassis.core.telemetry import request_id
from gateway.pages.api import Refused
from gateway.pages.rendering import PRIVATE, page

log = structlog.get_logger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

_CALL = "着急的事，请打电话："
_BY_CODE = {
    "qr_code_unknown": ("没有这个二维码", "可能没有扫完整，或者网址抄错了。请再扫一次墙上的二维码。"),
    "qr_code_revoked": ("这个二维码已经停用", "请找一找附近新贴的二维码，再扫一次。"),
    "tracking_unknown": ("没有这个查询链接", "可能没有复制完整。请打开您当时存下的完整链接，或截图里的二维码。"),
    "foreign_form": ("没有提交成功", "为了您的安全，请重新扫墙上的二维码，在那个页面里填写。"),
}
_BY_STATUS = {
    400: ("没有收到完整的内容", "请按返回键，再提交一次。"),
    404: ("没有这个页面", "请再扫一次墙上的二维码，或检查网址。"),
    405: ("没有这个页面", "请再扫一次墙上的二维码，或检查网址。"),
    408: ("网络太慢，没有传完", "请按返回键，少带几张照片，再提交一次。"),
    413: ("照片太大，没有收下", "请按返回键，少选几张照片，或不带照片提交。"),
    429: ("提交得太频繁了", "请等一会儿再来。"),
    503: ("系统暂时停一下", "请过几分钟按返回键再试，您写的内容还在。重复提交也只算一件。"),
    504: ("系统没有及时回应", "请按返回键，再提交一次。重复提交也只算一件。"),
}
_DEFECT = ("系统出了点问题", "我们已经记下来了。请过几分钟再试，重复提交也只算一件。")


def refusal_page(status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """The page for a refusal or failure, with the headers that go with it."""
    title, remedy = _BY_CODE.get(code) or _BY_STATUS.get(status, _DEFECT)
    if status == 429 and headers and (wait := headers.get("Retry-After")):
        remedy = f"请等 {wait_text(wait)}再来。"
    lines = [remedy, _CALL]
    return page(
        "notice.html", status, {**PRIVATE, **(headers or {})}, title=title, lines=lines, reference=request_id.get()
    )


def for_browsers(refusal: DomainError, scope: Scope) -> Response | None:
    """The page for a refusal, where a browser asked for a page; None where a program asked for an answer."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if b"text/html" not in accept or scope["path"].startswith("/api/"):
        return None
    return refusal_page(refusal.status, refusal.code, refusal.headers)


def wait_text(retry_after: str) -> str:
    """How long to wait, in minutes and hours: 3 分钟."""
    minutes = -(-int(retry_after) // 60) if retry_after.isdecimal() else 1
    return f"{minutes} 分钟" if minutes < 60 else f"{-(-minutes // 60)} 小时"


def friendly(handler: Handler) -> Handler:
    """The handler, with every refusal and failure answered as a page."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            wait = {"Retry-After": refused.retry_after} if refused.retry_after else None
            return refusal_page(refused.status, refused.code, wait)
        except DomainError as error:
            return refusal_page(error.status, error.code, error.headers)
        except HTTPException as error:
            return refusal_page(error.status_code, "")
        except Exception:
            log.exception("page_failed")
            return refusal_page(500, "internal")
        finally:
            await request.close()  # the photos of a form are temporary files

    return answer
