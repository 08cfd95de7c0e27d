"""Who may call what: every route of every service, asked by every role and by nobody, against the tables here."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from beiyuan.names import SERVICES
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.identity.people.actions import record_person
from tests.town import ROLES, Town, actor

FOLDER = Path(__file__).parent
METHODS = {"get", "post", "put", "patch", "delete"}


class Row(NamedTuple):
    """One route of the table: what each role may expect of it."""

    method: str
    path: str
    expected: dict[str, str]


def table(name: str) -> list[Row]:
    """The rows of `permissions-<name>.csv`."""
    with (FOLDER / f"permissions-{name}.csv").open(encoding="utf-8", newline="") as file:
        return [Row(row.pop("method"), row.pop("path"), row) for row in csv.DictReader(file)]


async def somebody(town: Town, role: str) -> Actor:
    """A person who holds this role and is known to identity."""
    runtime = town.runtime("identity")
    person_id = new_id()
    async with runtime.db.transaction() as session:
        await record_person(session, runtime.vault, person_id, name=role)
    return actor(role, id=person_id, organisation_id=new_id(), level=None if role == "resident" else "community")


def filled(path: str) -> str:
    """A path with something in the place of each parameter that fits its form but names nothing."""
    return re.sub(r"\{[^}]*\}", str(UUID(int=7)), path)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_stands_in_the_table_and_the_table_holds_no_other(town: Town, service: str) -> None:
    paths = town.apps[service].openapi()["paths"]
    routes = {(method.upper(), path) for path, item in paths.items() for method in item if method in METHODS}
    rows = [(row.method, row.path) for row in table(service)]
    assert sorted(rows) == sorted(routes)


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_is_let_in_or_kept_out_other_than_the_table_says(town: Town, service: str) -> None:
    wrong = []
    people = {role: await somebody(town, role) for role in ROLES}
    for row in table(service):
        for role, expected in row.expected.items():
            who = people.get(role)
            async with town.client(service, who) as client:
                answer = await client.request(row.method, filled(row.path))
            outcome = str(answer.status_code) if answer.status_code in {401, 403} else "yes"
            if outcome != expected or answer.status_code >= 500:
                wrong.append(f"{row.method} {row.path} by {role}: {answer.status_code}, the table says {expected}")
    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
async def test_internal_routes_take_no_persons_token(town: Town, service: str) -> None:
    internal = [route for route in _routes(town.apps[service].routes) if route.path.startswith("/internal")]
    assert internal
    for route in internal:
        for who in (None, actor("administrator")):
            async with town.client(service, who) as client:
                answer = await client.request(min(route.methods or {"POST"}), filled(route.path), json=[])
            assert answer.status_code == 401, route.path


def _routes(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif router := getattr(route, "original_router", None):
            yield from _routes(router.routes)
