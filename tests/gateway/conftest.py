"""A gateway with stand-ins behind it, in both of the ways that services can be reached."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import time_machine

from beiyuan.names import SERVICES
from chassis.core import keys
from chassis.core.client import Directory
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.standin import Gate, StandIn, serving

NOBODY = "http://127.0.0.1:1"
PATIENT = {"home_part_seconds": 60, "connect_seconds": 60}
"""No machine is so slow that this is over by itself."""
OpenGate = Callable[..., AbstractAsyncContextManager[Gate]]


@pytest.fixture(scope="session", params=["in process", "network"])
def way(request: pytest.FixtureRequest) -> str:
    """How the gateway reaches the services."""
    return str(request.param)


@pytest.fixture(scope="session")
async def _services(way: str, keys_dir: Path) -> AsyncIterator[tuple[dict[str, StandIn], dict[str, str]]]:
    """A stand-in for each service, and the URLs of those that are behind one."""
    signing_key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]
    services = {name: StandIn(name, signing_key) for name in SERVICES}
    async with AsyncExitStack() as stack:
        urls = {}
        for name, service in services.items() if way == "network" else ():
            urls[name] = f"http://127.0.0.1:{await stack.enter_async_context(serving(service))}"
        yield services, urls


@pytest.fixture(scope="session")
def open_gate(_services: tuple[dict[str, StandIn], dict[str, str]], keys_dir: Path) -> OpenGate:
    """Opens a gateway with the settings given; `absent` names services that cannot be reached."""
    services, urls = _services

    @asynccontextmanager
    async def opened(*, absent: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Gate]:
        configured = GatewaySettings(keys_dir=keys_dir, **(PATIENT | settings))
        directory = Directory({name: NOBODY if name in absent else url for name, url in urls.items()})
        for name, service in services.items():
            service.forget()
            if name not in urls and name not in absent:
                directory.host(name, service)
        app = create_app(configured, directory)
        async with (
            serving(app, proxy_headers=False, server_header=False) as port,
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=60
            ) as client,
        ):
            yield Gate(port, services, configured, client)

    return opened


@pytest.fixture
def mid_window() -> Iterator[None]:
    """Time stands still in the middle of a window of the limits, so that none begins anew amid a test's requests."""
    with time_machine.travel(1_800_000_030, tick=False):
        yield


@pytest.fixture(scope="session")
async def _usual_gate(open_gate: OpenGate) -> AsyncIterator[Gate]:
    async with open_gate() as opened:
        yield opened


@pytest.fixture
def gate(_usual_gate: Gate) -> Gate:
    """A gateway with the settings that it has by default."""
    _usual_gate.client.cookies.clear()
    for service in _usual_gate.services.values():
        service.forget()
    return _usual_gate
