"""Who may call the gateway's own pages: everybody, with or without a sign-in. The services decide on the rest."""

from starlette.routing import Route

from chassis.core.client import Directory
from gateway.app import create_app
from tests.contracts.test_permissions import filled, table
from tests.gateway.standin import Gate
from tests.town import actor


async def test_every_page_of_the_gateway_stands_in_the_table_and_answers_as_it_says(gate: Gate) -> None:
    rows = table("gateway")
    pages = [route for route in create_app(gate.settings, Directory()).site.routes if isinstance(route, Route)]
    routes = {(method, page.path) for page in pages for method in page.methods or () if method != "HEAD"}
    assert sorted((row.method, row.path) for row in rows) == sorted(routes)
    wrong = []
    for row in rows:
        for role, expected in row.expected.items():
            headers = {} if role == "anonymous" else {"Authorization": f"Bearer {gate.token(actor(role))}"}
            answer = await gate.client.request(row.method, filled(row.path), headers=headers)
            outcome = str(answer.status_code) if answer.status_code in {401, 403} else "yes"
            if outcome != expected:
                wrong.append(f"{row.method} {row.path} by {role}: {answer.status_code}, the table says {expected}")
    assert wrong == []
