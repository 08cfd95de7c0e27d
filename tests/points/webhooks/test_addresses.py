"""As an installation is unless configured otherwise: webhooks lead into the public internet or nowhere."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from chassis.core import clock
from services.points.webhooks.tables import WebhookEndpoint
from tests.points.conftest import Points, service_on
from tests.points.webhooks.conftest import NOON, Merchant, PostOffice
from tests.receiver import Receiver
from tests.town import TestDatabase


@pytest.fixture(scope="module")
async def points(
    shared_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    async with service_on(shared_database, keys_dir, tmp_path_factory.mktemp("points")) as service:
        yield service


@pytest.mark.parametrize(
    "url", ["http://shop.example.org/", "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/latest"]
)
async def test_an_address_inside_is_not_taken_neither_first_nor_later(merchant: Merchant, url: str) -> None:
    made = await merchant.ask("POST", body={"merchant_id": str(merchant.id), "url": url})
    endpoint = await merchant.endpoint("https://shop.example.org/hooks")
    changed = await merchant.ask("PATCH", f"/{endpoint['id']}", {"url": url})
    for answer in (made, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_not_acceptable")
        assert [each["name"] for each in answer.json()["errors"]] == ["body.url"]
    assert (await merchant.shown(endpoint))["url"] == "https://shop.example.org/hooks"


async def test_a_host_that_turns_out_to_be_inside_is_never_connected_to(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    """Its name was public when it was looked at, and is not when it is called: the call counts."""

    async def rebound(host: str) -> Sequence[str]:
        return ["127.0.0.1"]

    url = f"https://shop.example.org:{receiver.port}/hooks"
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(url)
        await office.announce(merchant.told())
        await office.courier(local_addresses=False, resolve=rebound).send_all()
    [tried] = (await merchant.delivery(endpoint))["tries"]
    assert (tried["failure"], tried["status"]) == ("address", None)
    assert receiver.connections == 0


async def test_an_address_inside_that_stands_in_the_database_anyway_is_not_called(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    """It was taken while that was configured, say."""
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint("https://shop.example.org/")
        async with office.db.transaction() as session:
            rows = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint["id"])
            await session.execute(rows.values(url=receiver.url()))
        await office.announce(merchant.told())
        await office.courier(local_addresses=False).send_all()
    [tried] = (await merchant.delivery(endpoint))["tries"]
    assert tried["failure"] == "address"
    assert receiver.connections == 0
