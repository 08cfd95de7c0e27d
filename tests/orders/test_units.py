"""What the identity service tells of organisations is what reports are routed by."""

from typing import Any

import pytest

from chassis.core import keys
from chassis.core.ids import new_id
from chassis.core.tokens import ServiceTokens
from services.orders.places.tables import Unit
from tests.orders.neighbourhood import Neighbourhood


async def tell(hood: Neighbourhood, data: dict[str, Any], issuer: str = "identity") -> str:
    """Deliver one message as the relay of another service does; what became of it."""
    folder = hood.town.keys_dir
    tokens = ServiceTokens(issuer, keys.read_signing_key(folder, issuer), keys.read_trusted(folder))
    envelope = {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": f"/{issuer}",
        "type": "identity.organisation_recorded.v1",
        "subject": f"organisation/{data['id']}",
        "time": "2026-11-23T00:00:00Z",
        "data": data,
    }
    async with hood.client() as client:
        client.headers["Authorization"] = f"Bearer {tokens.issue('orders')}"
        answer = await client.post("/internal/messages", json=[envelope])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"][0]["outcome"])


def organisation(**over: Any) -> dict[str, Any]:
    return {
        "occurred_at": "2026-11-23T00:00:00Z",
        "id": str(new_id()),
        "name": "城市管理办公室",
        "kind": "section",
        "level": "subdistrict",
        "parent_id": None,
        "remit": ["P05"],
    } | over


async def test_a_section_that_identity_tells_of_receives_reports(hood: Neighbourhood) -> None:
    before = await hood.report(subitem_code="P0505")
    assert (await hood.detail(before))["unit"]["id"] == str(hood.subdistrict)
    section = organisation(parent_id=str(hood.subdistrict))
    assert await tell(hood, section) == "accepted"
    after = await hood.report(subitem_code="P0505")
    assert (await hood.detail(after))["unit"] == {"id": section["id"], "name": "城市管理办公室"}
    assert await tell(hood, section | {"remit": []}) == "accepted"
    again = await hood.report(subitem_code="P0505")
    assert (await hood.detail(again))["unit"]["id"] == str(hood.subdistrict)


async def test_a_child_told_of_before_its_parent_is_no_error(hood: Neighbourhood) -> None:
    section = organisation(parent_id=str(new_id()))
    assert await tell(hood, section) == "accepted"
    async with hood.db.transaction() as session:
        unit = await session.get_one(Unit, section["id"])
    assert (unit.kind, unit.remit, str(unit.parent_id)) == ("section", ["P05"], section["parent_id"])


@pytest.mark.parametrize("over", [{"level": "galaxy"}, {"name": "x" * 101}, {"remit": None}])
async def test_what_cannot_be_understood_is_refused_and_not_half_done(
    hood: Neighbourhood, over: dict[str, Any]
) -> None:
    section = organisation(**over)
    assert await tell(hood, section) == "refused"
    async with hood.db.transaction() as session:
        assert await session.get(Unit, section["id"]) is None


async def test_nobody_but_identity_tells_of_organisations(hood: Neighbourhood) -> None:
    assert await tell(hood, organisation(), issuer="points") == "refused"
