"""What was posted by hand can be taken back, and points can be kept for a purpose, without a point too many."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Transfer
from services.points.ledger.terms import TransferCode, coupon_liability, household_wallet
from tests.points.facts import Order
from tests.points.postings.desk import HOLDS, ISSUANCE, TRANSFERS, Desk, taking, wallet
from tests.town import actor

BACK = {"reason": "误记"}


def hold(household: Any, amount: int, **further: Any) -> dict[str, Any]:
    """Points of a household to keep for an hour."""
    lapses_at = (clock.now() + timedelta(hours=1)).isoformat()
    body = {"debit": wallet(household), "credit": ISSUANCE, "amount": amount, "lapses_at": lapses_at}
    return body | {"code": "activity", "reason": "占位"} | further


async def test_a_transfer_is_taken_back_in_parts_and_never_beyond(desk: Desk) -> None:
    home = new_id()
    given = await desk.give(home, 10)
    path = f"{TRANSFERS}/{given['id']}/reverse"
    part = await desk.done(path, BACK | {"amount": 4})
    assert part.items() >= {"code": "reversal", "amount": 4, "reverses": given["id"]}.items()
    assert part["debit"]["balance"] == 6
    assert await desk.refused(path, BACK | {"amount": 7}) == (409, "reversal_exceeds_transfer", ["body.amount"])
    rest = await desk.done(path, BACK)
    assert (rest["amount"], rest["debit"]["balance"]) == (6, 0)
    assert (await desk.refused(path, BACK))[:2] == (409, "reversal_exceeds_transfer")
    assert (await desk.get(f"{TRANSFERS}/{given['id']}")).json()["reversed"] == 10
    assert (await desk.refused(f"{TRANSFERS}/{part['id']}/reverse", BACK))[:2] == (409, "not_reversible")
    assert (await desk.refused(f"{TRANSFERS}/{new_id()}/reverse", BACK))[:2] == (404, "transfer_not_found")
    await desk.points.check()


async def test_two_who_take_the_same_transfer_back_at_once_do_so_once(desk: Desk) -> None:
    home = new_id()
    given = await desk.give(home, 10)
    path = f"{TRANSFERS}/{given['id']}/reverse"
    answers = await asyncio.gather(*(desk.post(path, BACK) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await desk.balance(home) == (0, 0)


async def test_an_award_that_was_spent_is_owed_after_its_reversal(desk: Desk) -> None:
    home, reporter = new_id(), new_id()
    await desk.points.tell(Order().closed(new_id(), reporter_id=reporter, reporter_household_id=home))
    [award] = await desk.items(TRANSFERS, account=str(household_wallet(home).id))
    await desk.done(TRANSFERS, taking(home, 2))
    await desk.done(f"{TRANSFERS}/{award['id']}/reverse", BACK)
    account = await desk.account(str(household_wallet(home).id))
    assert (account["balance"], account["debt"], account["available"]) == (-2, 2, -2)
    await desk.give(home, 5)
    account = await desk.account(str(household_wallet(home).id))
    assert (account["balance"], account["debt"], account["available"]) == (3, 0, 3)


async def test_what_is_held_cannot_be_spent_until_it_is_given_back(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    held = await desk.done(HOLDS, hold(home, 7))
    assert held["hold"].items() >= {"amount": 7, "state": "open", "posted_amount": None}.items()
    assert (held["transfer"], held["debit"]["balance"], held["debit"]["available"]) == (None, 10, 3)
    assert (await desk.refused(TRANSFERS, taking(home, 4)))[1] == "insufficient_points"
    assert await desk.refused(HOLDS, hold(home, 4)) == (422, "insufficient_points", ["body.amount"])
    account = await desk.account(held["hold"]["debit_account_id"])
    assert (account["balance"], account["held"], account["available"]) == (10, 7, 3)
    void = await desk.done(f"{HOLDS}/{held['hold']['id']}/void", {"reason": "取消"}, status=200)
    assert (void["hold"]["state"], void["debit"]["available"]) == ("voided", 10)
    await desk.done(TRANSFERS, taking(home, 10))


async def test_of_a_hold_a_part_is_posted_once_and_the_rest_is_given_back(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    held = await desk.done(HOLDS, hold(home, 7))
    path = f"{HOLDS}/{held['hold']['id']}"
    assert await desk.refused(f"{path}/post", {"amount": 8, "reason": "参加"}) == (
        409,
        "hold_exceeded",
        ["body.amount"],
    )
    posted = await desk.done(f"{path}/post", {"amount": 5, "reason": "参加"})
    assert posted["transfer"].items() >= {"amount": 5, "code": "activity", "hold": held["hold"]["id"]}.items()
    assert (posted["debit"]["balance"], posted["debit"]["available"]) == (5, 5)
    assert posted["hold"].items() >= {"state": "posted", "posted_amount": 5}.items()
    assert (await desk.refused(f"{path}/post", {"reason": "x"}))[:2] == (409, "hold_already_posted")
    assert (await desk.refused(f"{path}/void", {"reason": "x"}))[:2] == (409, "hold_already_posted")
    shown = (await desk.get(path, who=actor("auditor"))).json()
    assert shown.items() >= posted["hold"].items()


async def test_a_hold_that_was_voided_is_not_posted(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    path = f"{HOLDS}/{(await desk.done(HOLDS, hold(home, 7)))['hold']['id']}"
    await desk.done(f"{path}/void", {"reason": "取消"}, status=200)
    assert (await desk.refused(f"{path}/post", {"reason": "x"}))[:2] == (409, "hold_voided")
    assert (await desk.refused(f"{HOLDS}/{new_id()}/post", {"reason": "x"}))[:2] == (404, "hold_not_found")
    assert (await desk.get(f"{HOLDS}/{new_id()}")).status_code == 404


async def test_a_hold_whose_time_is_over_is_not_posted_and_is_shown_as_lapsed(own_desk: Desk) -> None:
    home, start = new_id(), clock.now()
    await own_desk.give(home, 10)
    path = f"{HOLDS}/{(await own_desk.done(HOLDS, hold(home, 7)))['hold']['id']}"
    with clock.frozen(start + timedelta(hours=2)):
        assert (await own_desk.refused(f"{path}/post", {"reason": "x"}))[:2] == (409, "hold_lapsed")
        assert (await own_desk.get(path)).json()["state"] == "lapsed"


@pytest.mark.parametrize("path", ["/post", "/void"])
async def test_nobody_but_an_administrator_touches_a_hold(desk: Desk, path: str) -> None:
    home = new_id()
    await desk.give(home, 10)
    held = await desk.done(HOLDS, hold(home, 7))
    for role in ("auditor", "supervisor", "resident"):
        answer = await desk.post(f"{HOLDS}/{held['hold']['id']}{path}", {"reason": "x"}, who=actor(role))
        assert answer.status_code == 403
    assert await desk.balance(home) == (10, 3)


async def test_a_hold_ends_in_the_future(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    past = hold(home, 7, lapses_at="2026-01-01T00:00:00Z")
    assert await desk.refused(HOLDS, past) == (422, "lapse_not_ahead", ["body.lapses_at"])


async def test_dry_runs_of_reversals_and_holds_change_nothing(desk: Desk) -> None:
    home = new_id()
    given = await desk.give(home, 10)
    held = await desk.done(HOLDS, hold(home, 3))
    for path, body in [
        (f"{TRANSFERS}/{given['id']}/reverse", BACK),
        (HOLDS, hold(home, 7)),
        (f"{HOLDS}/{held['hold']['id']}/post", {"reason": "x"}),
    ]:
        answer = await desk.done(path, body, status=200, dry_run="true", key=None)
        assert answer["results"][0]["would"]["debit"]["account_id"] == str(household_wallet(home).id)
    assert await desk.balance(home) == (10, 7)


async def test_what_was_paid_for_a_coupon_is_not_taken_back_without_the_coupon(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    paid = Transfer(
        debit=household_wallet(home),
        credit=coupon_liability(),
        amount=5,
        code=TransferCode.REDEMPTION,
        reference=f"coupon/{home}/issue",
        occurred_at=clock.now(),
    )
    async with desk.points.db.transaction() as session:
        result = await post(session, paid)
    assert result.transfer is not None
    assert (await desk.refused(f"{TRANSFERS}/{result.transfer.id}/reverse", BACK))[:2] == (422, "not_by_hand")
