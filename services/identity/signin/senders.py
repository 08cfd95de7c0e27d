"""Ways to get a sign-in code to a phone."""

import sys
from datetime import timedelta
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class SmsSender(Protocol):
    """Sends one code to one phone."""

    async def send_code(self, phone: str, code: str, *, minutes: int) -> None:
        """`phone` has eleven digits, `code` six; `minutes` says how long it is good."""


class ConsoleSender:
    """Writes the code to the standard output, where only who runs the process sees it. For demonstrations."""

    async def send_code(self, phone: str, code: str, *, minutes: int) -> None:
        """One line, the only place at which the code ever appears."""
        sys.stdout.write(f"SMS to {phone}: {code} 是您的登录验证码，{minutes} 分钟内有效，请勿告诉他人。\n")
        sys.stdout.flush()


async def deliver(sender: SmsSender, phone: str, code: str, lifetime: timedelta) -> None:
    """Send a code. A failure is logged without phone and code; the person asks for another one."""
    try:
        await sender.send_code(phone, code, minutes=max(1, int(lifetime.total_seconds() // 60)))
    except Exception as error:
        log.warning("sms_not_sent", reason=type(error).__name__)
