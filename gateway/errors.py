"""What the edge itself refuses, before or instead of a service."""

from chassis.core.errors import DomainError, Unavailable


class BodyTooSlow(DomainError):
    """The request body did not come in within its time."""

    status, code = 408, "body_too_slow"
    title, title_zh = "The request took too long to arrive", "请求上传超时"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Connection": "close"})


class BodyTooLarge(DomainError):
    """The request body is longer than its address takes. The connection is closed, since the rest is not read."""

    status, code = 413, "body_too_large"
    title, title_zh = "The request is too large", "请求内容过大"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"At most {limit_bytes} bytes are taken here.", headers={"Connection": "close"})


class BadAnswer(DomainError):
    """A service broke off in the middle, so that it is not known what it did."""

    status, code = 502, "bad_answer"
    title, title_zh = "The service broke off; look before you try again", "服务中断，请先确认结果再重试"


class ServiceDown(Unavailable):
    """The service cannot be reached. Nothing was done; trying again is safe."""

    code = "service_down"
    title, title_zh = "This part is not available just now", "该服务暂时不可用"


class AnswerTooSlow(DomainError):
    """The service did not begin to answer in time; it is not known what it did."""

    status, code = 504, "answer_too_slow"
    title, title_zh = "The service took too long", "服务响应超时"


class Internal(DomainError):
    """A defect of ours. What it was stands in the log, under the request id."""

    status, code = 500, "internal"
    title, title_zh = "Something went wrong here", "服务器内部错误"


class ClientGone(Exception):
    """The client hung up: nobody is left to answer."""
