"""Whoever deletes their account is no clerk, on no roll and named by no coupon any more; the points stay."""

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy import text

from chassis.core.ids import new_id
from services.points.ledger.queries import lock_ledgers
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.counter.conftest import new_counter, one_moment
from tests.points.facts import Family, Told
from tests.points.registry.conftest import Registry
from tests.points.rewards.conftest import Shop
from tests.points.rewards.office import APPROVER
from tests.points.test_household_members import until_one_waits

__all__ = ["one_moment"]


def deleted(person_id: UUID) -> Told:
    """What identity tells of somebody whose data were erased."""
    data = {"occurred_at": "2026-03-02T04:00:00Z", "person_id": str(person_id)}
    return Told("identity.person_deleted.v1", person_id, data, aggregate="person")


async def rows(points: Points, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with points.db.transaction() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def test_a_clerk_who_deletes_their_account_is_out_and_has_no_name_in_the_shop_any_more(points: Points) -> None:
    counter = await new_counter(Shop(points), stores=("s1", "s2"))
    person = counter.clerk.id
    again = await counter.registry.invite(counter.id, "s2")
    await counter.registry.join(again["code"], counter.clerk)
    other = await counter.registry.invite(counter.id)
    _, coupon = await counter.coupon()
    use = await counter.used(coupon["code"])
    await counter.registry.post(f"/{counter.id}/clerks/{again['clerk']['id']}/revoke", None, counter.manager)

    for fact in (gone := deleted(person), gone, deleted(person)):  # sent again, and told again
        await points.tell(fact)

    assert await counter.registry.stores(counter.clerk) == []
    _, untouched = await counter.coupon()
    assert (await counter.look(untouched["code"])).status_code == 403
    listed = (await counter.registry.get(f"/{counter.id}/clerks", counter.manager)).json()["items"]
    assert [(clerk["name"], clerk["state"]) for clerk in listed] == [
        ("已注销", "revoked"),
        ("已注销", "revoked"),
        ("小王", "invited"),
    ]
    [item] = [item for item in (await counter.today(counter.manager))["items"] if item["use_no"] == use["use_no"]]
    assert (item["operator_id"], item["operator_name"]) == (str(person), "已注销")
    assert await rows(
        points, "SELECT DISTINCT name_sealed FROM merchant_clerk WHERE person_id = :person", person=person
    ) == [(None,)]
    # Who left and who was put out are told apart, and neither twice.
    events = (await counter.registry.get(f"/{counter.id}/events", counter.manager)).json()["items"]
    assert [
        (event["subject"], event["actor_id"], event["reason"]) for event in events if "revoked" in event["kind"]
    ] == [
        (again["clerk"]["id"], str(counter.manager.id), None),
        (counter.clerk_id, str(person), "本人注销账号"),
    ]
    assert (await counter.registry.join(other["code"], counter.manager)).status_code == 200


async def test_the_name_is_gone_from_every_shop_they_worked_at_and_nobody_elses_is(points: Points) -> None:
    shop, registry = Shop(points), Registry(points)
    one, two = await new_counter(shop), await new_counter(shop)
    await registry.join((await registry.invite(two.id))["code"], one.clerk)
    await points.tell(deleted(one.clerk.id))
    names = {
        clerk["person_id"]: clerk["name"]
        for counter in (one, two)
        for clerk in (await registry.get(f"/{counter.id}/clerks")).json()["items"]
    }
    assert names == {str(one.clerk.id): "已注销", str(two.clerk.id): "小王"}
    assert len(await registry.stores(two.clerk)) == 1


async def test_no_roll_tells_any_more_that_they_were_a_party_member_or_a_courier(points: Points) -> None:
    person, stays = new_id(), new_id()
    async with points.client(APPROVER) as client:
        for roll in ("party_members", "couriers"):
            for who in (person, stays):
                assert (await client.put(f"/api/points/rolls/{roll}/people/{who}")).status_code == 204
        await points.tell(deleted(person))
        for roll in ("party_members", "couriers"):
            entries = (await client.get(f"/api/points/rolls/{roll}", params={"limit": 200})).json()["items"]
            assert {str(person), str(stays)} & {entry["person_id"] for entry in entries} == {str(stays)}


async def test_what_was_for_an_erased_child_is_the_familys_and_tells_of_no_child_any_more(points: Points) -> None:
    shop = Shop(points)
    reward, family = await shop.reward(), await shop.household(36)
    child, sibling = new_id(), new_id()
    home = Family(id=family.id)
    await points.tell(home.changed(1, family.person_id, child, sibling, children=[child, sibling]))
    async with points.client(family.actor) as client:
        for member in (child, child, sibling):
            answer = await client.post(
                f"/api/points/rewards/{reward}/redeem",
                headers={"Idempotency-Key": str(new_id())},
                json={"for_member_id": str(member)},
            )
            assert answer.status_code == 201, answer.text
    await points.tell(deleted(child), home.changed(2, family.person_id, sibling, children=[sibling]))
    coupons = await shop.coupons(family)
    assert sorted(coupon["for_member_id"] or "" for coupon in coupons) == ["", "", str(sibling)]
    assert {coupon["state"] for coupon in coupons} == {"effective"}
    for coupon in coupons:
        assert (await shop.show(family, coupon["id"])).json()["code"] is not None
    assert await shop.balance(family) == 0


async def test_nothing_is_redeemed_for_an_erased_child_though_the_household_is_not_told_anew_yet(
    points: Points,
) -> None:
    shop = Shop(points)
    reward, family = await shop.reward(), await shop.household(24)
    child, sibling = new_id(), new_id()
    await points.tell(
        Family(id=family.id).changed(1, family.person_id, child, sibling, children=[child, sibling]), deleted(child)
    )
    statuses = []
    async with points.client(family.actor) as client:
        for member in (child, sibling):
            answer = await client.post(
                f"/api/points/rewards/{reward}/redeem",
                headers={"Idempotency-Key": str(new_id())},
                json={"for_member_id": str(member)},
            )
            statuses.append(answer.status_code)
    assert statuses == [422, 201]
    assert await rows(points, "SELECT count(*) FROM member WHERE person_id = :person", person=child) == [(0,)]


async def test_an_account_deleted_while_its_clerk_redeems_loses_neither_the_use_nor_the_erasure(points: Points) -> None:
    counter = await new_counter(Shop(points))
    seen = []
    for _ in range(3):
        _, coupon = await counter.coupon()
        seen.append((await counter.look(coupon["code"])).json())
    answers = await asyncio.gather(
        *(counter.ask("use", {"token": one["token"]}) for one in seen), points.tell(deleted(counter.clerk.id))
    )
    used = [answer for answer in answers if answer is not None and answer.status_code == 200]
    assert {answer.status_code for answer in answers if answer is not None} <= {200, 403}
    today = await counter.today(counter.manager)
    assert today["used"] == len(used)
    assert {item["operator_name"] for item in today["items"]} <= {"已注销"}
    assert await counter.registry.stores(counter.clerk) == []


async def test_erasing_waits_for_the_ledger_with_nothing_in_hand_that_a_redemption_needs(points: Points) -> None:
    """Otherwise the two would wait for each other: a counter locks the ledger first, and then its clerks."""
    counter = await new_counter(Shop(points))
    async with points.db.transaction() as session:
        await lock_ledgers(session, [LedgerName.CIVIC])
        erasing = asyncio.create_task(points.tell(deleted(counter.clerk.id)))
        waiting = asyncio.create_task(until_one_waits(points))
        await asyncio.wait([erasing, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert not erasing.done()
        locked = "SELECT 1 FROM merchant_clerk WHERE person_id = :person FOR UPDATE NOWAIT"
        assert (await session.execute(text(locked), {"person": counter.clerk.id})).all() == [(1,)]
    await erasing
    assert await counter.registry.stores(counter.clerk) == []


async def test_somebody_of_whom_nothing_is_kept_is_erased_without_a_fuss(points: Points) -> None:
    await points.tell(deleted(new_id()))


async def test_only_identity_tells_that_an_account_is_gone(points: Points) -> None:
    counter = await new_counter(Shop(points))
    assert await points.send_as("orders", deleted(counter.clerk.id)) == ["refused"]
    assert len(await counter.registry.stores(counter.clerk)) == 1
