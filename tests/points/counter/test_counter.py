"""柜台: what people at a counter redeem and undo, and who may."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from chassis.core import clock
from services.points.coupons.tables import CouponEvent
from tests.points.counter.conftest import Counter, new_counter
from tests.points.facts import Family
from tests.points.rewards.conftest import code_of
from tests.town import actor


async def test_a_coupon_is_looked_at_redeemed_and_undone_and_the_merchant_is_owed_what_is_left(
    counter: Counter,
) -> None:
    family, coupon = await counter.coupon()
    seen = (await counter.look(coupon["code"])).json()
    assert (seen["usable"], seen["reason"], seen["state"]) == (True, None, "effective")
    assert (seen["coupon_id"], seen["reward_title"], seen["face_fen"]) == (coupon["id"], "理发券", 2000)
    use = (await counter.ask("use", {"token": seen["token"]})).json()
    assert use["coupon_id"] == coupon["id"]
    assert datetime.fromisoformat(use["returnable_until"]) == datetime.fromisoformat(use["used_at"]) + timedelta(
        hours=1
    )
    assert await counter.shop.payable(counter) == 12
    assert (await counter.shop.show(family, coupon["id"])).json()["state"] == "used"
    undone = (await counter.undo(use)).json()
    assert (undone["use_no"], undone["state"]) == (use["use_no"], "effective")
    assert await counter.shop.payable(counter) == 0
    assert (await counter.shop.show(family, coupon["id"])).json()["code"]
    await counter.shop.check()


async def test_every_use_and_return_says_which_person_did_it(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    use = await counter.used(coupon["code"])
    await counter.undo(use, counter.manager)
    async with counter.shop.db.transaction() as session:
        rows = await session.execute(
            select(CouponEvent.kind, CouponEvent.operator_id, CouponEvent.store_id, CouponEvent.out_request_no)
            .where(CouponEvent.coupon_id == coupon["id"])
            .order_by(CouponEvent.number)
        )
        _, used, returned = rows.all()
    assert tuple(used) == ("used", counter.clerk.id, "s1", None)
    assert tuple(returned) == ("returned", counter.manager.id, "s1", None)


async def test_the_same_key_again_is_the_same_use_and_another_key_finds_it_used(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    token = (await counter.look(coupon["code"])).json()["token"]
    answers = await asyncio.gather(*(counter.ask("use", {"token": token}, key="press") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert code_of(await counter.ask("use", {"token": token}, key="other")) == "coupon_used"
    assert (await counter.look(coupon["code"])).json()["reason"] == "coupon_used"
    assert (await counter.look(coupon["code"])).json()["used_here_at"] == answers[0].json()["used_at"]
    undone = [await counter.undo(answers[0].json(), key="undo") for _ in range(2)]
    assert undone[0].content == undone[1].content
    assert await counter.shop.payable(counter) == 0


async def test_without_a_key_nothing_is_redeemed(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    async with counter.shop.points.client(counter.clerk) as client:
        answer = await client.post(f"{counter.path}/use", json={"coupon_code": coupon["code"]})
    assert answer.status_code == 422
    assert (await counter.look(coupon["code"])).json()["usable"]


async def test_a_clerk_stands_at_their_own_store_alone_and_the_manager_at_every_one(counter: Counter) -> None:
    mine = await new_counter(counter.shop, stores=("s1", "s2"))
    _, coupon = await mine.coupon()
    mine.store_id = "s2"
    for who in (mine.clerk, counter.clerk, counter.manager, actor("administrator"), actor("resident")):
        for answer in (
            await mine.look(coupon["code"], who),
            await mine.ask("use", {"coupon_code": coupon["code"]}, who),
        ):
            assert (answer.status_code, code_of(answer)) == (403, "not_at_this_counter")
    assert (await mine.look(coupon["code"], mine.manager)).json()["usable"]
    use = await mine.used(coupon["code"], mine.manager)
    mine.store_id = "s1"
    assert code_of(await mine.undo(use)) == "coupon_not_used"  # at another store


async def test_a_revoked_clerk_redeems_and_undoes_nothing_not_even_what_they_had_looked_at(counter: Counter) -> None:
    _, first = await counter.coupon()
    _, second = await counter.coupon()
    use = await counter.used(first["code"])
    token = (await counter.look(second["code"])).json()["token"]
    await counter.revoke()
    for answer in (
        await counter.look(second["code"]),
        await counter.ask("use", {"token": token}),
        await counter.undo(use),
    ):
        assert (answer.status_code, code_of(answer)) == (403, "not_at_this_counter")
    assert await counter.shop.payable(counter) == 12


async def test_who_is_let_in_again_is_not_told_the_old_no(counter: Counter) -> None:
    """A refusal for not working there is not remembered under the request's key."""
    _, coupon = await counter.coupon()
    somebody = actor("resident")
    body = {"coupon_code": coupon["code"]}
    assert (await counter.ask("use", body, somebody, key="k")).status_code == 403
    await counter.registry.join((await counter.registry.invite(counter.id))["code"], somebody)
    assert (await counter.ask("use", body, somebody, key="k")).status_code == 200


async def test_a_suspended_merchants_counter_redeems_nothing(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    token = (await counter.look(coupon["code"])).json()["token"]
    await counter.registry.post(f"/{counter.id}/suspend", {"reason": "投诉"})
    assert code_of(await counter.look(coupon["code"])) == "merchant_suspended"
    assert code_of(await counter.ask("use", {"token": token})) == "merchant_suspended"
    [listed] = await counter.registry.stores(counter.clerk)
    assert listed["suspended"]
    await counter.registry.post(f"/{counter.id}/resume", {"reason": "已整改"})
    assert (await counter.ask("use", {"token": token})).status_code == 200


async def test_nobody_redeems_a_coupon_of_their_own_household(counter: Counter) -> None:
    """Points do not become money for whoever stands at the counter and holds the coupon too."""
    family, coupon = await counter.coupon()
    clerk = family.actor
    await counter.registry.join((await counter.registry.invite(counter.id))["code"], clerk)
    seen = (await counter.look(coupon["code"], clerk)).json()
    assert (seen["usable"], seen["reason"], seen["token"]) == (False, "own_coupon", None)
    refused = await counter.ask("use", {"coupon_code": coupon["code"]}, clerk)
    assert (refused.status_code, code_of(refused)) == (403, "own_coupon")
    use = await counter.used(coupon["code"])  # somebody else does
    assert code_of(await counter.undo(use, clerk)) == "own_coupon"


async def test_a_token_from_before_the_clerk_joined_the_household_does_not_help_either(counter: Counter) -> None:
    family, coupon = await counter.coupon()
    await counter.shop.points.tell(Family(family.id).changed(1, family.actor.id, counter.clerk.id))
    refused = await counter.ask("use", {"coupon_code": coupon["code"]})
    assert (refused.status_code, code_of(refused)) == (403, "own_coupon")


async def test_a_coupon_that_the_store_does_not_honour_is_not_known_there(counter: Counter) -> None:
    other = await new_counter(counter.shop)
    _, coupon = await other.coupon()
    assert code_of(await counter.look(coupon["code"])) == "coupon_not_found"
    assert code_of(await counter.ask("use", {"coupon_code": coupon["code"]})) == "coupon_not_found"
    token = (await other.look(coupon["code"])).json()["token"]
    assert code_of(await counter.ask("use", {"token": token})) == "counter_token_invalid"  # made for another counter
    assert code_of(await other.ask("use", {"token": token}, other.manager)) == "counter_token_invalid"
    assert (await other.ask("use", {"token": token})).status_code == 200


async def test_what_was_looked_at_in_one_store_is_not_redeemed_in_another_of_the_same_manager(counter: Counter) -> None:
    mine = await new_counter(counter.shop, stores=("s1", "s2"))
    _, coupon = await mine.coupon()
    token = (await mine.look(coupon["code"], mine.manager)).json()["token"]
    mine.store_id = "s2"
    assert code_of(await mine.ask("use", {"token": token}, mine.manager)) == "counter_token_invalid"
    mine.store_id = "s1"
    assert (await mine.ask("use", {"token": token}, mine.manager)).status_code == 200


async def test_an_old_code_is_told_from_a_wrong_one_which_is_counted(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    with clock.frozen(clock.now() + timedelta(minutes=2)):
        assert code_of(await counter.look(coupon["code"])) == "coupon_code_stale"
    wrong = await counter.shop.wrong(coupon["id"], 11)
    with clock.frozen(clock.now()):
        answers = [await counter.look(code) for code in wrong]
    assert [answer.status_code for answer in answers] == [404] * 10 + [429]


async def test_what_was_looked_at_is_good_for_five_minutes(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    at = clock.now()
    with clock.frozen(at):
        seen = (await counter.look(coupon["code"])).json()
    with clock.frozen(datetime.fromisoformat(seen["token_expires_at"])):
        assert code_of(await counter.ask("use", {"token": seen["token"]})) == "coupon_code_stale"
    assert datetime.fromisoformat(seen["token_expires_at"]) == (at + timedelta(minutes=5)).replace(microsecond=0)


async def test_a_use_is_answered_again_after_its_token_is_over(counter: Counter) -> None:
    """Whoever got no answer and presses again later learns that it was done."""
    _, coupon = await counter.coupon()
    token = (await counter.look(coupon["code"])).json()["token"]
    first = await counter.ask("use", {"token": token}, key="press")
    with clock.frozen(clock.now() + timedelta(minutes=30)):
        again = await counter.ask("use", {"token": token}, key="press")
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["body.coupon_code", "body.token"]),
        ({"coupon_code": "1" * 20, "token": "x"}, ["body.coupon_code", "body.token"]),
        ({"coupon_code": "1234"}, ["body.coupon_code"]),
        ({"token": "x"}, ["body.token"]),
        ({"token": "A" * 64}, ["body.token"]),
    ],
    ids=["neither", "both", "short code", "short token", "no token of ours"],
)
async def test_what_names_no_coupon_is_refused_by_name(
    counter: Counter, body: dict[str, Any], named: list[str]
) -> None:
    answer = await counter.ask("use", body)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == named


async def test_a_use_is_undone_within_an_hour_and_not_later(counter: Counter) -> None:
    _, first = await counter.coupon()
    _, second = await counter.coupon()
    uses = [await counter.used(coupon["code"]) for coupon in (first, second)]
    with clock.frozen(datetime.fromisoformat(uses[1]["returnable_until"]) + timedelta(seconds=1)):
        assert code_of(await counter.undo(uses[1])) == "return_too_late"
        listed = {item["use_no"]: item for item in (await counter.today())["items"]}
        assert uses[1]["use_no"] not in listed or listed[uses[1]["use_no"]]["returnable_until"] is None
    with clock.frozen(datetime.fromisoformat(uses[0]["returnable_until"])):
        assert (await counter.undo(uses[0])).status_code == 200


async def test_ten_clerks_with_one_coupon_redeem_it_once(counter: Counter) -> None:
    _, coupon = await counter.coupon()
    answers = await asyncio.gather(*(counter.ask("use", {"coupon_code": coupon["code"]}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert await counter.shop.payable(counter) == 12
    await counter.shop.check()
