"""RFC 9457 problem+json: the one shape of every refusal and failure."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from chassis.core.client import BadGateway, CallRefused
from chassis.core.db import constraint_name, is_contention, unavailable
from chassis.core.errors import DomainError, FieldError
from chassis.core.telemetry import request_id

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES_ZH = {
    400: "请求格式有误",
    404: "未找到",
    405: "不支持的请求方法",
    406: "无法提供所请求的格式",
    413: "内容过大",
    415: "不支持的内容类型",
    422: "请求内容有误",
    429: "请求过于频繁",
    500: "服务内部错误",
    502: "上游服务错误",
    503: "服务暂时不可用",
    504: "上游服务超时",
}
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's names where those of Python's releases differ: the code comes from them and must not change."""


class ProblemField(BaseModel):
    """One field at fault."""

    name: str
    reason: str


class Problem(BaseModel):
    """A refusal or failure (RFC 9457)."""

    type: str
    title: str
    title_zh: str
    status: int
    code: str
    detail: str
    request_id: str | None
    errors: list[ProblemField]


class ProblemResponse(JSONResponse):
    """A problem+json answer."""

    media_type = MEDIA_TYPE


def problem_body(
    status: int, code: str, title: str, title_zh: str, detail: str = "", fields: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """The JSON object of a problem, with the present request's id."""
    return {
        "type": f"urn:beiyuan:problem:{code}",
        "title": title,
        "title_zh": title_zh,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id.get(),
        "errors": [{"name": field.name, "reason": field.reason} for field in fields],
    }


def domain_problem(error: DomainError) -> ProblemResponse:
    """The answer to a DomainError."""
    if isinstance(error, CallRefused):
        log.warning("call_refused", service=error.service, status=error.status, code=error.code)
        error = BadGateway()
    body = problem_body(error.status, error.code, error.title, error.title_zh, error.detail, error.fields)
    return ProblemResponse(body, error.status, headers=error.headers)


def plain_problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """The answer to a failure of HTTP itself: unknown path, wrong method, body too large …"""
    phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    body = problem_body(
        status, code, phrase, _TITLES_ZH.get(status, "请求未能完成"), "" if detail == phrase else detail
    )
    return ProblemResponse(body, status, headers=dict(headers or {}))


def problems(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses=` says of the refusals that are its own."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        line = f"`{error.code}`: {error.title}"
        entry = by_status.setdefault(error.status, problem_schema(""))
        entry["description"] = f"{entry['description']}\n\n{line}".strip()
    return by_status


def problem_schema(description: str) -> dict[str, Any]:
    """An OpenAPI response whose body is a Problem."""
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def install(app: FastAPI, constraint_errors: Mapping[str, type[DomainError]]) -> None:
    """Let `app` answer every failure with a problem. `constraint_errors` maps constraint names to refusals."""

    async def on_domain_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, DomainError)
        return domain_problem(error)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _validation_problem(error)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return plain_problem(error.status_code, str(error.detail), error.headers)

    async def on_database_error(request: Request, error: Exception) -> Response:
        if refusal := constraint_refusal(request, error):
            return domain_problem(refusal)
        if is_contention(error):
            log.warning("database_busy", reason=type(getattr(error, "orig", error)).__name__)
            return domain_problem(unavailable())
        raise error

    app.add_exception_handler(DomainError, on_domain_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    for kind in (DBAPIError, PoolTimeoutError):
        app.add_exception_handler(kind, on_database_error)
    app.state.constraint_errors = constraint_errors


def constraint_refusal(request: Request, error: Exception) -> DomainError | None:
    """The refusal that a violated constraint stands for, by the constraint's name."""
    kind: type[DomainError] | None = None
    if isinstance(error, DBAPIError):
        kind = request.app.state.constraint_errors.get(constraint_name(error))
    return kind() if kind else None


def _validation_problem(error: RequestValidationError) -> ProblemResponse:
    items = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        body = problem_body(400, "malformed_json", "The body is not JSON", "请求体不是有效的 JSON")
        return ProblemResponse(body, 400)
    fields = [FieldError(_field_name(item["loc"]), _reason(item)) for item in items[:50]]
    body = problem_body(422, "invalid", "The request is not valid", "请求内容有误", fields=fields)
    return ProblemResponse(body, 422)


def _field_name(loc: Sequence[str | int]) -> str:
    return ".".join(str(part).encode("utf-8", "replace").decode() for part in loc)[:200]


def _reason(item: Mapping[str, Any]) -> str:
    """The validator's message without the input, which may be personal, and without lone surrogates."""
    return str(item["msg"]).removeprefix("Value error, ").encode("utf-8", "replace").decode()[:300]
