"""The orders service alone; of identity there is only what publishes its keys and knows phones."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chassis.core import keys
from tests.orders.neighbourhood import Neighbourhood
from tests.town import TestDatabase, Town, copy_of


class Identity:
    """What orders asks identity: its public keys, and whose a phone is (`people`: phone → person)."""

    def __init__(self, keys_dir: Path) -> None:
        signing = keys.read_signing_keys(keys_dir / "access-tokens.json")
        self.jwks = {"keys": [key.as_dict(private=False) for key in signing]}
        self.people: dict[str, str] = {}
        self.down = False
        self.app = Starlette(
            routes=[
                Route("/api/identity/.well-known/jwks.json", self._keys),
                Route("/internal/people/by-phone", self._by_phone, methods=["POST"]),
            ]
        )

    async def _keys(self, request: Request) -> JSONResponse:
        return JSONResponse(self.jwks)

    async def _by_phone(self, request: Request) -> JSONResponse:
        if self.down:
            return JSONResponse({}, 503)
        person = self.people.get((await request.json())["phone"])
        return JSONResponse({"person_id": person, "household_id": None})


@asynccontextmanager
async def orders_on(
    database: TestDatabase, keys_dir: Path, home: Path, **settings: Any
) -> AsyncIterator[tuple[Town, Identity]]:
    """The orders service on a database."""
    town, identity = Town(database, keys_dir, home), Identity(keys_dir)
    town.directory.host("identity", identity.app)
    try:
        await town.start("orders", **settings)
        yield town, identity
    finally:
        await town.close()


@pytest.fixture(scope="session")
def orders_database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for all tests of a neighbourhood of their own."""
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="session")
async def orders_town(
    orders_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Town, Identity]]:
    """The service that tests share. Good answers by link all close their order: who is drawn is tested by itself."""
    home = tmp_path_factory.mktemp("orders")
    async with orders_on(orders_database, keys_dir, home, link_check_share=0) as started:
        yield started


@pytest.fixture
def identity(orders_town: tuple[Town, Identity]) -> Identity:
    """What stands in for the identity service."""
    return orders_town[1]


@pytest.fixture
async def hood(orders_town: tuple[Town, Identity]) -> Neighbourhood:
    """A neighbourhood of the test's own."""
    hood = Neighbourhood(orders_town[0])
    await hood.settle()
    return hood


@pytest.fixture
async def hood_with(orders_database: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """`await hood_with(setting=value)`: a neighbourhood whose service has settings of its own."""
    contexts = []

    async def start(**settings: Any) -> Neighbourhood:
        context = orders_on(orders_database, keys_dir, tmp_path, **settings)
        town, _ = await context.__aenter__()
        contexts.append(context)
        hood = Neighbourhood(town)
        await hood.settle()
        return hood

    yield start
    for context in contexts:
        await context.__aexit__(None, None, None)
