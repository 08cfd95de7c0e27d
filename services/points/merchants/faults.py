"""What is wrong with a request's parameters, told to merchants' developers in Chinese before English.

How a field must look its type says (`fields`); here is the rest: what is missing, what is too much, what is no JSON.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chassis.web.router import IdempotentRoute

_NOT_AN_OBJECT = "model_attributes_type"
_REASONS = {
    "missing": "缺少此参数 is missing",
    "extra_forbidden": "没有这个参数 is not known here",
    _NOT_AN_OBJECT: "请求体须为JSON对象 must be a JSON object",
}
_NOT_JSON_TYPE = "Content-Type须为application/json must come as application/json"
_UNREADABLE = {"type": "json_invalid", "loc": ("body",), "msg": ""}


class MerchantRoute(IdempotentRoute):
    """A route whose refusals of bad input can be read by whoever wrote the merchant's program."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await run(request)
            except RequestValidationError as error:
                told = [{**item, "msg": _reason(item, request)} for item in error.errors()]
                raise RequestValidationError(told) from error
            except HTTPException as error:
                if error.status_code != 400:
                    raise
                raise RequestValidationError([_UNREADABLE]) from error  # bytes of which no JSON can be made

        return handle


def _reason(item: dict[str, Any], request: Request) -> str:
    if item["type"] == _NOT_AN_OBJECT and not _says_json(request):
        return _NOT_JSON_TYPE
    return _REASONS.get(item["type"], str(item["msg"]))


def _says_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))
