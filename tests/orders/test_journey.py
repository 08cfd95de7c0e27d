"""From a scanned code to 35 points' worth of facts, as the resident and the staff live through it."""

from tests.orders.neighbourhood import LIFT_DOOR, TRAPPED, Neighbourhood, at


async def test_a_report_is_handled_to_its_end_and_the_facts_that_score_are_told(hood: Neighbourhood) -> None:
    with at("2026-11-23T09:00"):
        report = await hood.report(photos=[await hood.photo()])
        assert report["state"] == "pooled"
        assert report["number"].startswith("BY261123-")
        assert (report["contact_by"], report["due_at"]) == ("2026-11-24T01:00:00Z", "2026-11-24T01:00:00Z")
        pool = (await hood.get("", hood.handler, state="pooled")).json()
        assert [order["id"] for order in pool["items"]] == [report["id"]]
    with at("2026-11-23T10:30"):
        assert (await hood.act(report, "claim", hood.handler))["state"] == "claimed"
        assert (await hood.act(report, "meet", hood.handler, mode="on_site"))["state"] == "met"
        assert (await hood.act(report, "start", hood.handler))["state"] == "in_progress"
    with at("2026-11-23T12:00"):
        done = await hood.act(report, "resolve", hood.handler, note="已更换门机", photos=[await hood.photo()])
        assert (done["state"], done["callback_by"]) == ("resolved", "2026-11-25T04:00:00Z")
    with at("2026-11-23T15:00"):
        closed = await hood.call(report)
    assert (closed["state"], closed["closed_why"]) == ("closed", "double_yes")
    facts = await hood.messages(report)
    assert [name for name, _ in facts] == ["order_claimed", "order_met", "order_closed"]
    claimed, met, ended = (data for _, data in facts)
    assert claimed["in_time"] is True
    assert met["mode"] == "on_site"
    assert ended["double_yes"] is True
    assert (ended["solved"], ended["satisfied"], ended["round"], ended["real"]) == (True, "satisfied", 1, True)
    for data in (claimed, met, ended):
        assert data["handler_id"] == str(hood.handler.id)
        assert (data["order_id"], data["number"]) == (report["id"], report["number"])
        assert (data["unit_id"], data["community"]) == (str(hood.company), str(hood.community))


async def test_the_history_says_of_every_change_who_when_from_to_and_why(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    await hood.call(report)
    history = (await hood.detail(report))["history"]
    assert [(row["from_state"], row["to_state"], row["post"], row["by"]) for row in history] == [
        (None, "submitted", "system", None),
        ("submitted", "pooled", "system", None),
        ("pooled", "claimed", "handler", str(hood.handler.id)),
        ("claimed", "met", "handler", str(hood.handler.id)),
        ("met", "in_progress", "handler", str(hood.handler.id)),
        ("in_progress", "resolved", "handler", str(hood.handler.id)),
        ("resolved", "closed", "callback_agent", str(hood.agent.id)),
    ]
    assert [row["why"] for row in history[-2:]] == ["已修复", "double_yes"]
    times = [row["at"] for row in history]
    assert times == sorted(times)


async def test_the_reporter_sees_the_same_truth_without_the_names_of_staff(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    await hood.call(report)
    answer = await hood.get(f"/track/{report['token']}")
    for who in (hood.handler, hood.agent):
        assert str(who.id) not in answer.text
    seen, known = answer.json(), await hood.detail(report)
    for field in ("number", "state", "round", "due_at", "contact_by", "closed_at", "closed_why", "photos"):
        assert seen[field] == known[field]
    steps = [(row["at"], row["from_state"], row["to_state"]) for row in known["history"]]
    assert [(row["at"], row["from_state"], row["to_state"]) for row in seen["history"]] == steps
    assert "已修复" in answer.text


async def test_the_page_of_a_code_offers_what_is_likely_and_shows_what_is_known(hood: Neighbourhood) -> None:
    report = await hood.report(description="隐私内容不可见")
    answer = await hood.get(f"/places/{hood.code}")
    page = answer.json()
    assert page["place"] == {"id": str(hood.lift), "kind": "lift", "name": "试验小区3号楼电梯"}
    assert page["likely"][0] == {"code": TRAPPED, "name": "电梯困人", "urgent": True, "sla_hours": 2}
    assert {"119", "120"} <= {number["phone"] for number in page["emergency"]}
    assert [(item["subitem_code"], item["state"]) for item in page["open"]] == [(LIFT_DOOR, "pooled")]
    for secret in ("隐私内容不可见", report["number"], report["id"], "张"):
        assert secret not in answer.text


async def test_an_urgent_report_is_promised_an_answer_within_two_hours_at_night(hood: Neighbourhood) -> None:
    with at("2026-10-01T23:00"):
        report = await hood.report(subitem_code=TRAPPED)
    assert report["urgent"] is True
    assert report["contact_by"] == report["due_at"] == "2026-10-01T17:00:00Z"
    assert (await hood.detail(report))["claim_by"] == "2026-10-01T15:15:00Z"
