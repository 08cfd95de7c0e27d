"""What the edge itself answers where merchants call: the partner protocol's envelope in place of problem+json.

The service behind judges signatures and signs its answers; what the edge refuses is not signed, by which a merchant
knows to ask what became of the request before sending another.
"""

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from chassis.core.errors import DomainError
from chassis.web.problems import ProblemField


class MerchantRefusalDetail(BaseModel):
    """What was wrong this time; the edge looks at no field."""

    reason: str
    fields: list[ProblemField]


class MerchantRefusal(BaseModel):
    """A refusal or failure of the edge, in the partner protocol."""

    code: str
    message: str
    detail: MerchantRefusalDetail


def envelope(refusal: DomainError, request_id: str) -> Response:
    """The answer to a DomainError under `/merchant/v1`."""
    body = MerchantRefusal(
        code=_code(refusal.status),
        message=f"{refusal.title_zh} {refusal.title}",
        detail=MerchantRefusalDetail(reason=refusal.detail, fields=[]),
    )
    return JSONResponse(body.model_dump(), refusal.status, {**refusal.headers, "Request-ID": request_id})


def _code(status: int) -> str:
    if status >= 500:
        return "SYSTEM_ERROR"
    return {404: "NOT_FOUND", 429: "RATE_LIMITED"}.get(status, "PARAM_ERROR")
