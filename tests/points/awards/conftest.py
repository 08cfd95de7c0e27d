"""Rules made as administrators make them, and what replaying says."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards import replay as replaying
from services.points.awards.replay import Difference, replay
from tests.points.conftest import Points, service_on
from tests.town import TestDatabase, actor, copy_of

RULES = "/api/points/rules"
DRAFTER, APPROVER = actor("administrator"), actor("administrator")

MEET: dict[str, Any] = {
    "code": "order.meet",
    "name": "Met the resident on site",
    "name_zh": "见面",
    "ledger": "staff",
    "owner_kind": "person",
    "fact_type": "orders.order_met.v1",
    "condition": 'mode == "on_site"',
    "amount": "5",
    "credited": {"person": "handler_id", "unit": "unit_id", "community": "community"},
}
HOURS: dict[str, Any] = {
    "code": "volunteer.hour",
    "name": "A verified hour of volunteering",
    "name_zh": "志愿时长",
    "ledger": "civic",
    "owner_kind": "household",
    "fact_type": "events.attendance_verified.v1",
    "condition": "minutes > 0",
    "amount": "12 * minutes / 60",
    "credited": {"person": "person_id", "household": "household_id"},
    "cap": {"points": 48, "period": "day", "scope": "person"},
}


class Rules:
    """The rules over HTTP."""

    def __init__(self, points: Points) -> None:
        self.points = points

    async def post(self, who: Actor | None, path: str, body: Any = None) -> httpx2.Response:
        async with self.points.client(who) as client:
            return await client.post(f"{RULES}{path}", json=body)

    async def draft(self, rule: dict[str, Any], who: Actor = DRAFTER) -> dict[str, Any]:
        answer = await self.post(who, "", rule)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def approve(self, version: dict[str, Any], who: Actor = APPROVER) -> dict[str, Any]:
        answer = await self.post(who, f"/{version['code']}/versions/{version['version']}/approve")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def make(self, rule: dict[str, Any], at: datetime) -> dict[str, Any]:
        """Draft a version and approve it at a moment, to take effect then unless it says later."""
        with clock.frozen(at):
            return await self.approve(await self.draft(rule))

    async def listed(self, who: Actor) -> list[dict[str, Any]]:
        async with self.points.client(who) as client:
            answer = await client.get(RULES, params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])


def differences(points: Points) -> list[Difference]:
    """What a replay of everything says, in small parts."""
    url = points.town.database.url("points")
    return [found for part in replay(url) for found in part.differences]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays go in parts of three facts, so that what matters falls between them."""
    monkeypatch.setattr(replaying, "PART", 3)


@pytest.fixture(scope="module")
async def shared(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """A service of the module's own."""
    with copy_of(migrated) as database:
        async with service_on(database, keys_dir, tmp_path_factory.mktemp("points")) as service:
            yield service


@pytest.fixture
def rules(own_points: Points) -> Rules:
    """The rules of a service of the test's own."""
    return Rules(own_points)
