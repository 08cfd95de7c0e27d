"""The private link: following, adding, withdrawing, saying that it is settled."""

import pytest

from tests.orders.neighbourhood import Neighbourhood


async def test_the_reporter_adds_words_and_photos_and_the_handler_reads_them(hood: Neighbourhood) -> None:
    report = await hood.claimed()
    answer = await hood.by_link(report, "additions", text="又响了", photos=[await hood.photo()])
    assert answer.status_code == 200
    assert [addition["text"] for addition in answer.json()["additions"]] == ["又响了"]
    assert [photo["purpose"] for photo in answer.json()["photos"]] == ["addition"]
    contact = (await hood.get(f"/{report['id']}/contact", hood.handler)).json()
    assert [addition["text"] for addition in contact["additions"]] == ["又响了"]


async def test_there_is_an_end_to_adding(hood: Neighbourhood) -> None:
    report = await hood.report()
    for _ in range(10):
        assert (await hood.by_link(report, "additions", text="还有")).status_code == 200
    answer = await hood.by_link(report, "additions", text="还有")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_additions")


async def test_a_report_can_be_withdrawn_until_somebody_takes_it_up(hood: Neighbourhood) -> None:
    report = await hood.report()
    assert (await hood.track(report))["may"] == ["add", "withdraw"]
    answer = await hood.by_link(report, "withdraw", reason="已经好了")
    assert (answer.json()["state"], answer.json()["may"]) == ("cancelled", [])
    assert await hood.messages(report) == []  # it scores nothing
    assert (await hood.post(f"/{report['id']}/claim", {}, hood.handler)).json()["code"] == "wrong_state"
    taken = await hood.claimed()
    answer = await hood.by_link(taken, "withdraw", reason="已经好了")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert "claimed" in answer.json()["detail"]
    waiting = await hood.report(subitem_code="H0401")
    assert (await hood.by_link(waiting, "withdraw", reason="算了")).json()["state"] == "cancelled"


@pytest.mark.parametrize("stage", ["claimed", "met", "in_progress"])
async def test_the_reporter_may_say_that_it_is_settled_and_is_still_called_back(
    hood: Neighbourhood, stage: str
) -> None:
    report = await hood.claimed()
    if stage != "claimed":
        await hood.act(report, "meet", hood.handler, mode="on_site")
    if stage == "in_progress":
        await hood.act(report, "start", hood.handler)
    assert "settled" in (await hood.track(report))["may"]
    answer = await hood.by_link(report, "settled")
    assert answer.json()["state"] == "resolved"
    assert answer.json()["callback_by"] is not None
    assert answer.json()["history"][-1]["post"] == "resident"
    assert (await hood.call(report))["state"] == "closed"
    assert (await hood.by_link(report, "settled")).json()["code"] == "wrong_state"


async def test_nothing_is_added_to_what_has_ended(hood: Neighbourhood) -> None:
    report = await hood.resolved()
    await hood.call(report)
    answer = await hood.by_link(report, "additions", text="还有")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


async def test_a_link_opens_its_own_report_and_no_other(hood: Neighbourhood) -> None:
    photo = await hood.photo()
    mine, other = await hood.report(photos=[photo]), await hood.report()
    assert (await hood.track(mine))["number"] == mine["number"]
    shown = await hood.get(f"/track/{mine['token']}/photos/{photo}", size="thumb")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert (await hood.get(f"/track/{other['token']}/photos/{photo}")).status_code == 404
    for wrong in ("x", mine["token"][:-1], mine["token"] + "A", mine["id"], mine["number"]):
        answer = await hood.get(f"/track/{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (404, "tracking_unknown")
