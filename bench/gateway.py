"""What the gateway costs: requests a second to a small service directly, through the gateway in process, and through
the gateway as a reverse proxy over the network.

Every server is a process of its own. Run with `python -m bench.gateway [--seconds 3]`; it takes about ten times that.
The ratios matter; the absolute numbers belong to the machine, which the load generator shares.
"""

import argparse
import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

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
        names = ("identity", "orders", "points")
        directory = Directory(dict.fromkeys(names, f"http://127.0.0.1:{service_port}"))
        if kind == "in process":
            for name in names:
                directory.host(name, service)
        app = create_app(GatewaySettings(keys_dir=keys_dir, **ENDLESS), directory)  # type: ignore[assignment,arg-type]
    options = {"proxy_headers": False, "server_header": False} if kind != "direct" else {}
    uvicorn.run(app, port=port, log_level="error", access_log=False, loop="uvloop", **options)  # type: ignore[arg-type]


@contextmanager
def running(kind: str, keys_dir: Path, service_port: int = 0) -> Iterator[int]:
    """One of the set-ups in a process of its own; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, keys_dir, port, service_port))
    process.start()
    try:
        _wait_for(port)
        yield port
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


async def load(port: int, seconds: float, token: str | None) -> float:
    """Requests a second that so many keep-alive connections get answered, without any HTTP client's own cost."""
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
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return done / (time.perf_counter() - started)


def measure(seconds: float) -> dict[str, float]:
    """Requests a second of each set-up, the best of three runs that take turns."""
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
            best = dict.fromkeys(cases, 0.0)
            for _ in range(3):
                for name, (port, bearer) in cases.items():
                    best[name] = max(best[name], asyncio.run(load(port, seconds, bearer)))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run")
    best = measure(parser.parse_args().seconds)
    for name, rate in best.items():
        print(f"{name:24}{rate:8.0f} requests a second   {rate / best['direct']:5.2f} of direct")


if __name__ == "__main__":
    main()
