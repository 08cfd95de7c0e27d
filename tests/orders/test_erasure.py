"""Whoever deletes their account is erased from their reports, and the cases go on without them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select

from chassis.core import clock, keys
from chassis.core.ids import new_id
from chassis.core.tokens import ServiceTokens
from services.orders.intake.jobs import find_reporter
from services.orders.intake.tables import Report
from tests.orders.conftest import Identity
from tests.orders.neighbourhood import Neighbourhood
from tests.town import actor, new_phone

NAME = "张三丰"


async def tell(hood: Neighbourhood, person_id: object, issuer: str = "identity") -> str:
    """Deliver the news that somebody deleted their account; what became of it."""
    folder = hood.town.keys_dir
    tokens = ServiceTokens(issuer, keys.read_signing_key(folder, issuer), keys.read_trusted(folder))
    envelope = {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": f"/{issuer}",
        "type": "identity.person_deleted.v1",
        "subject": f"person/{person_id}",
        "time": "2026-11-23T00:00:00Z",
        "data": {"occurred_at": "2026-11-23T00:00:00Z", "person_id": str(person_id)},
    }
    async with hood.client() as client:
        client.headers["Authorization"] = f"Bearer {tokens.issue('orders')}"
        answer = await client.post("/internal/messages", json=[envelope])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"][0]["outcome"])


async def row_of(hood: Neighbourhood, report: dict[str, Any]) -> Report:
    async with hood.db.transaction() as session:
        return (await session.scalars(select(Report).where(Report.order_id == UUID(report["id"])))).one()


async def has_contact(hood: Neighbourhood, report: dict[str, Any]) -> bool:
    row = await row_of(hood, report)
    found = {row.name_sealed is None, row.phone_sealed is None, row.phone_fingerprint is None}
    assert len(found) == 1
    return found == {False}


async def contact(hood: Neighbourhood, report: dict[str, Any], who: Any) -> dict[str, Any]:
    answer = await hood.get(f"/{report['id']}/contact", who)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


async def called_in_vain(hood: Neighbourhood, report: dict[str, Any]) -> tuple[str, str]:
    """The call-back agents have nobody to call: a try on each of three days, and what became of the order."""
    for days in (1, 2, 3):
        with clock.frozen(datetime.now(UTC) + timedelta(days=days)):
            order = await hood.act(report, "callback", hood.agent, contacted=False)
    return order["state"], order["closed_why"]


async def test_the_contact_of_every_report_of_theirs_is_gone_and_of_nobody_elses(hood: Neighbourhood) -> None:
    neighbour = actor("resident", household_id=new_id())
    own = [await hood.report(hood.resident), await hood.report(hood.resident, qr_code=hood.building_code)]
    others = [await hood.report(neighbour), await hood.report()]
    assert await tell(hood, hood.resident.id) == "accepted"
    assert [await has_contact(hood, report) for report in own] == [False, False]
    assert [await has_contact(hood, report) for report in others] == [True, True]


async def test_the_case_stays_and_is_handled_to_its_end_without_them(hood: Neighbourhood) -> None:
    report = await hood.claimed()
    row = await row_of(hood, report)
    async with hood.db.transaction() as session:
        (await session.get_one(Report, row.id)).reporter_id = hood.resident.id
    assert await tell(hood, hood.resident.id) == "accepted"
    read = await contact(hood, report, hood.handler)
    assert (read["name"], read["phone"], read["description"]) == (None, None, "电梯门关不上")
    await hood.work(report)
    assert (await contact(hood, report, hood.agent))["phone"] is None
    tracked = await hood.track(report)
    assert (tracked["name"], tracked["phone"], tracked["state"]) == (None, None, "resolved")
    assert await called_in_vain(hood, report) == ("closed", "unreachable")


async def test_the_private_link_still_answers_for_a_case_whose_contact_is_gone(hood: Neighbourhood) -> None:
    report = await hood.report(hood.resident)
    await hood.act(report, "claim", hood.handler)
    await hood.work(report)
    assert await tell(hood, hood.resident.id) == "accepted"
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")


async def test_an_answer_that_waits_to_be_checked_by_phone_does_not_wait_for_ever(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(link_check_share=1)
    report = await hood.report(hood.resident)
    await hood.act(report, "claim", hood.handler)
    await hood.work(report)
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert answer.json()["awaits_check"] is True
    assert await tell(hood, hood.resident.id) == "accepted"
    assert (await called_in_vain(hood, report))[0] == "closed"


async def test_a_report_that_was_theirs_by_the_phone_alone_is_erased_too(
    hood: Neighbourhood, identity: Identity
) -> None:
    phone, person_id = new_phone(), str(new_id())
    report = await hood.report(contact={"name": NAME, "phone": phone})
    identity.people[phone] = person_id
    await find_reporter(hood.runtime, report_id=str((await row_of(hood, report)).id))
    assert await tell(hood, person_id) == "accepted"
    assert not await has_contact(hood, report)
    assert str((await row_of(hood, report)).reporter_id) == person_id


async def test_an_account_deleted_while_its_report_is_being_found_leaves_nothing_behind(
    hood: Neighbourhood, identity: Identity, monkeypatch: Any
) -> None:
    phone, person_id = new_phone(), str(new_id())
    report = await hood.report(contact={"name": NAME, "phone": phone})
    identity.people[phone] = person_id
    original = httpx2.AsyncClient.request

    async def answered_too_late(self: Any, *args: Any, **kwargs: Any) -> Any:
        """The account is deleted, and we are told, while identity's answer is on its way."""
        answer = await original(self, *args, **kwargs)
        if "/internal/people/by-phone" in args and phone in identity.people:
            del identity.people[phone]
            assert await tell(hood, person_id) == "accepted"
        return answer

    monkeypatch.setattr(httpx2.AsyncClient, "request", answered_too_late)
    await find_reporter(hood.runtime, report_id=str((await row_of(hood, report)).id))
    assert not await has_contact(hood, report)


async def test_being_told_twice_or_of_somebody_unknown_is_no_error(hood: Neighbourhood) -> None:
    report = await hood.report(hood.resident)
    told = await asyncio.gather(*(tell(hood, hood.resident.id) for _ in range(3)), tell(hood, new_id()))
    assert set(told) == {"accepted"}
    assert not await has_contact(hood, report)


async def test_nobody_but_identity_says_who_is_to_be_erased(hood: Neighbourhood) -> None:
    report = await hood.report(hood.resident)
    assert await tell(hood, hood.resident.id, issuer="points") == "refused"
    assert await has_contact(hood, report)
