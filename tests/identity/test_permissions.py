"""Who may call what: every route of the service against the table of permissions."""

import csv
from pathlib import Path

import pytest

from tests.identity.service import Identity
from tests.town import Town, actor

TABLE = Path(__file__).parent.parent / "contracts" / "permissions-identity.csv"
with TABLE.open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


async def test_every_route_stands_in_the_table_and_every_row_is_a_route(identity: Identity) -> None:
    routes = {
        (method, path)
        for path, operations in identity.app.openapi()["paths"].items()
        for method in (name.upper() for name in operations)
    }
    assert routes == {(row["method"], row["path"]) for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row['path']}")
async def test_each_role_may_call_what_the_table_says(
    identity: Identity, empty_town: Town, row: dict[str, str]
) -> None:
    expected = {role: cell for role, cell in row.items() if role not in {"method", "path"}}
    found = {}
    for role in expected:
        who = None if role == "anonymous" else actor(role, id=await identity.record_person("某人"))
        async with empty_town.client("identity", who) as client:
            answer = await client.request(row["method"], row["path"], json={} if row["method"] == "POST" else None)
        found[role] = str(answer.status_code) if answer.status_code in {401, 403} else "yes"
    assert found == expected
