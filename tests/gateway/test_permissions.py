"""Who may call the gateway's own pages: everybody, except the first screen. The services decide on the rest."""

import httpx2
from starlette.routing import Route

from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.contracts.test_permissions import filled, somebody, table
from tests.town import ROLES, Town


async def test_every_page_of_the_gateway_stands_in_the_table_and_answers_as_it_says(town: Town) -> None:
    app = create_app(GatewaySettings(keys_dir=town.keys_dir), town.directory)
    pages = [route for route in app.site.routes if isinstance(route, Route)]
    rows = table("gateway")
    routes = {(method, page.path) for page in pages for method in page.methods or () if method != "HEAD"}
    assert sorted((row.method, row.path) for row in rows) == sorted(routes)
    people = {role: await somebody(town, role) for role in ROLES}
    wrong = []
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://town.test") as client:
        for row in rows:
            for role, expected in row.expected.items():
                headers = {"Authorization": f"Bearer {town.token(people[role])}"} if role in people else {}
                answer = await client.request(row.method, filled(row.path), headers=headers)
                outcome = str(answer.status_code) if answer.status_code in {401, 403} else "yes"
                if outcome != expected or answer.status_code >= 500:
                    wrong.append(f"{row.method} {row.path} by {role}: {answer.status_code}, the table says {expected}")
    assert wrong == []
