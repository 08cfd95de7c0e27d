"""Games people play (DOMAIN's last section), as far as they are played with orders."""

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.orders.intake import actions as intake
from services.orders.intake.clients import PersonFound
from services.orders.intake.jobs import find_reporter
from services.orders.intake.tables import Report
from services.orders.terms import State
from services.orders.workflow.queries import lock_order
from tests.orders.conftest import Identity
from tests.orders.neighbourhood import RUDE, Neighbourhood, at
from tests.orders.test_handling import refused
from tests.town import actor, new_phone

GOOD = {"contacted": True, "solved": True, "satisfied": "satisfied"}


async def run_jobs(hood: Neighbourhood, report: dict[str, Any]) -> None:
    """Do what the job of this report would do."""
    async with hood.db.transaction() as session:
        report_id = (await session.scalars(select(Report.id).where(Report.order_id == UUID(report["id"])))).one()
    await find_reporter(hood.runtime, report_id=str(report_id))


async def test_nobody_answers_the_call_back_on_their_own_work(hood: Neighbourhood) -> None:
    both = hood.staff("handler", hood.company, "property", "callback_agent")
    report = await hood.claimed(both)
    await hood.work(report, both)
    assert (await refused(hood, report, "callback", both, 403, **GOOD))["code"] == "own_callback"


async def test_nobody_who_ever_handled_the_order_answers_its_call_back(hood: Neighbourhood) -> None:
    both = hood.staff("handler", hood.company, "property", "callback_agent")
    report = await hood.claimed(both)
    await hood.act(report, "release", both, reason="换人")
    await hood.act(report, "claim", hood.handler)
    await hood.work(report)
    assert (await refused(hood, report, "callback", both, 403, **GOOD))["code"] == "own_callback"
    assert (await hood.get(f"/{report['id']}/contact", both)).json()["code"] == "own_callback"


async def test_nobody_answers_the_call_back_on_what_they_reported_or_entered(hood: Neighbourhood) -> None:
    entered = await hood.report(hood.agent)
    own = await hood.report(hood.agent, source="app")
    for report in (entered, own):
        await hood.act(report, "claim", hood.handler)
        await hood.work(report)
        assert (await refused(hood, report, "callback", hood.agent, 403, **GOOD))["code"] == "own_callback"


async def test_nobody_claims_what_they_reported_or_entered(hood: Neighbourhood) -> None:
    for source in ("app", "staff"):
        report = await hood.report(hood.handler, source=source)
        assert (await refused(hood, report, "claim", hood.handler, 403))["code"] == "own_report"
        await hood.act(report, "claim", hood.colleague)


async def test_a_handler_who_reports_through_the_code_is_found_out_by_the_phone(
    hood: Neighbourhood, identity: Identity
) -> None:
    phone = new_phone()
    identity.people[phone] = str(hood.handler.id)
    report = await hood.report(contact={"phone": phone})
    await run_jobs(hood, report)
    assert (await refused(hood, report, "claim", hood.handler, 403))["code"] == "own_report"


async def test_a_handler_who_was_quicker_than_that_cannot_confirm_and_does_not_score(
    hood: Neighbourhood, identity: Identity
) -> None:
    phone = new_phone()
    identity.people[phone] = str(hood.handler.id)
    report = await hood.claimed(contact={"phone": phone})
    await run_jobs(hood, report)
    await hood.work(report)
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (answer.status_code, answer.json()["code"]) == (403, "own_callback")
    assert (await hood.call(report))["state"] == "closed"
    facts = await hood.messages(report)
    assert [name for name, _ in facts] == ["order_claimed", "order_met", "claim_released", "meeting_withdrawn"]
    assert facts[2][1]["claim_id"] == facts[0][1]["claim_id"]
    assert facts[3][1]["meeting_id"] == facts[1][1]["meeting_id"]


async def test_the_phone_is_asked_about_in_the_transaction_of_the_report_and_again_if_identity_is_down(
    hood: Neighbourhood, identity: Identity
) -> None:
    report = await hood.report()
    signed_in = await hood.report(hood.resident)
    async with hood.db.transaction() as session:
        rows = await session.scalars(select(Report.id).where(Report.order_id.in_([UUID(report["id"])])))
        [asked] = rows.all()
    tasks = await jobs_of(hood, str(asked))
    assert tasks == ["orders.find_reporter"]
    assert signed_in["tracking_url"]
    identity.down = True
    try:
        failed = await asyncio.gather(find_reporter(hood.runtime, report_id=str(asked)), return_exceptions=True)
    finally:
        identity.down = False
    assert failed[0] is not None  # so that the queue tries again


async def jobs_of(hood: Neighbourhood, report_id: str) -> list[str]:
    jobs = await hood.runtime.jobs.job_manager.list_jobs_async()
    return [job.task_name for job in jobs if job.task_kwargs.get("report_id") == report_id]


async def test_an_account_that_is_known_is_never_replaced_by_what_a_phone_says(hood: Neighbourhood) -> None:
    report = await hood.report(hood.resident)
    async with hood.db.transaction() as session:
        row = (await session.scalars(select(Report).where(Report.order_id == UUID(report["id"])))).one()
        await intake.record_reporter(session, row.id, PersonFound(person_id=hood.handler.id, household_id=None))
        assert row.reporter_id == hood.resident.id


async def test_claiming_and_releasing_earns_nothing_since_every_claim_is_taken_back(hood: Neighbourhood) -> None:
    report = await hood.report()
    for _ in range(3):
        await hood.act(report, "claim", hood.handler)
        await hood.act(report, "release", hood.handler, reason="反复")
    facts = await hood.messages(report)
    assert [name for name, _ in facts] == ["order_claimed", "claim_released"] * 3
    claimed = [data["claim_id"] for name, data in facts if name == "order_claimed"]
    released = [data["claim_id"] for name, data in facts if name == "claim_released"]
    assert claimed == released
    assert len(set(claimed)) == 3


async def test_one_fault_is_one_order_however_often_it_is_reported(hood: Neighbourhood) -> None:
    contact = {"name": "李四", "phone": new_phone()}
    first = await hood.report(contact=contact)
    for _ in range(3):
        again = await hood.send_report(contact=contact | {"phone": f"+86 {contact['phone']}"})
        assert (again.status_code, again.json()["code"]) == (409, "already_reported")
        assert first["number"] in again.json()["detail"]
    await hood.report(contact=contact, qr_code=hood.building_code)  # elsewhere
    await hood.report(contact=contact, subitem_code="P0105")  # something else
    await hood.report(contact=contact | {"phone": new_phone()})  # somebody else
    await hood.by_link(first, "withdraw", reason="好了")
    await hood.report(contact=contact)


async def test_of_two_equal_reports_at_the_same_moment_one_is_taken(hood: Neighbourhood) -> None:
    contact = {"phone": new_phone()}
    answers = await asyncio.gather(*(hood.send_report(contact=contact) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


async def test_without_a_phone_the_same_device_or_account_is_the_same_reporter(hood: Neighbourhood) -> None:
    await hood.report(contact=None, device="198.51.100.7")
    assert (await hood.send_report(contact=None, device="198.51.100.7")).status_code == 409
    await hood.report(contact=None, device="198.51.100.8")
    await hood.report(hood.resident, contact=None, subitem_code="P0105")
    assert (await hood.send_report(hood.resident, contact=None, subitem_code="P0105")).status_code == 409


async def test_a_forwarded_link_shows_no_phone_and_no_name(hood: Neighbourhood) -> None:
    phone = new_phone()
    report = await hood.report(contact={"name": "欧阳修", "phone": phone})
    answer = await hood.get(f"/track/{report['token']}")
    assert phone not in answer.text
    assert "欧阳修" not in answer.text
    assert (answer.json()["name"], answer.json()["phone"]) == ("欧**", f"{phone[:3]}****{phone[-4:]}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_a_complaint_about_the_company_never_reaches_it(hood: Neighbourhood) -> None:
    report = await hood.report(subitem_code=RUDE)
    assert (await hood.detail(report))["unit"]["id"] == str(hood.community)
    assert (await refused(hood, report, "claim", hood.handler, 404))["code"] == "order_not_found"
    assert (await hood.get(f"/{report['id']}", hood.dispatcher)).status_code == 404


async def test_nor_can_a_dispatcher_send_it_there(hood: Neighbourhood) -> None:
    async with hood.db.transaction() as session:
        order = await lock_order(session, UUID((await hood.report(subitem_code=RUDE))["id"]))
        order.unit = None  # as if no unit had been found
        order.state = State.SUBMITTED
        accused = {"id": str(order.id)}
    problem = await refused(hood, accused, "pool", hood.subdistrict_dispatcher, 422, unit_id=str(hood.company))
    assert problem["code"] == "unit_accused"
    await hood.act(accused, "pool", hood.subdistrict_dispatcher, unit_id=str(hood.rival))


async def test_staff_who_enter_a_report_for_somebody_never_get_its_private_link(hood: Neighbourhood) -> None:
    for role in ("handler", "dispatcher", "callback_agent", "social_worker"):
        report = await hood.report(hood.staff(role, hood.community, "community"))
        assert report["tracking_url"] is None
        assert (await hood.detail(report))["source"] == "staff"
    async with hood.db.transaction() as session:
        rows = await session.scalars(select(Report).where(Report.entered_by.is_not(None)))
        assert {row.tracking_hash for row in rows} == {None}


async def test_a_resident_cannot_pass_for_staff(hood: Neighbourhood) -> None:
    for who, source in ((None, "staff"), (None, "app"), (hood.resident, "staff"), (actor("merchant"), "patrol")):
        answer = await hood.send_report(who, source=source)
        assert answer.status_code == 422
        assert [error["name"] for error in answer.json()["errors"]] == ["body.source"]


async def test_a_claim_that_came_too_late_is_not_made_timely_by_releasing_and_claiming_again(
    hood: Neighbourhood,
) -> None:
    with at("2026-11-23 09:00"):
        report = await hood.report()
    with at("2026-11-23 15:00"):
        await hood.act(report, "claim", hood.handler)
        await hood.act(report, "release", hood.handler, reason="稍后再办")
        await hood.act(report, "claim", hood.handler)
    claims = [data["in_time"] for name, data in await hood.messages(report) if name == "order_claimed"]
    assert claims == [False, False]
