"""The points service as several processes on one database, each of which may be killed and started again."""

import asyncio
import ctypes
import os
import signal
import socket
import time
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx2
import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from chassis.core import clock
from chassis.core.client import Directory
from chassis.core.errors import DomainError
from chassis.core.runtime import Runtime
from chassis.core.telemetry import configure_logging
from services.points.app import create_app
from services.points.ledger import overdue
from services.points.settings import PointsSettings
from tests.points.mortal import PR_SET_PDEATHSIG, processes

SWEEP_SECONDS = 0.5
log = structlog.get_logger(__name__)


def born(output: Path) -> None:
    """What every process here does first: it ends with whoever started it, and says what it has to say in a file."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


async def _sweep(runtime: Runtime) -> None:
    """Lots expire and holds lapse as by the jobs, but more often than every minute."""
    while True:
        with suppress(DomainError, SQLAlchemyError):  # the database may be away
            await overdue.lapse(runtime, clock.now(), at_once=5)
            await overdue.expire(runtime, clock.now(), at_once=5)
        await asyncio.sleep(SWEEP_SECONDS)


def _serve(
    listener: socket.socket, settings: PointsSettings, jwks: dict[str, Any], output: Path, *, sweeps: bool
) -> None:
    born(output)
    configure_logging(level="warning", json=False)
    directory = Directory()
    directory.host("identity", JSONResponse(jwks))

    async def serve() -> None:
        app = create_app(settings, directory)
        sweeping = asyncio.create_task(_sweep(app.state.runtime)) if sweeps else None
        await uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).serve(sockets=[listener])
        assert not sweeping or sweeping.cancel(), "it sweeps for as long as it serves"

    asyncio.run(serve())


class Server:
    """One process of the service. Its port stays open while it is dead: callers wait, or lose their connection."""

    def __init__(self, settings: PointsSettings, jwks: dict[str, Any], output: Path, *, sweeps: bool) -> None:
        self._settings, self._jwks, self._output, self._sweeps = settings, jwks, output, sweeps
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start it; it need not answer yet."""
        arguments = (self._listener, self._settings, self._jwks, self._output)
        self._process = processes.Process(target=_serve, args=arguments, kwargs={"sweeps": self._sweeps})
        self._process.start()

    def wait_until_ready(self) -> None:
        """Return when it answers, and the database with it."""
        deadline = time.monotonic() + 90
        with httpx2.Client(base_url=self.url, trust_env=False, verify=False, timeout=30) as client:
            while True:
                with suppress(httpx2.HTTPError):
                    if client.get("/readyz").status_code == 200:
                        return
                assert self._process is not None
                assert self._process.is_alive(), f"it ended by itself:\n{self._output.read_text()[-4000:]}"
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def close(self) -> None:
        """Kill it for good."""
        self.kill()
        self._listener.close()

    @property
    def output(self) -> str:
        """What it has logged."""
        return self._output.read_text() if self._output.exists() else ""
