"""What the gateway costs: requests a second to a small service directly, through the gateway in process, and through
the gateway as a reverse proxy over the network; and the processor time that all servers together spend on one.

Every server is a process of its own. Run with `python -m bench.gateway [--seconds 3]`; it takes about fifteen times
that. The ratios matter; the absolute numbers belong to the machine, which the load generator shares. Processor time is
read from /proc, so it is shown on Linux only.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from beiyuan.names import SERVICES
from bench.load import Rates, Server, load, request, running
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


def serve(port: int, kind: str, keys_dir: Path, service_port: int = 0) -> None:
    """Serve one of the three set-ups until ended."""
    if kind == "direct":
        app = small_service(keys_dir)
    else:
        service = small_service(keys_dir)
        directory = Directory(dict.fromkeys(SERVICES, f"http://127.0.0.1:{service_port}"))
        if kind == "in process":
            for name in SERVICES:
                directory.host(name, service)
        app = create_app(GatewaySettings(keys_dir=keys_dir, **ENDLESS), directory)  # type: ignore[assignment,arg-type]  # ASGI all the same
    options = {"proxy_headers": False, "server_header": False} if kind != "direct" else {}
    uvicorn.run(app, port=port, log_level="error", access_log=False, loop="uvloop", **options)  # type: ignore[arg-type]  # bools


async def add(server: Server, seconds: float, token: str | None) -> Rates:
    """How often the small service adds up two numbers."""
    line = request("POST", "/api/orders/sum", b'{"a":1,"b":2}', token=token)
    return await load(server, seconds, lambda: line, connections=CONNECTIONS)


def measure(seconds: float) -> dict[str, Rates]:
    """Each set-up's best of three runs that take turns."""
    with tempfile.TemporaryDirectory() as folder:
        keys_dir = Path(folder)
        keys.create_key_files(keys_dir, processes=["gateway"], data_services=[])
        key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]
        token = encode_access_token(key, Actor(new_id(), frozenset({"resident"}), None, None, None), seconds=3600)
        with (
            running(serve, "direct", keys_dir) as direct,
            running(serve, "in process", keys_dir) as inside,
            running(serve, "network", keys_dir, direct.port, behind=direct) as network,
        ):
            cases = {
                "direct": (direct, None),
                "in process": (inside, None),
                "in process, signed in": (inside, token),
                "network": (network, None),
            }
            runs = [
                {name: asyncio.run(add(server, seconds, bearer)) for name, (server, bearer) in cases.items()}
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
