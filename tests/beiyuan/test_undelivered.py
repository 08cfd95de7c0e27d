"""A message refused for ever, a job given up: what waits, what goes on, what the operator is told and can do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from beiyuan import deliveries, failed_jobs
from beiyuan.doctor import examine
from beiyuan.installation import AdminSettings, database_variable
from chassis.core import clock
from chassis.core.ids import new_id
from chassis.core.jobs import defer
from chassis.core.messages import publish
from services.orders.workflow.messages import OrderClaimed
from services.points.awards.tables import Fact
from tests.town import Town

AT = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


def claimed(order: UUID, **wrong: Any) -> OrderClaimed:
    """A claim; `wrong` puts in what the points service cannot take."""
    fact: dict[str, Any] = {
        "occurred_at": AT,
        "order_id": order,
        "number": "BY261102-000001",
        "claim_id": new_id(),
        "handler_id": uuid5(order, "handler"),
        "unit_id": uuid5(order, "unit"),
        "community": uuid5(order, "community"),
        "in_time": True,
    }
    return OrderClaimed.model_construct(**(fact | wrong))


async def send(town: Town, *facts: OrderClaimed) -> list[str]:
    """Publish the facts and let them flow; returns the messages' ids."""
    async with town.db("orders").transaction() as session:
        ids = [str(await publish(session, fact)) for fact in facts]
    await town.deliver()
    return ids


async def taken(town: Town) -> set[str]:
    """The orders that points has facts of."""
    async with town.db("points").transaction() as session:
        return {str(data["order_id"]) for data in await session.scalars(select(Fact.data))}


@pytest.fixture
def admin(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdminSettings:
    for service, url in town.database.service_urls.items():
        monkeypatch.setenv(database_variable(service), url)
    return AdminSettings(admin_database_url=SecretStr(town.database.admin_url), home=tmp_path, keys_dir=town.keys_dir)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_its_order_waits_the_others_go_on_and_the_doctor_says_so(town: Town, admin: AdminSettings) -> None:
    stuck, other = new_id(), new_id()
    [refused, waiting, _] = await send(town, claimed(stuck, claim_id="not an id"), claimed(stuck), claimed(other))
    assert await taken(town) == {str(other)}

    listed = {item.id: item.state for item in deliveries.undelivered(town.database.admin_url, "orders")}
    assert listed == {refused: "parked", waiting: "pending"}
    [told] = [finding for finding in examine(admin) if "refused by a subscriber" in finding.text]
    assert told.level == "bad"
    assert "of orders" in told.text
    assert "beiyuan messages" in told.remedy

    assert deliveries.retry(town.database.admin_url, "orders", []) == 1
    await town.deliver()
    assert deliveries.parked_count(town.database.admin_url, "orders") == 1

    assert deliveries.skip(town.database.admin_url, "orders", [refused]) == 1
    await town.deliver()
    assert await taken(town) == {str(stuck), str(other)}
    assert deliveries.undelivered(town.database.admin_url, "orders") == []
    assert not [finding for finding in examine(admin) if "refused by a subscriber" in finding.text]


async def test_skipping_without_naming_a_message_gives_up_nothing(town: Town) -> None:
    await send(town, claimed(new_id()))
    assert deliveries.skip(town.database.admin_url, "orders", []) == 0


async def test_a_job_that_was_given_up_is_told_by_the_doctor_with_what_to_do(town: Town, admin: AdminSettings) -> None:
    async with town.db("identity").transaction() as session:
        await defer(session, "chassis.forget", timestamp=0)
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'failed', queueing_lock = NULL"))
    [told] = [finding for finding in examine(admin) if "given up" in finding.text]
    assert told.level == "bad"
    assert told.text.startswith("1 job(s) of identity")
    assert "chassis.forget" in told.text
    assert "beiyuan jobs retry --service identity" in told.remedy

    assert failed_jobs.retry(town.database.admin_url, "identity", [-1]) == 0
    [job] = failed_jobs.failed_jobs(town.database.admin_url, "identity")
    assert failed_jobs.retry(town.database.admin_url, "identity", [job.id]) == 1
    assert not [finding for finding in examine(admin) if "given up" in finding.text]


@pytest.mark.parametrize(
    ("minutes", "level", "words"),
    [(5, "bad", "ahead of"), (-5, "note", "behind"), (0, "ok", "agrees with")],
    ids=["ahead", "behind", "right"],
)
async def test_a_machine_whose_clock_is_off_is_told_by_the_doctor(
    admin: AdminSettings, monkeypatch: pytest.MonkeyPatch, minutes: int, level: str, words: str
) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(minutes=minutes))
    [told] = [finding for finding in examine(admin) if "This machine's clock" in finding.text]
    assert (told.level, words in told.text, bool(told.remedy)) == (level, True, level != "ok")
