"""The one shape of every refusal under /merchant/v1, made of the refusals and problems of the rest of the service."""

import json
from collections.abc import Mapping, Sequence

from chassis.core.errors import DomainError
from services.points.merchants.terms import Answer

PATH = "/merchant/v1"

_BY_STATUS = {
    400: "PARAM_ERROR",
    401: "SIGN_ERROR",
    403: "NO_AUTH",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "PARAM_ERROR",
    413: "PARAM_ERROR",
    415: "PARAM_ERROR",
    422: "PARAM_ERROR",
    429: "RATE_LIMITED",
}
# These say more than their status does.
_KEPT = {401: ("timestamp_expired", "nonce_reused"), 404: ("coupon_not_found", "request_not_found", "bill_not_ready")}


def of_error(error: DomainError) -> Answer:
    """A refusal as merchants see it. Its headers are for the sender to add."""
    fields = [{"name": field.name, "reason": field.reason} for field in error.fields]
    return _answer(error.status, error.code, error.title, error.title_zh, error.detail, fields)


def of_problem(answer: Answer) -> Answer:
    """The same of a problem+json answer."""
    problem = json.loads(answer.body)
    return _answer(
        answer.status, problem["code"], problem["title"], problem["title_zh"], problem["detail"], problem["errors"]
    )


def _answer(
    status: int, code: str, title: str, title_zh: str, reason: str, fields: Sequence[Mapping[str, str]]
) -> Answer:
    body = {
        "code": _code(status, code),
        "message": f"{title_zh} {title}",
        "detail": {"reason": reason, "fields": list(fields)},
    }
    # Bad input is 400 here, whatever was wrong with it.
    return Answer(400 if status == 422 else status, json.dumps(body, ensure_ascii=False).encode())


def _code(status: int, code: str) -> str:
    if status == 409 or code in _KEPT.get(status, ()):
        return code.upper()
    return _BY_STATUS.get(status, "SYSTEM_ERROR" if status >= 500 else "PARAM_ERROR")
