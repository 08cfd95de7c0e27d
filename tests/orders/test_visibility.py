"""No one sees what their post does not allow."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.core.actor import Actor
from services.orders.intake.tables import ContactRead
from tests.orders.neighbourhood import RUDE, Neighbourhood
from tests.town import actor


async def seen(hood: Neighbourhood, who: Actor, *reports: dict[str, Any]) -> list[bool]:
    """Which of the reports' orders somebody finds in their list; the same ones can be opened."""
    listed: set[str] = set()
    cursor: str | None = None
    while True:
        params = {"community": str(hood.community), "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await hood.get("", who, **params)).json()
        listed |= {order["id"] for order in page["items"]}
        if (cursor := page["next_cursor"]) is None:
            break
    for report in reports:
        opened = await hood.get(f"/{report['id']}", who)
        assert opened.status_code == (200 if report["id"] in listed else 404)
    return [report["id"] in listed for report in reports]


async def test_everybody_sees_the_orders_of_their_post(hood: Neighbourhood) -> None:
    other = Neighbourhood(hood.town)
    await other.settle()
    pooled, claimed, resolved, rude, own, unrouted = (
        await hood.report(),
        await hood.claimed(),
        await hood.resolved(),
        await hood.report(subitem_code=RUDE),
        await hood.report(hood.resident),
        await hood.report(subitem_code="H0401"),
    )
    cases: list[tuple[Actor, list[bool]]] = [
        (hood.handler, [True, True, True, False, True, False]),
        (hood.colleague, [True, False, False, False, True, False]),
        (hood.stranger, [False] * 6),
        (hood.community_handler, [False, False, False, True, False, False]),
        (hood.dispatcher, [True, True, True, False, True, False]),
        (hood.subdistrict_dispatcher, [False, False, False, False, False, True]),
        (hood.supervisor, [True] * 6),
        (hood.staff("supervisor", hood.company, "property"), [False] * 6),
        (hood.agent, [False, False, True, False, False, False]),
        (hood.auditor, [True] * 6),
        (hood.resident, [False, False, False, False, True, False]),
        (other.supervisor, [False] * 6),
        (other.agent, [False] * 6),
        (other.dispatcher, [False] * 6),
        (actor("administrator"), [False] * 6),
        (actor("handler"), [False] * 6),
    ]
    for who, expected in cases:
        assert await seen(hood, who, pooled, claimed, resolved, rude, own, unrouted) == expected, who.roles


async def test_an_agent_may_look_up_what_they_called_about(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    await hood.call(report)
    assert await seen(hood, hood.agent, report) == [True]


async def test_a_reporter_with_an_account_is_not_told_who_the_staff_are(hood: Neighbourhood) -> None:
    report = await hood.report(hood.resident)
    await hood.act(report, "claim", hood.handler)
    answer = await hood.get(f"/{report['id']}", hood.resident)
    assert str(hood.handler.id) not in answer.text
    assert answer.json()["history"][2]["to_state"] == "claimed"
    listed = await hood.get("", hood.resident)
    assert str(hood.handler.id) not in listed.text


async def test_a_list_is_walked_to_its_end_and_shows_each_order_once(hood: Neighbourhood) -> None:
    made = [(await hood.report())["id"] for _ in range(7)]
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": 3, "state": "pooled"} | ({"cursor": cursor} if cursor else {})
        page = (await hood.get("", hood.handler, **params)).json()
        found += [order["id"] for order in page["items"]]
        await hood.report()  # what comes meanwhile moves nothing
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == made[::-1]


async def test_lists_are_filtered_and_an_unknown_filter_is_refused(hood: Neighbourhood) -> None:
    pooled, urgent = await hood.report(), await hood.report(subitem_code="P0101")
    for params, expected in (
        ({"state": "pooled"}, [urgent, pooled]),
        ({"state": "closed"}, []),
        ({"urgent": "true"}, [urgent]),
        ({"subitem": "P0104"}, [pooled]),
        ({"unit": str(hood.company)}, [urgent, pooled]),
        ({"unit": str(hood.rival)}, []),
    ):
        items = (await hood.get("", hood.supervisor, **params)).json()["items"]
        assert [order["id"] for order in items] == [report["id"] for report in expected], params
    for params, field in (
        ({"colour": "red"}, "query.colour"),
        ({"state": "assigned"}, "query.state"),
        ({"unit": "x"}, "query.unit"),
        ({"limit": "0"}, "query.limit"),
        ({"limit": "1e9"}, "query.limit"),
        ({"cursor": "x"}, "query.cursor"),
        ({"subitem": "\0"}, "query.subitem"),
    ):
        answer = await hood.get("", hood.supervisor, **params)
        assert answer.status_code == 422, params
        assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_a_cursor_serves_its_own_filters_only(hood: Neighbourhood) -> None:
    for _ in range(2):
        await hood.report()
    cursor = (await hood.get("", hood.handler, limit=1, state="pooled")).json()["next_cursor"]
    answer = await hood.get("", hood.handler, limit=1, cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


@pytest.mark.parametrize("stage", ["pooled", "claimed", "resolved", "closed"])
async def test_a_phone_is_shown_to_whoever_needs_it_now_and_every_reading_is_logged(
    hood: Neighbourhood, stage: str
) -> None:
    report = await (hood.report() if stage == "pooled" else hood.claimed() if stage == "claimed" else hood.resolved())
    if stage == "closed":
        await hood.call(report)
    expected = {
        "pooled": {hood.handler: 403, hood.dispatcher: "words", hood.agent: 404},
        "claimed": {hood.handler: "phone", hood.colleague: 404, hood.dispatcher: "words", hood.agent: 404},
        "resolved": {hood.handler: 403, hood.dispatcher: "words", hood.agent: "phone"},
        "closed": {hood.handler: 403, hood.dispatcher: "words", hood.agent: 403},
    }[stage]
    expected |= {hood.supervisor: 403, hood.auditor: 403, hood.resident: 403, hood.stranger: 404}
    for who, outcome in expected.items():
        answer = await hood.get(f"/{report['id']}/contact", who)
        if isinstance(outcome, int):
            assert answer.status_code == outcome, (who.roles, answer.text)
            continue
        contact = answer.json()
        assert contact["description"] == "电梯门关不上"
        shown = (contact["name"], contact["phone"] is not None)
        assert shown == (("张三丰", True) if outcome == "phone" else (None, False))
        assert answer.headers["Cache-Control"] == "no-store"
    async with hood.db.transaction() as session:
        rows = await session.scalars(select(ContactRead).where(ContactRead.order_id == UUID(report["id"])))
        logged = {(row.reader_id, row.post, row.phone_shown) for row in rows}
    assert logged == {
        (who.id, min(who.roles), outcome == "phone") for who, outcome in expected.items() if isinstance(outcome, str)
    }


async def test_words_and_phone_stand_in_no_other_answer(hood: Neighbourhood) -> None:
    report = await hood.resolved(contact={"name": "诸葛亮", "phone": "10012345678"}, description="楼道里的秘密")
    await hood.by_link(report, "additions", text="另一个秘密")
    for path in (f"/{report['id']}", "", f"/places/{hood.code}"):
        for who in (hood.handler, hood.dispatcher, hood.supervisor, hood.agent, hood.auditor):
            answer = await hood.get(path, who)
            for secret in ("诸葛亮", "10012345678", "秘密"):
                assert secret not in answer.text
    for _, data in await hood.messages(report):
        assert "秘密" not in str(data)
