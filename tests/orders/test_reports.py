"""Taking reports: what a reporter is promised, what is kept of them and how, and what stops a flood."""

import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from chassis.core.addresses import network_of
from chassis.core.crypto import token_hash
from services.orders.intake.queries import open_sealed
from services.orders.intake.tables import Addition, Report
from services.orders.places import actions as places
from services.orders.terms import PlaceKind
from tests.orders.neighbourhood import Neighbourhood, at, new_device
from tests.town import actor, new_phone


async def row_of(hood: Neighbourhood, report: dict[str, Any]) -> Report:
    async with hood.db.transaction() as session:
        return (await session.scalars(select(Report).where(Report.order_id == UUID(report["id"])))).one()


async def everything_stored(hood: Neighbourhood) -> str:
    """All rows of all tables of the service, as text."""
    async with hood.db.transaction() as session:
        names = await session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
        )
        tables = [(await session.execute(text(f'SELECT * FROM "{name}"'))).all() for name in names.all()]
    return repr([[[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows] for rows in tables])


async def test_a_reporters_name_phone_and_words_are_stored_sealed_and_nowhere_else(hood: Neighbourhood) -> None:
    phone, name, words, more, why = new_phone(), "公孙绿萼", "水漫金山寺", "又漏了一次", "不用来了谢谢"
    report = await hood.report(contact={"name": name, "phone": phone}, description=words)
    await hood.by_link(report, "additions", text=more)
    await hood.by_link(report, "withdraw", reason=why)
    row = await row_of(hood, report)
    vault = hood.runtime.vault
    assert [open_sealed(vault, row, field) for field in ("name", "phone", "description")] == [name, phone, words]
    async with hood.db.transaction() as session:
        additions = await session.scalars(select(Addition).where(Addition.report_id == row.id).order_by(Addition.id))
        said = [vault.open(addition.text_sealed, f"addition.text:{addition.id}") for addition in additions]
    assert said == [more, why]
    stored = await everything_stored(hood)
    assert report["number"] in stored
    for secret in (phone, name, words, more, why, report["token"]):
        assert secret not in stored
        assert json.dumps(secret) not in stored


async def test_the_private_link_holds_128_random_bits_and_is_stored_hashed(hood: Neighbourhood) -> None:
    one, other = await hood.report(), await hood.report()
    assert len(one["token"]) == len(other["token"]) == 22
    assert one["token"] != other["token"]
    assert (await row_of(hood, one)).tracking_hash == token_hash(one["token"])


async def test_numbers_are_dated_in_beijing_and_never_given_twice(hood: Neighbourhood) -> None:
    with at("2026-11-24T00:05"):  # the day before in UTC
        numbers = [(await hood.report())["number"] for _ in range(3)]
    assert {number[:9] for number in numbers} == {"BY261124-"}
    assert len(set(numbers)) == 3


@pytest.mark.parametrize(
    ("role", "asked", "source", "reporter", "entered"),
    [
        (None, None, "qr", False, False),
        ("resident", None, "app", True, False),
        ("resident", "qr", "qr", True, False),
        ("handler", None, "staff", False, True),
        ("handler", "app", "app", True, False),
        ("patrol", None, "patrol", True, False),
        ("patrol", "staff", "staff", False, True),
        ("merchant", None, "app", True, False),
    ],
)
async def test_who_reports_is_on_record(
    hood: Neighbourhood, role: str | None, asked: str | None, source: str, reporter: bool, entered: bool
) -> None:
    who = actor(role) if role else None
    report = await hood.report(who, source=asked)
    row = await row_of(hood, report)
    me = who.id if who else None
    assert (row.reporter_id, row.entered_by) == (me if reporter else None, me if entered else None)
    assert (await hood.detail(report))["source"] == source
    assert (report["tracking_url"] is None) is entered


async def test_a_visit_can_be_booked_for_the_days_ahead(hood: Neighbourhood) -> None:
    with at("2026-11-23T09:00"):
        visit = {"from": "2026-11-25T14:00:00+08:00", "to": "2026-11-25T16:00:00+08:00"}
        report = await hood.report(visit=visit)
        booked = {"from": "2026-11-25T06:00:00Z", "to": "2026-11-25T08:00:00Z"}
        assert (await hood.detail(report))["visit"] == booked
        assert (await hood.track(report))["visit"] == booked
        for begins, ends in (
            ("2026-11-22T14:00:00+08:00", "2026-11-22T16:00:00+08:00"),
            ("2026-11-25T16:00:00+08:00", "2026-11-25T14:00:00+08:00"),
            ("2026-11-25T01:00:00+08:00", "2026-11-25T16:00:00+08:00"),
            ("2027-11-25T14:00:00+08:00", "2027-11-25T16:00:00+08:00"),
            ("0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00"),
        ):
            answer = await hood.send_report(visit={"from": begins, "to": ends})
            assert (answer.status_code, answer.json()["code"]) == (422, "visit_impossible")
        answer = await hood.send_report(visit={"from": "2026-11-25T14:00:00", "to": "2026-11-25T16:00:00"})
        assert [error["name"] for error in answer.json()["errors"]] == ["body.visit.from", "body.visit.to"]


async def test_too_many_reports_through_one_code_wait_until_an_hour_has_passed(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(reports_per_code_hour=3)
    for minute in (0, 10, 20):
        with at(f"2026-11-23T09:{minute:02}"):
            await hood.report()
    with at("2026-11-23T09:40"):
        refused = await hood.send_report()
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_reports")
        assert refused.headers["Retry-After"] == "1200"
        await hood.report(qr_code=hood.building_code)  # the building is not locked out
    with at("2026-11-23T10:00"):
        await hood.report()
        assert (await hood.send_report()).headers["Retry-After"] == "600"


async def test_one_device_or_one_phone_cannot_flood(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(reports_per_device_hour=2, reports_per_phone_hour=2)
    device, phone = new_device(), new_phone()
    subitems = iter(["P0101", "P0102", "P0103", "P0105", "P0108"])
    with at("2026-11-23T09:20"):
        for _ in range(2):
            await hood.report(device=device, subitem_code=next(subitems))
            await hood.report(contact={"phone": phone}, subitem_code=next(subitems))
        last = next(subitems)
        assert (await hood.send_report(device=device, subitem_code=last)).status_code == 429
        assert (await hood.send_report(contact={"phone": phone}, subitem_code=last)).status_code == 429
        assert (await hood.send_report(subitem_code=last)).status_code == 201
        desk = hood.staff("social_worker", hood.community, "community")
        assert (await hood.send_report(desk, device=device)).status_code == 201  # one desk enters for many


def test_a_household_with_many_addresses_is_one_device() -> None:
    assert network_of("2001:db8:1:2::7") == network_of("2001:db8:1:2:ffff::1") != network_of("2001:db8:1:3::7")
    assert network_of("::ffff:203.0.113.7") == network_of("203.0.113.7") != network_of("203.0.113.8")
    assert network_of("testclient") == "testclient"


async def test_a_report_that_is_refused_leaves_nothing_behind(hood: Neighbourhood) -> None:
    photo = await hood.photo()
    refused = await hood.send_report(photos=[photo, photo])
    assert [error["name"] for error in refused.json()["errors"]] == ["body.photos.1"]
    assert (await hood.get("", hood.auditor, community=hood.community)).json()["items"] == []
    await hood.report(photos=[photo])


async def test_codes_that_are_unknown_or_revoked_say_so(hood: Neighbourhood) -> None:
    async with hood.db.transaction() as session:
        await places.revoke_qr_code(session, hood.code)
    for code, status, name in ((hood.code, 410, "qr_code_revoked"), ("NEVER", 404, "qr_code_unknown")):
        page = await hood.get(f"/places/{code}")
        assert (page.status_code, page.json()["code"]) == (status, name)
        answer = await hood.send_report(qr_code=code)
        assert (answer.status_code, answer.json()["code"]) == (status, name)
        assert [error["name"] for error in answer.json()["errors"]] == ["body.qr_code"]


async def test_a_code_once_printed_never_comes_to_stand_for_another_place(hood: Neighbourhood) -> None:
    async with hood.db.transaction() as session:
        await places.issue_qr_code(session, hood.code, hood.building)
    assert (await hood.get(f"/places/{hood.code}")).json()["place"]["id"] == str(hood.lift)


async def test_where_the_company_is_missing_the_community_takes_over(hood: Neighbourhood) -> None:
    place = UUID(int=hood.lift.int + 1)
    async with hood.db.transaction() as session:
        await hood.place(session, place, PlaceKind.LANE, "试验胡同", f"L{place.hex[:20]}", property_id=None)
    report = await hood.report(qr_code=f"L{place.hex[:20]}")
    order = await hood.detail(report)
    assert (order["level"], order["unit"]["id"]) == ("community", str(hood.community))


async def test_the_same_report_sent_twice_under_one_key_is_one_order(hood: Neighbourhood) -> None:
    body = {"qr_code": hood.code, "subitem_code": "P0104", "description": "门坏了", "contact": {"phone": new_phone()}}
    first = await hood.post("/reports", body, key="report-1")
    again = await hood.post("/reports", body, key="report-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    token = first.json()["tracking_url"].removeprefix("/t/")
    assert token not in await everything_stored(hood)
