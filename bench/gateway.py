"""What the gateway costs: requests a second to a small service directly, through the gateway in process, and through
the gateway as a reverse proxy over the network; and the processor time that all servers together spend on one.

Every server is a process of its own. Run with `python -m bench.gateway [--seconds 3]`; it takes about fifteen times
that. The ratios matter; the absolute numbers belong to the machine, which the load generator shares. Processor time is
read from /proc, so it is shown on Linux only.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from beiyuan.names import SERVICES
from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.client import Directory
from chassis.core.ids import new_id
from chassis.core.runtime import JWKS_PATH
from chassis.core.tokens import encode_access_token
from gateway.app import create_app
from gateway.settings import GatewaySettings

CONNECTIONS = 32
ENDLESS = {"limit_on_loopback": 1_000_000_000}


class Sum(BaseModel):
    """What the small service adds up."""

    a: int
    b: int


def small_service(keys_dir: Path) -> FastAPI:
    """A service with one route, as fast as FastAPI is; it also publishes the keys that tokens are checked with."""
    app = FastAPI()
    key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]

    @app.post("/api/orders/sum")
    async def add(body: Sum) -> dict[str, int]:
        return {"sum": body.a + body.b}

    @app.get(JWKS_PATH)
    async def jwks() -> dict[str, object]:
        return {"keys": [key.as_dict(private=False)]}

    return app


def serve(kind: str, keys_dir: Path, port: int, service_port: int) -> None:
    """Serve one of the three set-ups until ended."""
    if kind == "direct":
        app = small_service(keys_dir)
    else:
        service = small_service(keys_dir)
        directory = Directory(dict.fromkeys(SERVICES, f"http://127.0.0.1:{service_port}"))
        if kind == "in process":
            for name in SERVICES:
                directory.host(name, service)
        app = create_app(GatewaySettings(keys_dir=keys_dir, **ENDLESS), directory)  # type: ignore[assignment,arg-type]
    options = {"proxy_headers": False, "server_header": False} if kind != "direct" else {}
    uvicorn.run(app, port=port, log_level="error", access_log=False, loop="uvloop", **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Server:
    """A running set-up: its port, and the processes that work for it."""

    port: int
    pids: tuple[int, ...]

    def processor_seconds(self) -> float:
        """Processor time spent so far."""
        return sum(_processor_seconds(pid) for pid in self.pids)


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(kind: str, keys_dir: Path, behind: Server | None = None) -> Iterator[Server]:
    """One of the set-ups in a process of its own, and the service `behind` it."""
    service_port = behind.port if behind else 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, keys_dir, port, service_port))
    process.start()
    try:
        _wait_for(port)
        assert process.pid is not None
        yield Server(port, (process.pid, *(behind.pids if behind else ())))
    finally:
        process.terminate()
        process.join()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server does not start")


class Rates(NamedTuple):
    """Requests a second, and microseconds of processor time a request."""

    a_second: float
    microseconds: float


async def load(server: Server, seconds: float, token: str | None) -> Rates:
    """What so many keep-alive connections get answered, without any HTTP client's own cost."""
    body = b'{"a":1,"b":2}'
    bearer = f"Authorization: Bearer {token}\r\n".encode() if token else b""
    request = (
        b"POST /api/orders/sum HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"%sContent-Length: %d\r\n\r\n%s" % (bearer, len(body), body)
    )
    done = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()

    started, spent = time.perf_counter(), server.processor_seconds()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    elapsed, spent = time.perf_counter() - started, server.processor_seconds() - spent
    return Rates(done / elapsed, spent / done * 1e6)


def measure(seconds: float) -> dict[str, Rates]:
    """Each set-up's best of three runs that take turns."""
    with tempfile.TemporaryDirectory() as folder:
        keys_dir = Path(folder)
        keys.create_key_files(keys_dir, processes=["gateway"], data_services=[])
        key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]
        token = encode_access_token(key, Actor(new_id(), frozenset({"resident"}), None, None, None), seconds=3600)
        with (
            running("direct", keys_dir) as direct,
            running("in process", keys_dir) as inside,
            running("network", keys_dir, direct) as network,
        ):
            cases = {
                "direct": (direct, None),
                "in process": (inside, None),
                "in process, signed in": (inside, token),
                "network": (network, None),
            }
            runs = [
                {name: asyncio.run(load(server, seconds, bearer)) for name, (server, bearer) in cases.items()}
                for _ in range(3)
            ]
    return {
        name: Rates(max(run[name].a_second for run in runs), min(run[name].microseconds for run in runs))
        for name in cases
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run")
    best = measure(parser.parse_args().seconds)
    for name, (rate, cost) in best.items():
        ratio = rate / best["direct"].a_second
        print(f"{name:24}{rate:7.0f} a second, {ratio:4.2f} of direct {cost:7.0f} µs of processor time each")


if __name__ == "__main__":
    main()
