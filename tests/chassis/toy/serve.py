"""A toy service as a process of its own."""

import asyncio
import ctypes
import os
import signal
from typing import Any

import uvicorn

from chassis.core.client import Directory
from chassis.core.settings import ServiceSettings
from chassis.core.telemetry import configure_logging
from tests.chassis.toy import receiver, sender, work

PR_SET_PDEATHSIG = 1


class DiesBeforeAnswering:
    """Kills the process when the first batch of messages has been taken, before anybody hears of it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_or_die(message: Any) -> None:
            if scope.get("path") == "/internal/messages":
                os.kill(os.getpid(), signal.SIGKILL)
            await send(message)

        await self.app(scope, receive, send_or_die)


def serve(
    name: str,
    port: int,
    settings: ServiceSettings,
    urls: dict[str, str],
    moods: dict[str, int],
    die_before_answering: bool,
) -> None:
    """Serve until killed; never longer than whoever started us."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    configure_logging(level="info", json=False)
    app: Any = {"sender": sender, "receiver": receiver, "work": work}[name].create_app(settings, Directory(urls))
    receiver.moods.update(moods)
    if die_before_answering:
        app = DiesBeforeAnswering(app)
    asyncio.run(uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False)).serve())
