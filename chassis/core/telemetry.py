"""What a process says of itself: log lines, request and trace ids.

A request id and a W3C trace context come in with a request, stand in every log line written for it, and go out with
every call made for it. Bodies, phone numbers and names are never logged.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def accept_request_id(offered: str | None) -> str:
    """The offered id if it is well formed, else a fresh one."""
    return offered if offered and _REQUEST_ID.fullmatch(offered) else os.urandom(16).hex()


def continue_trace(offered: str | None) -> str:
    """A traceparent (W3C Trace Context) for this hop: the offered trace with a span of our own, or a new trace."""
    if offered and _TRACEPARENT.fullmatch(offered):
        _, trace_id, _, flags = offered.split("-")
        return f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


@contextmanager
def within_trace(offered: str | None) -> Iterator[None]:
    """What is done in this block belongs to the offered trace, whoever runs it; to the present one if none is."""
    if offered is None:
        yield
        return
    token = traceparent.set(continue_trace(offered))
    try:
        yield
    finally:
        traceparent.reset(token)


def outgoing_headers() -> dict[str, str]:
    """The ids to send along with a call made on behalf of the present request."""
    headers = {}
    if current := request_id.get():
        headers["X-Request-Id"] = current
    if context := traceparent.get():
        headers["traceparent"] = context
    return headers


def _add_ids(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if current := request_id.get():
        event.setdefault("request_id", current)
    if context := traceparent.get():
        event.setdefault("trace_id", context.split("-")[1])
    return event


def configure_logging(*, level: str, json: bool) -> None:
    """Send structured log lines to stderr, those of libraries too."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_ids,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # a richer one shows variables: personal data
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.format_exc_info] if json else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.error", "httpx2", "httpcore2", "procrastinate", "aiohttp.access", "PIL", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
