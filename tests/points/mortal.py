"""The points service as a process that can be told at which step of a request to die."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import time
from multiprocessing.context import ForkServerProcess
from typing import Any

import httpx2
import psycopg
import uvicorn
from starlette.responses import JSONResponse

from chassis.core.client import Directory
from chassis.core.telemetry import configure_logging
from services.points.app import create_app
from services.points.settings import PointsSettings
from tests.town import trust_platform_keys

PR_SET_PDEATHSIG = 1
DIES = "X-Dies"
"""Header of a request that its process shall not survive: so many exchanges with the database, or `answering`."""
ANSWERING = "answering"

processes = multiprocessing.get_context("forkserver")  # it imports the service once, and then only forks
processes.set_forkserver_preload(["tests.points.mortal"])
trust_platform_keys()


class Mortal:
    """Counts the steps of a doomed request and kills the process at the one that was named."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.steps_left: int | None = None
        exchange = psycopg.AsyncConnection.wait

        async def wait(connection: psycopg.AsyncConnection[Any], *arguments: Any, **named: Any) -> Any:
            self._step()
            return await exchange(connection, *arguments, **named)

        psycopg.AsyncConnection.wait = wait  # type: ignore[assignment, method-assign]  # all goes by here, COPY and COMMIT too

    def _step(self) -> None:
        if self.steps_left is None:
            return
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps_left -= 1

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fate = dict(scope.get("headers", ())).get(DIES.lower().encode(), b"").decode()

        async def send_or_die(message: Any) -> None:
            if fate == ANSWERING:
                os.kill(os.getpid(), signal.SIGKILL)
            self.steps_left = None
            await send(message)

        if fate.isdecimal():
            self.steps_left = int(fate)
        await self.app(scope, receive, send_or_die)


def _serve(listener: socket.socket, settings: PointsSettings, jwks: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    configure_logging(level="warning", json=False)
    directory = Directory()
    directory.host("identity", JSONResponse(jwks))
    # It hangs up when it dies, never of its own accord.
    config = uvicorn.Config(
        Mortal(create_app(settings, directory)), log_config=None, access_log=False, timeout_keep_alive=3600
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


class MortalService:
    """The service, started again whenever it has died. The port stays open meanwhile: callers wait, none is refused."""

    def __init__(self, settings: PointsSettings, jwks: dict[str, Any]) -> None:
        self._settings, self._jwks = settings, jwks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._client = httpx2.Client(base_url=self.url, trust_env=False, verify=False, timeout=180)
        self._process: ForkServerProcess | None = None
        self.deaths = 0

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = processes.Process(target=_serve, args=(self._listener, self._settings, self._jwks))
        self._process.start()
        deadline = time.monotonic() + 300
        while True:
            try:
                if self._client.get("/healthz").status_code < 500:
                    return
            except httpx2.HTTPError:
                pass
            assert self._process.is_alive(), "it ended by itself"
            assert time.monotonic() < deadline, "it does not answer"

    def request(self, method: str, path: str, *, dies: str = "", **content: Any) -> httpx2.Response | None:
        """The answer, or None if the process died of it; then it has been started again."""
        assert self._process is not None
        headers = content.pop("headers", {}) | ({DIES: dies} if dies else {})
        try:
            return self._client.request(method, path, headers=headers, **content)
        except httpx2.TransportError:
            self._process.join(180)
            assert self._process.exitcode == -signal.SIGKILL
            self.deaths += 1
            self.start()
            return None

    def close(self) -> None:
        """Kill it for good."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._client.close()
        self._listener.close()
