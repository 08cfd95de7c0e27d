"""How a reward comes into the catalogue: nothing is offered that two people have not agreed to as it is."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chassis.core import clock
from chassis.core.ids import new_id
from tests.points.rewards.conftest import Shop, code_of
from tests.points.rewards.office import APPROVER, AUDITOR, WRITER, Office, draft, merchant_with_stores
from tests.town import actor

NOON = datetime(2026, 12, 1, 4, tzinfo=UTC)


@pytest.fixture
def office(shop: Shop) -> Office:
    return Office(shop)


async def test_nobody_sees_or_gets_a_reward_before_two_people_agreed_and_it_was_listed(
    office: Office, shop: Shop
) -> None:
    family = await shop.household(24)
    reward = await office.drafted()
    for step in ("approve", "list", None):
        assert (await office.public(reward)).status_code == 404
        answer = await shop.redeem(family, reward["id"])
        assert (answer.status_code, code_of(answer)) == (404, "reward_not_found")
        if step == "approve":
            reward = await office.approve(reward)
            assert (reward["state"], reward["approved_by"]) == ("approved", str(APPROVER.id))
        elif step == "list":
            reward = await office.done("POST", f"/{reward['id']}/list")
            break
    assert reward["state"] == "listed"
    seen = (await office.public(reward)).json()
    assert (seen["title"], seen["state"], "payable_fen" in seen) == ("理发券", "listed", False)
    assert (await shop.coupon(family, reward["id"]))["refund_on_expiry"] is True
    assert await shop.balance(family) == 12


async def test_who_wrote_any_of_it_does_not_approve_it(office: Office) -> None:
    reward = await office.drafted()
    second = draft(**{name: reward[name] for name in ("stock",)}, merchants=[{"id": reward["merchants"][0]["id"]}])
    edited = await office.done("PUT", f"/{reward['id']}", APPROVER, json=second | {"cost": 13, "version": 1})
    for who in (WRITER, APPROVER):
        refused = await office.refused("POST", f"/{reward['id']}/approve", who, json={"version": edited["version"]})
        assert refused == (403, "second_person_needed")
    assert (await office.approve(edited, actor("administrator")))["state"] == "approved"


async def test_nobody_approves_what_they_have_not_seen(office: Office) -> None:
    reward = await office.drafted()
    edited = draft(merchants=[{"id": reward["merchants"][0]["id"]}], payable_fen=1999) | {"version": 1}
    assert (await office.done("PUT", f"/{reward['id']}", json=edited))["version"] == 2
    refused = await office.refused("POST", f"/{reward['id']}/approve", APPROVER, json={"version": 1})
    assert refused == (409, "reward_changed")
    assert await office.refused("PUT", f"/{reward['id']}", json=edited) == (409, "reward_changed")


async def test_what_was_approved_and_then_written_anew_must_be_approved_again(office: Office) -> None:
    reward = await office.approved()
    body = draft(merchants=[{"id": reward["merchants"][0]["id"]}]) | {"version": reward["version"]}
    same = await office.done("PUT", f"/{reward['id']}", json=body)
    assert (same["state"], same["version"]) == ("approved", reward["version"])  # nothing is otherwise
    changed = await office.done("PUT", f"/{reward['id']}", json=body | {"stock": 11})
    assert (changed["state"], changed["approved_by"]) == ("draft", None)
    assert await office.refused("POST", f"/{reward['id']}/list") == (409, "reward_state_wrong")


async def test_of_a_listed_reward_only_words_end_and_numbers_change(office: Office) -> None:
    reward = await office.listed()
    path = f"/{reward['id']}"
    body = draft(merchants=[{"id": reward["merchants"][0]["id"]}], cost=1) | {"version": reward["version"]}
    assert await office.refused("PUT", path, json=body) == (409, "reward_state_wrong")
    for field in ("cost", "payable_fen", "stock", "refund_on_expiry", "audience"):
        assert await office.refused("PATCH", path, json={field: 1}) == (422, "invalid")
    revised = await office.done(
        "PATCH", path, json={"title": "新理发券", "ends_at": "2030-01-01T00:00:00Z", "daily_stock": 3}
    )
    assert (revised["title"], revised["ends_at"], revised["left_today"]) == ("新理发券", "2030-01-01T00:00:00Z", 3)
    assert (await office.done("PATCH", path, json={"daily_stock": None}))["left_today"] == 10
    for wrong in ({"title": None}, {"ends_at": "2026-01-01T00:00:00Z"}):
        assert await office.refused("PATCH", path, json=wrong) == (422, "reward_faulty")


async def test_stock_is_added_once_and_never_falls_below_nothing(office: Office) -> None:
    reward = await office.listed(stock=2)
    path = f"/{reward['id']}/stock"
    for _ in range(2):
        more = await office.done("POST", path, json={"add": 5}, headers={"Idempotency-Key": f"more-{reward['id']}"})
        assert more["stock"] == 7
    assert await office.refused("POST", path, json={"add": -8}) == (422, "reward_faulty")
    assert (await office.done("POST", path, json={"add": -7}))["stock"] == 0


async def test_pieces_that_are_added_while_others_are_taken_are_all_counted(office: Office, shop: Shop) -> None:
    reward, families = await office.listed(stock=20), await shop.households(20, 12)
    path = f"/{reward['id']}/stock"
    taken, _ = await asyncio.gather(
        asyncio.gather(*(shop.redeem(family, reward["id"]) for family in families)),
        asyncio.gather(*(office.done("POST", path, json={"add": 3}) for _ in range(5))),
    )
    assert {answer.status_code for answer in taken} == {201}
    record = await office.done("GET", f"/{reward['id']}")
    assert (record["stock"], record["version"]) == (20 - 20 + 15, reward["version"] + 5)
    await shop.check()


async def test_what_has_ended_is_redeemed_no_more_and_its_coupons_stay_good(office: Office, shop: Shop) -> None:
    reward, family = await office.listed(), await shop.household(24)
    coupon = await shop.coupon(family, reward["id"])
    ended = await office.done("POST", f"/{reward['id']}/end", json={"reason": "商家歇业"})
    assert ended["state"] == "ended"
    answer = await shop.redeem(family, reward["id"])
    assert (answer.status_code, code_of(answer)) == (409, "reward_not_offered")
    assert (await shop.show(family, coupon["id"])).json()["state"] == "effective"
    assert (await office.public(reward)).json()["state"] == "ended"
    for path, body in (("end", {"reason": "再次"}), ("stock", {"add": 1}), ("list", None)):
        assert await office.refused("POST", f"/{reward['id']}/{path}", json=body) == (409, "reward_state_wrong")


async def test_a_listed_reward_ends_by_itself_when_its_time_is_over(office: Office) -> None:
    with clock.frozen(NOON):
        reward = await office.listed(ends_at="2026-12-01T05:00:00Z")
    with clock.frozen(NOON + timedelta(hours=1)):
        assert (await office.done("GET", f"/{reward['id']}", AUDITOR))["state"] == "ended"
        assert await office.refused("PATCH", f"/{reward['id']}", json={"title": "晚"}) == (409, "reward_state_wrong")
        for state, there in (("listed", False), ("ended", True)):
            page = await office.done("GET", "", AUDITOR, params={"state": state, "limit": "200"})
            assert (reward["id"] in [item["id"] for item in page["items"]]) is there


async def test_a_draft_that_is_laid_aside_was_never_public(office: Office) -> None:
    reward = await office.drafted()
    assert (await office.done("POST", f"/{reward['id']}/end", json={"reason": "重复"}))["state"] == "ended"
    assert (await office.public(reward)).status_code == 404


async def test_time_that_ran_out_before_it_was_approved_or_listed_is_said_so(office: Office) -> None:
    with clock.frozen(NOON):
        first = await office.drafted(ends_at="2026-12-01T05:00:00Z")
        second = await office.approved(ends_at="2026-12-01T05:00:00Z")
    with clock.frozen(NOON + timedelta(hours=1)):
        refused = await office.refused("POST", f"/{first['id']}/approve", APPROVER, json={"version": 1})
        assert refused == (422, "reward_faulty")
        assert await office.refused("POST", f"/{second['id']}/list") == (422, "reward_faulty")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": "2025-12-31T00:00:00Z"}, "body.ends_at"),
        ({"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2021-01-01T00:00:00Z"}, "body.ends_at"),
        ({"limit_period": "month"}, "body.household_limit"),
        ({"daily_stock": 11}, "body.daily_stock"),
        ({"payable_fen": 2001}, "body.payable_fen"),
        ({"merchants": []}, "body.merchants"),
        ({"merchants": [{"id": str(new_id())}]}, "body.merchants.0.id"),
        ({"cost": 0}, "body.cost"),
        ({"stock": 0}, "body.stock"),
        ({"title": " "}, "body.title"),
        ({"kind": "money"}, "body.kind"),
        ({"audience": "friends"}, "body.audience"),
        ({"starts_at": "2026-01-01T00:00:00"}, "body.starts_at"),
        ({"colour": "red"}, "body.colour"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_could_not_be_offered_is_refused_with_its_field(
    office: Office, shop: Shop, changes: dict[str, Any], field: str
) -> None:
    answer = await office.ask("POST", "", json=draft(await merchant_with_stores(shop)) | changes)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_stores_of_others_and_merchants_named_twice_are_refused(office: Office, shop: Shop) -> None:
    merchant = await merchant_with_stores(shop)
    id_ = str(merchant.id)
    for merchants, field in (
        ([{"id": id_, "stores": ["east", "north"]}], "body.merchants.0.stores.1"),
        ([{"id": id_}, {"id": id_, "stores": ["west"]}], "body.merchants.1.id"),
    ):
        answer = await office.ask("POST", "", json=draft(merchants=merchants))
        assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_who_did_what_stands_in_its_history_the_last_first(office: Office, shop: Shop) -> None:
    reward = await office.listed()
    await office.done("PATCH", f"/{reward['id']}", json={"title": "新理发券"})
    await office.done("POST", f"/{reward['id']}/stock", APPROVER, json={"add": 2})
    await office.done("POST", f"/{reward['id']}/end", json={"reason": "商家歇业"})
    first = await office.done("GET", f"/{reward['id']}/changes", AUDITOR, params={"limit": "3"})
    rest = await office.done("GET", f"/{reward['id']}/changes", AUDITOR, params={"cursor": first["next_cursor"]})
    lines = first["items"] + rest["items"]
    assert [(line["number"], line["kind"]) for line in lines] == [
        (6, "ended"),
        (5, "restocked"),
        (4, "revised"),
        (3, "listed"),
        (2, "approved"),
        (1, "drafted"),
    ]
    assert (lines[0]["reason"], lines[1]["by_id"]) == ("商家歇业", str(APPROVER.id))
    assert (lines[1]["fields"], lines[2]["fields"]) == ({"stock": [10, 12]}, {"title": ["理发券", "新理发券"]})


@pytest.mark.parametrize("statement", ["UPDATE reward_change SET at = at", "DELETE FROM reward_change"])
async def test_the_history_of_a_reward_cannot_be_rewritten(shop: Shop, statement: str) -> None:
    async with shop.db.sessions() as session:
        with pytest.raises(Exception, match="permission denied"):
            await session.execute(text(statement))


async def test_auditors_read_the_catalogue_and_change_nothing(office: Office) -> None:
    reward = await office.drafted(title="审计可见")
    assert (await office.done("GET", f"/{reward['id']}", AUDITOR))["payable_fen"] == 1500
    found = await office.done("GET", "", AUDITOR, params={"q": "审计可见", "state": "draft"})
    assert [item["id"] for item in found["items"]] == [reward["id"]]
    for method, path in (("POST", "/approve"), ("POST", "/list"), ("PATCH", "")):
        assert await office.refused(method, f"/{reward['id']}{path}", AUDITOR, json={}) == (403, "forbidden")


async def test_the_list_of_all_goes_from_the_last_written_to_the_first_page_by_page(office: Office) -> None:
    word = new_id().hex
    made = [(await office.drafted(title=f"{word}{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    params = {"q": word, "limit": "2"}
    while True:
        page = await office.done("GET", "", params=params)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
