"""Much is not moved by one administrator alone, nor anybody's own points."""

import asyncio
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.households.tables import Household, Member
from tests.points.postings.desk import (
    HOLDS,
    ISSUANCE,
    POSTINGS,
    STAFF_ISSUANCE,
    TRANSFERS,
    Desk,
    gift,
    staff_wallet,
    taking,
    wallet,
    wallet_id,
)
from tests.town import actor


async def test_above_the_limit_nothing_moves_until_a_second_administrator_agrees(desk: Desk) -> None:
    home = new_id()
    proposed = await desk.done(TRANSFERS, gift(home, 1001, reason="大额更正"), status=202)
    assert proposed.items() >= {"state": "pending", "kind": "transfers", "items": 1, "points": 1001}.items()
    assert await desk.balance_or_none(home) is None
    approved = await desk.done(f"{POSTINGS}/{proposed['id']}/approve", who=desk.second, status=200)
    [item] = approved["results"]
    assert (approved["state"], item["status"], item["transfer"]["credit"]["balance"]) == ("approved", 201, 1001)
    assert await desk.balance(home) == (1001, 1001)
    shown = (await desk.get(f"{TRANSFERS}/{item['transfer']['id']}")).json()
    assert shown.items() >= {"reason": "大额更正", "proposal": proposed["id"]}.items()
    assert (shown["posted_by"], shown["approved_by"]) == (str(desk.admin.id), str(desk.second.id))
    await desk.points.check()


async def test_exactly_the_limit_is_posted_by_one(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 1000)
    assert await desk.balance(home) == (1000, 1000)


async def test_what_is_above_the_limit_is_not_posted_alone_in_parts_either(own_desk: Desk) -> None:
    desk, home = own_desk, new_id()
    with clock.frozen(clock.now()):  # it is one day all the while
        for _ in range(3):
            await desk.give(home, 1000)
        move = {name: value for name, value in gift(home, 990).items() if name != "reason"}
        await desk.done(f"{TRANSFERS}/batch", {"reason": "补记", "transfers": [move]}, status=200)
        lapses_at = (clock.now() + timedelta(days=1)).isoformat()
        held = await desk.done(HOLDS, taking(home, 1000, lapses_at=lapses_at))
        await desk.done(f"{HOLDS}/{held['hold']['id']}/post", {"reason": "活动"})  # counted when they were held
        trial = await desk.done(TRANSFERS, gift(home, 11), status=200, dry_run="true")
        assert trial["needs_approval"] is True
        proposed = await desk.done(TRANSFERS, gift(home, 11), status=202)
        await desk.give(home, 10)
        assert await desk.balance(home) == (3000, 3000)
        await desk.done(TRANSFERS, gift(home, 1000), who=desk.second)  # whose day has only begun
        await desk.done(f"{POSTINGS}/{proposed['id']}/approve", who=desk.second, status=200)
    tomorrow = clock.today() + timedelta(days=1)
    with clock.frozen(datetime.combine(tomorrow, time(), BEIJING)):
        await desk.give(home, 1000)
    await desk.points.check()


async def test_parts_sent_at_once_are_added_up_as_well(own_desk: Desk) -> None:
    home = new_id()
    with clock.frozen(clock.now()):  # it is one day all the while
        answers = await asyncio.gather(*[own_desk.post(TRANSFERS, gift(home, 1000)) for _ in range(12)])
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [202] * 7
    assert await own_desk.balance(home) == (5000, 5000)


async def test_whoever_proposes_does_not_approve_nor_reject(desk: Desk) -> None:
    proposed = await desk.done(TRANSFERS, gift(new_id(), 2000), status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    assert (await desk.refused(f"{path}/approve"))[:2] == (403, "own_proposal")
    assert (await desk.refused(f"{path}/reject", {"reason": "算了"}))[:2] == (403, "own_proposal")
    assert (await desk.get(path)).json()["state"] == "pending"


async def test_a_proposal_is_carried_out_once_however_many_approve_it_at_once(desk: Desk) -> None:
    home = new_id()
    proposed = await desk.done(TRANSFERS, gift(home, 2000), status=202)
    path = f"{POSTINGS}/{proposed['id']}/approve"
    answers = await asyncio.gather(*(desk.post(path, who=actor("administrator")) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"proposal_closed"}
    assert await desk.balance(home) == (2000, 2000)


async def test_an_approval_sent_twice_under_one_key_is_answered_the_same(desk: Desk) -> None:
    proposed = await desk.done(TRANSFERS, gift(new_id(), 2000), status=202)
    path, key = f"{POSTINGS}/{proposed['id']}/approve", str(new_id())
    first = await desk.post(path, who=desk.second, key=key)
    again = await desk.post(path, who=desk.second, key=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert (await desk.refused(path, who=desk.second, key=None))[2] == ["header.Idempotency-Key"]


async def test_a_proposal_sent_twice_under_one_key_is_one(desk: Desk) -> None:
    key, body = str(new_id()), gift(new_id(), 2000)
    first = await desk.post(TRANSFERS, body, key=key)
    again = await desk.post(TRANSFERS, body, key=key)
    assert (again.status_code, again.content) == (202, first.content)


async def test_what_was_rejected_is_not_approved_any_more(desk: Desk) -> None:
    home = new_id()
    proposed = await desk.done(TRANSFERS, gift(home, 2000), status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    rejected = await desk.done(f"{path}/reject", {"reason": "依据不足"}, who=desk.second, status=200)
    assert rejected.items() >= {"state": "rejected", "remark": "依据不足", "decided_by": str(desk.second.id)}.items()
    third = actor("administrator")
    assert (await desk.refused(f"{path}/approve", who=third))[:2] == (409, "proposal_closed")
    assert (await desk.refused(f"{path}/reject", {"reason": "x"}, who=third))[:2] == (409, "proposal_closed")
    assert await desk.balance_or_none(home) is None


async def test_a_proposal_that_nobody_decides_on_lapses(own_desk: Desk) -> None:
    proposed = await own_desk.done(TRANSFERS, gift(new_id(), 2000), status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    with clock.frozen(clock.now() + timedelta(days=7, seconds=1)):
        assert (await own_desk.refused(f"{path}/approve", who=own_desk.second))[:2] == (409, "proposal_lapsed")
        assert (await own_desk.get(path)).json()["state"] == "lapsed"
        assert [item["id"] for item in await own_desk.items(POSTINGS, state="lapsed")] == [proposed["id"]]
        assert await own_desk.items(POSTINGS, state="pending") == []


async def test_where_the_ledger_refuses_it_the_proposal_waits_on(desk: Desk) -> None:
    home = new_id()
    for _ in range(2):
        await desk.give(home, 1000)
    proposed = await desk.done(TRANSFERS, taking(home, 2000), status=202)
    await desk.done(TRANSFERS, taking(home, 1))
    path = f"{POSTINGS}/{proposed['id']}"
    refusal = await desk.refused(f"{path}/approve", who=desk.second)
    assert refusal == (422, "insufficient_points", ["body.transfers.0.amount"])
    assert (await desk.get(path)).json()["state"] == "pending"
    await desk.give(home, 1)
    await desk.done(f"{path}/approve", who=desk.second, status=200)
    assert await desk.balance(home) == (0, 0)


async def test_what_cannot_be_carried_out_now_is_not_proposed(desk: Desk) -> None:
    assert (await desk.refused(TRANSFERS, taking(new_id(), 2000)))[1] == "insufficient_points"


async def test_nobody_posts_to_their_own_wallet_or_household_alone(desk: Desk) -> None:
    home = new_id()
    neighbour = Actor(new_id(), frozenset({"administrator", "resident"}), None, None, home)
    assert (await desk.post(TRANSFERS, gift(home, 1), who=neighbour)).status_code == 202
    own = {"debit": STAFF_ISSUANCE, "credit": staff_wallet(neighbour.id), "amount": 1, "reason": "x"}
    proposed = await desk.done(TRANSFERS, own, who=neighbour, status=202)
    await desk.done(f"{POSTINGS}/{proposed['id']}/approve", status=200)


@pytest.mark.parametrize("told_by_the_token", [True, False], ids=["another_household", "no_household"])
async def test_an_old_token_hides_no_household_that_one_has_joined_since(desk: Desk, told_by_the_token: bool) -> None:
    home, before = new_id(), new_id() if told_by_the_token else None
    admin = actor("administrator", household_id=before)
    async with desk.points.db.transaction() as session:
        session.add(Household(id=home, version=1, dissolved_into=None))
        await session.flush()
        session.add(Member(household_id=home, person_id=admin.id, child=False, consented=False))
    await desk.done(TRANSFERS, gift(home, 5), who=admin, status=202)
    proposed = await desk.done(TRANSFERS, gift(home, 2000), status=202)
    refusal = await desk.refused(f"{POSTINGS}/{proposed['id']}/approve", who=admin)
    assert refusal[:2] == (403, "own_points")
    assert await desk.balance_or_none(home) is None


async def test_nobody_approves_what_moves_points_of_their_own(desk: Desk) -> None:
    home = new_id()
    neighbour = Actor(new_id(), frozenset({"administrator"}), None, None, home)
    proposed = await desk.done(TRANSFERS, gift(home, 2000), status=202)
    assert (await desk.refused(f"{POSTINGS}/{proposed['id']}/approve", who=neighbour))[:2] == (403, "own_points")
    assert await desk.balance_or_none(home) is None


async def test_reversals_and_holds_above_the_limit_need_a_second_one_too(desk: Desk) -> None:
    home = new_id()
    given = await desk.done(TRANSFERS, gift(home, 1500), status=202)
    [item] = (await desk.done(f"{POSTINGS}/{given['id']}/approve", who=desk.second, status=200))["results"]
    lapses_at = (clock.now() + timedelta(hours=1)).isoformat()
    hold = {"debit": wallet(home), "credit": ISSUANCE, "amount": 1200, "lapses_at": lapses_at, "reason": "x"}
    asked = await desk.done(HOLDS, hold, status=202)
    [held] = (await desk.done(f"{POSTINGS}/{asked['id']}/approve", who=desk.second, status=200))["results"]
    assert await desk.balance(home) == (1500, 300)
    asked = await desk.done(f"{HOLDS}/{held['hold']['id']}/post", {"reason": "x"}, status=202)
    assert (asked["kind"], asked["points"]) == ("post", 1200)
    [posted] = (await desk.done(f"{POSTINGS}/{asked['id']}/approve", who=desk.second, status=200))["results"]
    assert (posted["hold"]["state"], posted["transfer"]["amount"]) == ("posted", 1200)
    asked = await desk.done(f"{TRANSFERS}/{item['transfer']['id']}/reverse", {"reason": "x"}, status=202)
    assert (asked["kind"], asked["points"]) == ("reversal", 1500)
    await desk.done(f"{POSTINGS}/{asked['id']}/approve", who=desk.second, status=200)
    account = await desk.account(wallet_id(home))
    assert (account["balance"], account["debt"]) == (-1200, 1200)
    await desk.points.check()


async def test_giving_a_hold_back_needs_no_second_one(desk: Desk) -> None:
    home = new_id()
    for _ in range(2):
        await desk.give(home, 1000)
    lapses_at = (clock.now() + timedelta(hours=1)).isoformat()
    hold = {"debit": wallet(home), "credit": ISSUANCE, "amount": 1200, "lapses_at": lapses_at, "reason": "x"}
    asked = await desk.done(HOLDS, hold, status=202)
    [held] = (await desk.done(f"{POSTINGS}/{asked['id']}/approve", who=desk.second, status=200))["results"]
    await desk.done(f"{HOLDS}/{held['hold']['id']}/void", {"reason": "x"}, status=200)
    assert await desk.balance(home) == (2000, 2000)


async def test_nobody_gives_a_hold_of_their_own_back_alone(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 100)
    lapses_at = (clock.now() + timedelta(days=1)).isoformat()
    held = await desk.done(HOLDS, taking(home, 60, lapses_at=lapses_at))
    path = f"{HOLDS}/{held['hold']['id']}/void"
    refusal = await desk.refused(path, {"reason": "不去了"}, who=actor("administrator", household_id=home))
    assert refusal[:2] == (403, "own_points")
    assert await desk.balance(home) == (100, 40)
    await desk.done(path, {"reason": "不去了"}, status=200)
    assert await desk.balance(home) == (100, 100)


async def test_an_erased_reason_is_gone_from_its_proposal_too(desk: Desk) -> None:
    proposed = await desk.done(TRANSFERS, gift(new_id(), 2000, reason="李某某"), status=202)
    path = f"{POSTINGS}/{proposed['id']}"
    assert (await desk.get(path)).json()["reason"] == "李某某"
    [item] = (await desk.done(f"{path}/approve", who=desk.second, status=200))["results"]
    async with desk.points.client(desk.admin) as client:
        answer = await client.delete(f"{TRANSFERS}/{item['transfer']['id']}/reason")
    assert answer.status_code == 204
    assert "李某某" not in (await desk.get(path)).text


async def test_taking_back_all_that_is_left_means_what_was_left_when_the_second_one_was_asked(desk: Desk) -> None:
    home = new_id()
    proposed = await desk.done(TRANSFERS, gift(home, 3000), status=202)
    [item] = (await desk.done(f"{POSTINGS}/{proposed['id']}/approve", who=desk.second, status=200))["results"]
    back = f"{TRANSFERS}/{item['transfer']['id']}/reverse"
    await desk.done(back, {"reason": "部分", "amount": 300})
    asked = await desk.done(back, {"reason": "全部"}, status=202)
    path = f"{POSTINGS}/{asked['id']}"
    shown = (await desk.get(path)).json()
    assert (shown["points"], shown["request"]["amount"]) == (2700, 2700)
    await desk.done(back, {"reason": "又一部分", "amount": 100})
    assert (await desk.refused(f"{path}/approve", who=desk.second))[:2] == (409, "reversal_exceeds_transfer")
    assert await desk.balance(home) == (2600, 2600)
    again = await desk.done(back, {"reason": "全部"}, status=202)
    await desk.done(f"{POSTINGS}/{again['id']}/approve", who=desk.second, status=200)
    assert await desk.balance(home) == (0, 0)


async def test_auditors_see_all_proposals_and_decide_on_none(desk: Desk) -> None:
    home = new_id()
    proposed = await desk.done(TRANSFERS, gift(home, 2000, reason="看看"), status=202)
    path, auditor = f"{POSTINGS}/{proposed['id']}", actor("auditor")
    detail = (await desk.get(path, who=auditor)).json()
    [move] = detail["request"]["transfers"]
    assert (move["credit"]["owner_id"], move["amount"], detail["reason"]) == (str(home), 2000, "看看")
    assert proposed["id"] in [item["id"] for item in await desk.items(POSTINGS, who=auditor, state="pending")]
    assert (await desk.refused(f"{path}/approve", who=auditor))[:2] == (403, "forbidden")
    assert (await desk.refused(f"{path}/reject", {"reason": "x"}, who=auditor))[:2] == (403, "forbidden")
    assert (await desk.get(path, who=actor("supervisor"))).status_code == 403


async def test_proposals_in_pages_are_all_proposals_and_a_cursor_keeps_its_filter(desk: Desk) -> None:
    mine = [(await desk.done(TRANSFERS, gift(new_id(), 2000), status=202))["id"] for _ in range(5)]
    paged = [item["id"] for item in await desk.items(POSTINGS, state="pending", limit=2)]
    assert paged[:5] == mine[::-1]
    cursor = (await desk.get(POSTINGS, state="pending", limit=2)).json()["next_cursor"]
    others: list[dict[str, Any]] = [{}, {"state": "approved"}]
    for params in others:
        answer = await desk.get(POSTINGS, cursor=cursor, limit=2, **params)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
    assert (await desk.get(POSTINGS, colour="red")).status_code == 422
    assert (await desk.get(f"{POSTINGS}/{new_id()}")).status_code == 404


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "more": 1}])
async def test_a_rejection_says_why(desk: Desk, body: dict[str, object]) -> None:
    proposed = await desk.done(TRANSFERS, gift(new_id(), 2000), status=202)
    assert (await desk.refused(f"{POSTINGS}/{proposed['id']}/reject", body, who=desk.second))[0] == 422
