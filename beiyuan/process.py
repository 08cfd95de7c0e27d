"""Serving: one process with everything in it, or processes of one service each."""

import asyncio
import ctypes
import gc
import ipaddress
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from beiyuan.installation import InstallationError
from beiyuan.names import DEFAULT_PORTS
from chassis.core.settings import ProcessSettings
from chassis.core.telemetry import configure_logging

_GRACE_SECONDS = 10
_CHILD_STOP_SECONDS = 25
_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Uvicorn that ends on SIGINT and SIGTERM without raising them again, so that what surrounds it closes in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A listening socket. Raises InstallationError, naming the setting, where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InstallationError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Another program has it, or it is not allowed. "
            f"End that program, or choose another port with {setting}."
        ) from error
    listener.listen(_BACKLOG)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def refuse_public(host: str) -> None:
    """Raises InstallationError unless `host` is loopback.

    There is no way yet to send a sign-in code but to print it, and the demo town's code is known to everybody; neither
    may be met by the world. A reverse proxy on this machine, put there knowingly, is another matter.
    """
    if not is_loopback(host):
        raise InstallationError(
            f"{host} is a public address, and sign-in codes are but printed here (the demo town's is known to all). "
            "Set BEIYUAN_HOST=127.0.0.1."
        )


def address_of(url: str, process: str) -> tuple[str, int]:
    """Host and port that a service listens on, from its own address (`BEIYUAN_<SERVICE>_URL`)."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORTS[process]


def run(app: ASGIApp, listener: socket.socket, settings: ProcessSettings, *, inside: Sequence[FastAPI] = ()) -> None:
    """Serve `app` until SIGINT or SIGTERM; the lifespans of the services `inside` this process surround it."""
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            access_log=False,  # it would hold the residents' private links
            proxy_headers=False,  # the gateway decides whose X-Forwarded-For counts
            server_header=False,
            ws="none",
            timeout_keep_alive=15,
        )
    )

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for service in inside:
                await stack.enter_async_context(service.router.lifespan_context(service))
            collect_less_garbage()
            await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve())


def collect_less_garbage() -> None:
    """What was imported stays for good, so nobody need look through it again; and a batch of some thousand rows is no
    reason to look for cycles ten times. Measured: two fifths of what posting a batch costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def run_each(processes: Sequence[str]) -> int:
    """Run each as a process of its own until one ends or we are told to; then all end. Returns the exit code."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "beiyuan", "serve", name], preexec_fn=_die_with_parent, start_new_session=True
        )
        for name in processes
    ]
    stopping = False

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while not stopping and all(child.poll() is None for child in children):
        time.sleep(0.2)
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    codes = []
    for child in children:
        try:
            codes.append(child.wait(_CHILD_STOP_SECONDS))
        except subprocess.TimeoutExpired:
            child.kill()
            codes.append(child.wait())
    return 0 if stopping else next((code for code in codes if code), 1)


def _die_with_parent() -> None:
    """In the child: end when the parent does, however it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
