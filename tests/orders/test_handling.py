"""Claiming, releasing, meeting, working, resolving: what the unit's people may do, and what they may not."""

import asyncio
from typing import Any

import pytest

from tests.orders.neighbourhood import CRACKED_WALL, Neighbourhood, at
from tests.town import actor


async def refused(hood: Neighbourhood, report: dict[str, Any], action: str, who: Any, status: int, **body: Any) -> Any:
    """The refusal's code, after looking that nothing has changed."""
    before = await hood.detail(report)
    answer = await hood.post(f"/{report['id']}/{action}", body, who)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await hood.detail(report) == before
    return answer.json()


async def test_of_fifty_handlers_who_claim_at_once_one_wins(hood: Neighbourhood) -> None:
    report = await hood.report()
    handlers = [hood.staff("handler", hood.company, "property") for _ in range(50)]
    answers = await asyncio.gather(*(hood.post(f"/{report['id']}/claim", {}, who) for who in handlers))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"order_already_claimed"}
    winner = next(who for who, answer in zip(handlers, answers, strict=True) if answer.status_code == 200)
    assert (await hood.detail(report))["handler_id"] == str(winner.id)
    assert [name for name, _ in await hood.messages(report)] == ["order_claimed"]


@pytest.mark.parametrize("done", ["claimed", "met", "resolved", "closed"])
async def test_whoever_comes_later_is_told_that_the_order_is_taken(hood: Neighbourhood, done: str) -> None:
    report = await hood.claimed()
    if done != "claimed":
        await hood.act(report, "meet", hood.handler, mode="on_site")
    if done in {"resolved", "closed"}:
        await hood.resolve(report)
    if done == "closed":
        await hood.call(report)
    for who in (hood.colleague, hood.handler):
        assert (await refused(hood, report, "claim", who, 409))["code"] == "order_already_claimed"


async def test_a_claim_counts_as_in_time_until_the_pool_timer_runs_out(hood: Neighbourhood) -> None:
    for claimed, in_time in (("2026-11-23T11:00", True), ("2026-11-23T11:01", False)):
        with at("2026-11-23T09:00"):
            report = await hood.report()
        with at(claimed):
            await hood.act(report, "claim", hood.handler)
        [(_, fact)] = await hood.messages(report)
        assert fact["in_time"] is in_time


async def test_staff_of_another_unit_or_level_cannot_claim_or_see_the_order(hood: Neighbourhood) -> None:
    report = await hood.report()
    higher = hood.staff("handler", hood.company, "community")
    for who in (hood.stranger, hood.community_handler, higher, actor("handler")):
        assert (await refused(hood, report, "claim", who, 404))["code"] == "order_not_found"
        assert (await hood.get(f"/{report['id']}", who)).status_code == 404


async def test_a_handler_holds_only_so_many_orders_even_when_claiming_all_at_once(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(open_claims_per_handler=3)
    reports = [await hood.report() for _ in range(8)]
    answers = await asyncio.gather(*(hood.post(f"/{report['id']}/claim", {}, hood.handler) for report in reports))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 5
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"claim_limit_reached"}
    mine = next(report for report, answer in zip(reports, answers, strict=True) if answer.status_code == 200)
    await hood.work(mine)  # what is resolved counts no more
    free = next(report for report, answer in zip(reports, answers, strict=True) if answer.status_code == 409)
    await hood.act(free, "claim", hood.handler)


async def test_a_released_order_is_back_in_the_pool_and_its_claim_no_longer_counts(hood: Neighbourhood) -> None:
    with at("2026-11-23T09:00"):
        report = await hood.claimed()
    with at("2026-11-23T14:00"):
        released = await hood.act(report, "release", hood.handler, reason="家中有急事")
        assert (released["state"], released["handler_id"]) == ("pooled", None)
        assert released["claim_by"] == "2026-11-23T08:00:00Z"
        await hood.act(report, "claim", hood.colleague)
    claimed, taken_back, again = (data for _, data in await hood.messages(report))
    assert taken_back == {
        "order_id": report["id"],
        "claim_id": claimed["claim_id"],
        "occurred_at": "2026-11-23T06:00:00Z",
    }
    assert again["claim_id"] != claimed["claim_id"]
    assert again["in_time"] is True
    row = (await hood.detail(report))["history"][3]
    assert (row["from_state"], row["to_state"], row["why"]) == ("claimed", "pooled", "家中有急事")


async def test_work_without_a_meeting_needs_a_reason_and_a_meeting_by_phone_too(hood: Neighbourhood) -> None:
    report = await hood.claimed()
    problem = await refused(hood, report, "start", hood.handler, 422)
    assert [error["name"] for error in problem["errors"]] == ["body.reason"]
    problem = await refused(hood, report, "meet", hood.handler, 422, mode="phone")
    assert [error["name"] for error in problem["errors"]] == ["body.note"]
    assert (await hood.act(report, "start", hood.handler, reason="公共区域，无需见面"))["state"] == "in_progress"
    assert [name for name, _ in await hood.messages(report)] == ["order_claimed"]


async def test_an_order_can_be_resolved_right_after_the_meeting(hood: Neighbourhood) -> None:
    report = await hood.claimed()
    await hood.act(report, "meet", hood.handler, mode="phone", note="居民出差")
    await hood.resolve(report)
    assert (await hood.messages(report))[-1][1]["mode"] == "phone"


async def test_nothing_is_resolved_without_proof(hood: Neighbourhood) -> None:
    report, other = await hood.claimed(), await hood.report(photos=[await hood.photo()])
    await hood.act(report, "meet", hood.handler, mode="on_site")
    taken = (await hood.detail(other))["photos"][0]["id"]
    fresh, unknown = await hood.photo(), "00000000-0000-4000-8000-000000000000"
    for photos, field in (
        ([], "body.photos"),
        ([taken], "body.photos.0"),
        ([fresh, unknown], "body.photos.1"),
        ([fresh, fresh], "body.photos.1"),
        ([fresh] * 7, "body.photos"),
    ):
        problem = await refused(hood, report, "resolve", hood.handler, 422, note="已修复", photos=photos)
        assert [error["name"] for error in problem["errors"]] == [field]
    await hood.act(report, "resolve", hood.handler, note="已修复", photos=[fresh])
    assert [photo["purpose"] for photo in (await hood.detail(report))["photos"]] == ["proof"]


async def test_only_the_handler_of_an_order_works_on_it(hood: Neighbourhood) -> None:
    report = await hood.claimed()
    bodies: dict[str, dict[str, Any]] = {
        "release": {"reason": "不想做"},
        "meet": {"mode": "on_site"},
        "start": {"reason": "无人"},
        "resolve": {"note": "好了", "photos": [await hood.photo()]},
    }
    boss = hood.staff("handler", hood.company, "property", "dispatcher")
    for action, body in bodies.items():
        assert (await refused(hood, report, action, hood.stranger, 404, **body))["code"] == "order_not_found"
        assert (await refused(hood, report, action, boss, 403, **body))["code"] == "not_handler"


async def test_what_the_state_does_not_allow_is_refused_and_the_state_named(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    bodies: dict[str, dict[str, Any]] = {
        "release": {"reason": "不想做"},
        "meet": {"mode": "on_site"},
        "start": {},
        "resolve": {"note": "好了", "photos": [await hood.photo()]},
    }
    for action, body in bodies.items():
        problem = await refused(hood, report, action, hood.handler, 409, **body)
        assert problem["code"] == "wrong_state"
        assert "resolved" in problem["detail"]
    pooled = await hood.report()
    assert "pooled" in (await refused(hood, pooled, "start", hood.handler, 409))["detail"]


async def test_a_report_that_finds_no_unit_waits_until_a_dispatcher_sends_it_to_one(hood: Neighbourhood) -> None:
    report = await hood.report(subitem_code="H0401")  # a district's, and there is none
    assert report["state"] == "submitted"
    waiting = (await hood.get("", hood.subdistrict_dispatcher, state="submitted")).json()["items"]
    assert report["id"] in [order["id"] for order in waiting]
    assert (await refused(hood, report, "pool", hood.dispatcher, 404, unit_id=str(hood.company)))["code"] == (
        "order_not_found"
    )
    unknown = await refused(hood, report, "pool", hood.subdistrict_dispatcher, 422, unit_id=str(hood.lift))
    assert [error["name"] for error in unknown["errors"]] == ["body.unit_id"]
    pooled = await hood.act(report, "pool", hood.subdistrict_dispatcher, unit_id=str(hood.section))
    assert (pooled["state"], pooled["level"], pooled["unit"]["id"]) == ("pooled", "subdistrict", str(hood.section))
    member = hood.staff("handler", hood.section, "subdistrict")
    assert (await hood.act(report, "claim", member))["state"] == "claimed"
    assert (await hood.detail(report))["first_unit_id"] == str(hood.section)


async def test_a_dispatcher_cannot_send_an_order_out_of_the_subdistrict(hood: Neighbourhood) -> None:
    report = await hood.report(subitem_code="H0401")
    elsewhere = Neighbourhood(hood.town)
    await elsewhere.settle()
    problem = await refused(hood, report, "pool", hood.subdistrict_dispatcher, 422, unit_id=str(elsewhere.section))
    assert problem["code"] == "unit_unknown"
    assert (await refused(hood, report, "pool", elsewhere.subdistrict_dispatcher, 404, unit_id=str(hood.section)))[
        "code"
    ] == "order_not_found"


async def test_a_sections_report_goes_to_that_section(hood: Neighbourhood) -> None:
    report = await hood.report(subitem_code=CRACKED_WALL)
    assert (await hood.detail(report))["unit"]["id"] == str(hood.section)


async def test_repeating_a_request_under_its_key_claims_once(hood: Neighbourhood) -> None:
    report = await hood.report()
    first = await hood.post(f"/{report['id']}/claim", {}, hood.handler, key="k-1")
    again = await hood.post(f"/{report['id']}/claim", {}, hood.handler, key="k-1")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["Idempotency-Hit"] == "true"
    assert again.json() == first.json()
    assert len(await hood.messages(report)) == 1
