"""Activities from the draft to the sign-up, and who sees them when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.events.activities.jobs import sweep
from services.events.terms import CATEGORY_ZH, Category
from tests.events.service import Events
from tests.town import actor

NOON = datetime(2026, 5, 4, 4, tzinfo=UTC)


async def listed(events: Events, who: Actor | None = None, /, **filters: Any) -> list[str]:
    """The ids of the test's own organisation's activities, as somebody sees them."""
    answer = await events.get("/activities", who, organisation=events.organisation, **filters)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def status(events: Events, activity_id: str, who: Actor | None) -> int:
    return (await events.get(f"/activities/{activity_id}", who)).status_code


async def test_an_organiser_makes_publishes_and_opens_an_activity_that_all_can_see(events: Events) -> None:
    made = await events.post("/activities", events.organiser, events.plan(title="端午包粽子", capacity=12))
    assert made.status_code == 201
    activity = made.json()
    assert activity["state"] == "draft"
    assert activity["organisation_id"] == str(events.organisation)
    assert (activity["capacity"], activity["taken"], activity["free"], activity["full"]) == (12, 0, 12, False)
    assert (await events.act(activity["id"], "publish"))["state"] == "published"
    opened = await events.act(activity["id"], "open")
    assert (opened["state"], opened["signup_open"]) == ("open", True)
    shown = await events.show(activity["id"])
    assert shown["title"] == "端午包粽子"
    assert [(change["from_state"], change["to_state"]) for change in shown["history"]] == [
        ("draft", "published"),
        ("published", "open"),
    ]
    assert await listed(events) == [activity["id"]]
    assert (await events.act(activity["id"], "close"))["signup_open"] is False


async def test_the_public_does_not_learn_who_of_the_staff_did_what(events: Events) -> None:
    activity_id = await events.published()
    assert {change["by"] for change in (await events.show(activity_id))["history"]} == {None}
    inside = await events.show(activity_id, events.colleague)
    assert [change["by"] for change in inside["history"]] == [str(events.organiser.id)] * 2


async def test_a_draft_is_seen_by_its_own_organisation_and_the_auditor_alone(events: Events) -> None:
    draft = await events.draft()
    for who in (events.organiser, events.colleague, events.auditor):
        assert await status(events, draft, who) == 200
        assert await listed(events, who) == [draft]
    for other in (None, actor("resident"), events.stranger, events.administrator):
        assert await status(events, draft, other) == 404
        assert await listed(events, other) == []


@pytest.mark.parametrize("action", ["publish", "open", "close", "cancel"])
async def test_another_organisations_draft_cannot_be_told_from_none_whatever_is_tried(
    events: Events, action: str
) -> None:
    draft, body = await events.draft(), {"reason": "试试"} if action == "cancel" else None
    refused = await events.post(f"/activities/{draft}/{action}", events.stranger, body)
    nothing = await events.post(f"/activities/{new_id()}/{action}", events.stranger, body)
    for answer in (refused, nothing):
        assert (answer.status_code, answer.json()["code"]) == (404, "activity_not_found")


@pytest.mark.parametrize("action", ["open", "close", "cancel"])
async def test_nobody_moves_another_organisations_published_activity(events: Events, action: str) -> None:
    activity_id = await events.published()
    body = {"reason": "试试"} if action == "cancel" else None
    refused = await events.post(f"/activities/{activity_id}/{action}", events.stranger, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_organiser")
    assert (await events.show(activity_id))["state"] == "published"


async def test_a_cancelled_draft_stays_private(events: Events) -> None:
    draft = await events.draft()
    await events.act(draft, "cancel", body={"reason": "写错了"})
    assert await status(events, draft, None) == 404
    assert await listed(events) == []


async def test_steps_cannot_be_left_out_or_repeated(events: Events) -> None:
    draft = await events.draft()
    for action in ("open", "close"):
        refused = await events.post(f"/activities/{draft}/{action}", events.organiser)
        assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    await events.act(draft, "publish")
    for action in ("publish", "close"):
        assert (await events.post(f"/activities/{draft}/{action}", events.organiser)).status_code == 409
    await events.act(draft, "open", body={})
    assert (await events.post(f"/activities/{draft}/open", events.organiser)).status_code == 409


async def test_a_repeated_request_with_its_key_gets_the_first_answer(events: Events) -> None:
    body = events.plan()
    first = await events.post("/activities", events.organiser, body, key="make")
    again = await events.post("/activities", events.organiser, body, key="make")
    assert first.json() == again.json()
    assert await listed(events, events.organiser) == [first.json()["id"]]
    path = f"/activities/{first.json()['id']}/publish"
    answers = [await events.post(path, events.organiser, key="publish") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotency-Hit"] == "true"


# Review before publication --------------------------------------------------------------------------------------------


async def set_review(events: Events, review: bool) -> None:
    async with events.client(events.administrator) as client:
        path = f"/api/events/organisations/{events.organisation}/settings"
        answer = await client.put(path, json={"review_before_publication": review})
        assert answer.status_code == 200, answer.text
        shown = (await client.get(path)).json()
    assert shown == {"organisation_id": str(events.organisation), "review_before_publication": review}


async def test_where_that_is_set_an_activity_is_public_only_after_an_administrators_review(events: Events) -> None:
    await set_review(events, True)
    activity_id = await events.draft()
    assert (await events.act(activity_id, "publish"))["state"] == "review"
    assert await status(events, activity_id, None) == 404
    assert await listed(events, events.administrator) == [activity_id], "who reviews it finds it"
    assert (await events.post(f"/activities/{activity_id}/open", events.organiser)).status_code == 409
    assert (await events.post(f"/activities/{activity_id}/approve", events.organiser)).status_code == 403
    returned = await events.act(activity_id, "return", events.administrator, {"reason": "请写明集合地点"})
    assert returned["state"] == "draft"
    inside = await events.show(activity_id, events.organiser)
    assert inside["history"][-1]["why"] == "请写明集合地点"
    await events.act(activity_id, "publish")
    assert (await events.act(activity_id, "approve", events.administrator))["state"] == "published"
    shown = await events.show(activity_id)
    assert [change["to_state"] for change in shown["history"]] == ["published"], "what came before is not public"
    await set_review(events, False)
    assert (await events.act(await events.draft(), "publish"))["state"] == "published"


async def test_nothing_is_approved_that_waits_for_no_review(events: Events) -> None:
    published = await events.published()
    refused = await events.post(f"/activities/{published}/approve", events.administrator)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    draft = await events.draft()
    both = actor("administrator", "organiser", organisation_id=events.organisation)
    refused = await events.post(f"/activities/{draft}/approve", both)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_settings_are_the_administrators(events: Events) -> None:
    path = f"/api/events/organisations/{events.organisation}/settings"
    async with events.client(events.organiser) as client:
        answers = [await client.get(path), await client.put(path, json={"review_before_publication": False})]
    assert [answer.status_code for answer in answers] == [403, 403]


# Time -----------------------------------------------------------------------------------------------------------------


async def test_an_activity_runs_from_its_start_until_it_is_ended_and_takes_sign_ups_to_its_schedules_end(
    events: Events,
) -> None:
    with clock.frozen(NOON):
        activity_id = await events.opened(starts_at=NOON, ends_at=NOON + timedelta(hours=1))
        closed = await events.opened(starts_at=NOON + timedelta(hours=1), ends_at=NOON + timedelta(hours=2))
        assert await listed(events, state="running") == [activity_id]
        assert await listed(events, state="open") == [closed]
        assert (await events.show(activity_id))["state"] == "running"
        assert (await events.show(activity_id))["signup_open"] is True
    with clock.frozen(NOON + timedelta(minutes=61)):
        shown = await events.show(activity_id)
        assert (shown["state"], shown["signup_open"]) == ("running", False)
        family = await events.family()
        refused = await events.try_sign_up(activity_id, family)
        assert (refused.status_code, refused.json()["code"]) == (409, "signup_closed")


async def test_what_nobody_ends_ends_by_itself_half_an_hour_after_its_schedule(events: Events) -> None:
    ends_at = NOON + timedelta(hours=1)
    with clock.frozen(NOON):
        opened = await events.opened(starts_at=NOON, ends_at=ends_at)
        closed = await events.opened(starts_at=NOON, ends_at=ends_at)
        await events.act(closed, "close")
        published = await events.published(starts_at=NOON, ends_at=ends_at)
        draft = await events.draft(starts_at=NOON, ends_at=ends_at)
        later = await events.opened(starts_at=NOON, ends_at=ends_at + timedelta(seconds=1))
    for at in (ends_at + timedelta(minutes=29), ends_at + timedelta(minutes=30)):
        async with events.db.transaction() as session:
            await sweep(session, at)
        state = "running" if at < ends_at + timedelta(minutes=30) else "ended"
        with clock.frozen(at):
            assert (await events.show(opened))["state"] == state
    with clock.frozen(ends_at + timedelta(minutes=30)):
        states = {name: (await events.show(name, events.organiser))["state"] for name in (closed, published, draft)}
        assert states == {closed: "ended", published: "ended", draft: "draft"}
        assert (await events.show(later))["state"] == "running"
        ended = await events.show(opened, events.organiser)
    assert datetime.fromisoformat(ended["ended_at"]) == ends_at + timedelta(minutes=30)
    assert ended["history"][-1]["by"] is None
    async with events.db.transaction() as session:
        assert await sweep(session, ends_at + timedelta(minutes=30)) == 0, "nothing is ended twice"


@pytest.mark.parametrize("action", ["publish", "open"])
async def test_what_is_over_is_not_offered_any_more(events: Events, action: str) -> None:
    with clock.frozen(NOON):
        make = events.draft if action == "publish" else events.published
        activity_id = await make(starts_at=NOON, ends_at=NOON + timedelta(hours=1))
    with clock.frozen(NOON + timedelta(hours=1)):
        refused = await events.post(f"/activities/{activity_id}/{action}", events.organiser)
    assert (refused.status_code, refused.json()["code"]) == (409, "activity_over")


# Lists and input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", list(Category))
async def test_every_category_is_known_by_its_slug_and_its_chinese_name(events: Events, category: Category) -> None:
    for name in (category.value, CATEGORY_ZH[category]):
        answer = await events.post("/activities", events.organiser, events.plan(category=name))
        assert answer.status_code == 201, answer.text
        assert (answer.json()["category"], answer.json()["category_zh"]) == (category.value, CATEGORY_ZH[category])


async def test_lists_are_filtered_by_category_time_and_state_and_turn_pages_without_loss(events: Events) -> None:
    start = clock.now() + timedelta(days=3)
    made = [
        await events.published(
            starts_at=start + timedelta(days=number // 2), category="志愿服务" if number % 2 else "sports_health"
        )
        for number in range(6)
    ]
    assert set(await listed(events)) == set(made)
    assert set(await listed(events, category="volunteering")) == set(made[1::2])
    assert await listed(events, category="志愿服务") == await listed(events, category="volunteering")
    within = {"from": (start + timedelta(hours=1)).isoformat(), "to": (start + timedelta(days=1)).isoformat()}
    assert set(await listed(events, **within)) == set(made[:2])
    assert await listed(events, state="open") == []
    pages, cursor = [], None
    for _ in range(3):
        answer = await events.get(
            "/activities", organisation=events.organisation, limit=2, **({"cursor": cursor} if cursor else {})
        )
        pages.append([item["id"] for item in answer.json()["items"]])
        cursor = answer.json()["next_cursor"]
    assert cursor is None
    assert [len(page) for page in pages] == [2, 2, 2]
    assert {name for page in pages for name in page} == set(made)
    assert set(pages[0]) == set(made[4:]), "the latest start comes first"


async def test_a_cursor_of_another_list_is_refused(events: Events) -> None:
    for _ in range(2):
        await events.published()
    answer = await events.get("/activities", organisation=events.organisation, limit=1)
    cursor = answer.json()["next_cursor"]
    refused = await events.get("/activities", limit=1, cursor=cursor)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_cursor")
    assert (await events.get("/activities", colour="red")).status_code == 422, "an unknown filter"


def soon(**delta: float) -> datetime:
    return clock.now() + timedelta(**delta)


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"title": ""}, "body.title"),
        ({"title": "题" * 101}, "body.title"),
        ({"category": "跑酷"}, "body.category"),
        ({"category": 3}, "body.category"),
        ({"capacity": 0}, "body.capacity"),
        ({"capacity": 5001}, "body.capacity"),
        ({"capacity": "many"}, "body.capacity"),
        ({"capacity": True}, "body.capacity"),
        ({"place": "  "}, "body.place"),
        ({"place": "东\x00门"}, "body.place"),
        ({"starts_at": "2027-03-01T10:00:00"}, "body.starts_at"),
        ({"ends_at": "soon"}, "body.ends_at"),
        ({"organisation_id": str(UUID(int=7))}, "body.organisation_id"),
    ],
)
async def test_bad_input_names_its_field_and_makes_nothing(events: Events, over: dict[str, Any], field: str) -> None:
    refused = await events.post("/activities", events.organiser, events.plan() | over)
    assert refused.status_code == 422
    assert [error["name"] for error in refused.json()["errors"]] == [field]
    assert await listed(events, events.organiser) == []


@pytest.mark.parametrize(
    ("starts", "ends", "field"),
    [
        ({"days": 1}, {"days": 1}, "body.ends_at"),
        ({"days": 2}, {"days": 1}, "body.ends_at"),
        ({"days": 1}, {"days": 15, "seconds": 1}, "body.ends_at"),
        ({"hours": -3}, {"hours": -1}, "body.ends_at"),
        ({"days": 731}, {"days": 732}, "body.starts_at"),
    ],
    ids=["no-length", "backwards", "too-long", "over-already", "years-ahead"],
)
async def test_a_schedule_that_cannot_be_names_its_field(
    events: Events, starts: dict[str, float], ends: dict[str, float], field: str
) -> None:
    with clock.frozen(NOON):
        plan = events.plan(starts_at=soon(**starts), ends_at=soon(**ends))
        refused = await events.post("/activities", events.organiser, plan)
    assert refused.status_code == 422
    assert [error["name"] for error in refused.json()["errors"]] == [field]


async def test_what_has_begun_already_may_still_be_written_down(events: Events) -> None:
    activity_id = await events.opened(starts_at=soon(hours=-1), ends_at=soon(hours=1))
    assert (await events.show(activity_id))["state"] == "running"


async def test_extreme_times_are_refused_not_stumbled_over(events: Events) -> None:
    for starts_at, ends_at in (
        ("9999-12-31T23:00:00-12:00", "9999-12-31T23:59:59-12:00"),
        ("0001-01-01T00:00:00+12:00", "0001-01-01T00:00:01+12:00"),
    ):
        plan = events.plan() | {"starts_at": starts_at, "ends_at": ends_at}
        assert (await events.post("/activities", events.organiser, plan)).status_code == 422
    for name in ("from", "to"):
        for time in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"):
            assert (await events.get("/activities", **{name: time})).status_code in {200, 422}
