"""The call-back: what the resident says decides, and what follows from it."""

from typing import Any

import pytest

from services.orders.callback import rules
from tests.orders.neighbourhood import Neighbourhood, at
from tests.orders.test_handling import refused


async def closing_fact(hood: Neighbourhood, report: dict[str, Any]) -> dict[str, Any]:
    name, data = (await hood.messages(report))[-1]
    assert name == "order_closed"
    return data


async def test_fairly_satisfied_closes_the_order_but_is_not_a_double_yes(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    assert (await hood.call(report, satisfied="fairly"))["closed_why"] == "fairly"
    fact = await closing_fact(hood, report)
    assert (fact["double_yes"], fact["solved"], fact["satisfied"]) == (False, True, "fairly")


@pytest.mark.parametrize(("solved", "satisfied"), [(False, "satisfied"), (False, "fairly"), (True, "dissatisfied")])
async def test_not_solved_or_not_satisfied_sends_the_order_back_to_its_handler(
    hood: Neighbourhood, solved: bool, satisfied: str
) -> None:
    report = await hood.resolved()
    back = await hood.call(report, solved, satisfied)
    assert (back["state"], back["round"], back["handler_id"]) == ("in_progress", 2, str(hood.handler.id))
    assert (back["resolved_at"], back["callback_by"]) == (None, None)
    await hood.resolve(report)
    assert (await hood.call(report))["state"] == "closed"
    assert (await closing_fact(hood, report))["round"] == 2


async def test_after_two_rounds_in_vain_the_supervisor_decides(hood: Neighbourhood) -> None:
    report = await hood.under_review()
    assert (await hood.detail(report))["round"] == 3
    closed = await hood.act(report, "review", hood.supervisor, decision="close", note="已按规范处理")
    assert (closed["state"], closed["closed_why"]) == ("closed", "reviewed")
    fact = await closing_fact(hood, report)
    assert (fact["double_yes"], fact["contacted"], fact["solved"], fact["satisfied"]) == (
        False,
        True,
        False,
        "dissatisfied",
    )


async def test_the_supervisor_may_send_the_order_back_to_work_once_more(hood: Neighbourhood) -> None:
    report = await hood.under_review()
    assert (await hood.act(report, "review", hood.supervisor, decision="back", note="再查"))["state"] == "in_progress"
    await hood.resolve(report)
    assert (await hood.call(report))["closed_why"] == "double_yes"


async def test_only_a_supervisor_of_the_subdistrict_reviews(hood: Neighbourhood) -> None:
    report = await hood.under_review()
    other = Neighbourhood(hood.town)
    await other.settle()
    body = {"decision": "close", "note": "好"}
    assert (await refused(hood, report, "review", other.supervisor, 404, **body))["code"] == "order_not_found"
    lower = hood.staff("supervisor", hood.company, "property")
    assert (await refused(hood, report, "review", lower, 403, **body))["code"] == "forbidden"
    resolved = await hood.resolved()
    assert (await refused(hood, resolved, "review", hood.supervisor, 409, **body))["code"] == "wrong_state"


async def test_three_tries_on_separate_days_close_an_order_whose_reporter_cannot_be_reached(
    hood: Neighbourhood,
) -> None:
    with at("2026-11-23T09:00"):
        report = await hood.resolved()
    for moment, state in (
        ("2026-11-23T10:00", "resolved"),
        ("2026-11-23T23:59", "resolved"),  # the same day in Beijing
        ("2026-11-24T00:01", "resolved"),  # the next one there, though not in UTC
        ("2026-11-24T15:00", "resolved"),
        ("2026-11-25T00:30", "closed"),  # the third day there
    ):
        with at(moment):
            order = await hood.act(report, "callback", hood.agent, contacted=False)
        assert order["state"] == state, moment
    assert order["closed_why"] == "unreachable"
    fact = await closing_fact(hood, report)
    assert (fact["contacted"], fact["solved"], fact["satisfied"], fact["double_yes"]) == (False, None, None, False)
    assert len((await hood.detail(report))["callbacks"]) == 5


async def test_tries_before_the_work_was_done_again_do_not_count(hood: Neighbourhood) -> None:
    with at("2026-11-23T09:00"):
        report = await hood.resolved()
    for moment in ("2026-11-23T10:00", "2026-11-24T10:00"):
        with at(moment):
            await hood.act(report, "callback", hood.agent, contacted=False)
    with at("2026-11-25T10:00"):
        await hood.call(report, solved=False, satisfied="dissatisfied")
        await hood.resolve(report)
        assert (await hood.act(report, "callback", hood.agent, contacted=False))["state"] == "resolved"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"contacted": True}, ["body.solved", "body.satisfied"]),
        ({"contacted": True, "solved": True}, ["body.satisfied"]),
        ({"contacted": True, "solved": True, "satisfied": "happy"}, ["body.satisfied"]),
        ({"contacted": False, "solved": True}, ["body.solved"]),
        ({"contacted": False, "satisfied": "satisfied"}, ["body.satisfied"]),
        ({"contacted": "yes", "solved": True, "satisfied": "satisfied"}, ["body.contacted"]),
        ({"contacted": 1, "solved": True, "satisfied": "satisfied"}, ["body.contacted"]),
    ],
)
async def test_an_answer_is_whole_or_refused(hood: Neighbourhood, body: dict[str, Any], fields: list[str]) -> None:
    report = await hood.resolved()
    problem = await refused(hood, report, "callback", hood.agent, 422, **body)
    assert [error["name"] for error in problem["errors"]] == fields


async def test_agents_call_back_only_what_is_resolved_and_of_their_subdistrict(hood: Neighbourhood) -> None:
    other = Neighbourhood(hood.town)
    await other.settle()
    report = await hood.resolved()
    answer = {"contacted": True, "solved": True, "satisfied": "satisfied"}
    assert (await refused(hood, report, "callback", other.agent, 404, **answer))["code"] == "order_not_found"
    for unfinished in (await hood.report(), await hood.claimed()):
        problem = await refused(hood, unfinished, "callback", hood.agent, 409, **answer)
        assert problem["code"] == "wrong_state"
    await hood.call(report)
    assert "closed" in (await refused(hood, report, "callback", hood.agent, 409, **answer))["detail"]


async def test_the_reporter_answers_through_the_link(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    assert "callback" in (await hood.track(report))["may"]
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (answer.status_code, answer.json()["state"], answer.json()["may"]) == (200, "closed", [])
    fact = await closing_fact(hood, report)
    assert (fact["double_yes"], fact["contacted"]) == (True, True)
    again = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


async def test_through_the_link_too_a_bad_answer_means_another_round_and_then_a_review(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    for state in ("in_progress", "in_progress", "review_pending"):
        answer = await hood.by_link(report, "callback", solved=False, satisfied="dissatisfied")
        assert answer.json()["state"] == state
        if state == "in_progress":
            await hood.resolve(report)


async def test_a_drawn_answer_waits_for_a_call_and_the_call_decides(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(link_check_share=1)
    report = await hood.resolved()
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (answer.json()["state"], answer.json()["awaits_check"]) == ("resolved", True)
    assert "callback" not in answer.json()["may"]
    again = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")
    assert [name for name, _ in await hood.messages(report)] == ["order_claimed", "order_met"]
    assert (await hood.call(report, solved=False, satisfied="dissatisfied"))["state"] == "in_progress"


async def test_whoever_waits_for_a_check_may_still_say_that_it_is_not_solved(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(link_check_share=1)
    report = await hood.resolved()
    await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    worse = await hood.by_link(report, "callback", solved=False, satisfied="dissatisfied")
    assert (worse.json()["state"], worse.json()["awaits_check"]) == ("in_progress", False)


async def test_where_there_is_no_phone_there_is_no_check_and_no_double_yes(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(link_check_share=1)
    report = await hood.resolved(contact=None)
    answer = await hood.by_link(report, "callback", solved=True, satisfied="satisfied")
    assert (answer.json()["state"], answer.json()["closed_why"]) == ("closed", "unverified")
    fact = await closing_fact(hood, report)
    assert (fact["double_yes"], fact["contacted"], fact["solved"], fact["satisfied"]) == (False, False, None, None)


def test_the_draw_takes_its_share_and_nobody_can_steer_it() -> None:
    draws = [number.to_bytes(8, "big") + b"\0" * 24 for number in range(0, 2**64, 2**54)]
    assert sum(rules.is_drawn_for_check(draw, 0.1) for draw in draws) == pytest.approx(len(draws) / 10, abs=1)
    assert not any(rules.is_drawn_for_check(draw, 0) for draw in draws)
    assert all(rules.is_drawn_for_check(draw, 1) for draw in [*draws, b"\xff" * 32])
