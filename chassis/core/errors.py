"""Failures that a caller can do something about.

A domain's `errors.py` derives one class per failure. The web layer turns each into RFC 9457 problem+json; nothing
else of an exception ever reaches a caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `name` is its path (`body.contact.phone`, `query.state`)."""

    name: str
    reason: str


class DomainError(Exception):
    """A refusal with an HTTP status and a stable code that clients may compare.

    `detail` says what is wrong this time. `fields` names the fields at fault. `headers` go out with the answer.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    title_zh: ClassVar[str]
    keeps_changes: ClassVar[bool] = False
    """Whether what was written before the refusal is committed with it (a try that counts), not undone."""

    def __init__(
        self,
        detail: str = "",
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.fields = tuple(fields)
        self.headers = dict(headers or {})

    @property
    def repeats(self) -> bool:
        """Whether the same request would be refused again: such refusals are remembered under their idempotency key."""
        return self.status not in {401, 408, 429} and self.status < 500


class Invalid(DomainError):
    status, code = 422, "invalid"
    title, title_zh = "The request is not valid", "请求内容有误"


class NotFound(DomainError):
    status, code = 404, "not_found"
    title, title_zh = "There is no such thing here", "未找到"


class Unauthenticated(DomainError):
    status, code = 401, "unauthenticated"
    title, title_zh = "Sign in first", "请先登录"
    challenge: ClassVar[str] = "Bearer"

    def __init__(self, detail: str = "", *, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, fields=fields, headers={"WWW-Authenticate": self.challenge})


class Forbidden(DomainError):
    status, code = 403, "forbidden"
    title, title_zh = "Your post does not allow this", "没有权限"


class Conflict(DomainError):
    status, code = 409, "conflict"
    title, title_zh = "This contradicts the present state", "与当前状态冲突"


class RequestInProgress(Conflict):
    """The first request under this Idempotency-Key has not been answered yet."""

    code = "request_in_progress"
    title, title_zh = "The first request is still being worked on", "相同请求正在处理中"

    @property
    def repeats(self) -> bool:
        return False


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title, title_zh = "This Idempotency-Key belongs to another request", "幂等键已用于其他请求"


class TooManyRequests(DomainError):
    status, code = 429, "too_many_requests"
    title, title_zh = "Too many requests", "请求过于频繁"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 60) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


class Unavailable(DomainError):
    status, code = 503, "unavailable"
    title, title_zh = "Not available just now; try again", "服务暂时不可用，请稍后重试"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})
