"""Points become a coupon, in one step or not at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.ids import new_id
from services.points.coupons import queries
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.rewards.errors import RewardNotOffered
from services.points.rewards.queries import honoured as honoured_by
from services.points.rewards.rules import check_to_be_had
from services.points.rewards.tables import Reward
from services.points.rewards.terms import RewardKind, RewardState
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family
from tests.points.rewards.conftest import Household, Merchant, Shop, code_of
from tests.town import Town, actor


async def test_a_household_gets_its_coupon_for_exactly_the_points_that_it_was_told(shop: Shop) -> None:
    reward, family = await shop.reward(cost=12, stock=3), await shop.household(30)
    coupon = await shop.coupon(family, reward)
    assert coupon["state"] == "effective"
    assert len(coupon["id"]) == 14
    assert len(coupon["code"]) == 20
    assert coupon["code"].startswith(coupon["id"])
    assert coupon["reward"] == {"id": str(reward), "title": "理发券", "kind": "service"}
    assert (await shop.balance(family), await shop.stock(reward)) == (18, 2)
    [line, _] = await shop.points.entries(family.actor, "civic")
    assert (line["amount"], line["code"], line["balance_after"]) == (-12, "redemption", 18)
    assert line["coupon"] == {"id": coupon["id"], "reward": "理发券"}
    await shop.check()


async def test_a_coupon_is_good_until_the_midnight_in_beijing_after_its_last_day(own_points: Points) -> None:
    shop = Shop(own_points)
    reward, family = await shop.reward(valid_days=2), await shop.household(12)
    with clock.frozen(datetime(2026, 12, 1, 23, 59, tzinfo=BEIJING)):
        coupon = await shop.coupon(family, reward)
    assert datetime.fromisoformat(coupon["expires_at"]) == datetime(2026, 12, 4, tzinfo=BEIJING)


async def test_what_a_coupon_cost_and_is_worth_stays_when_the_reward_changes(shop: Shop) -> None:
    reward, family = await shop.reward(cost=12, face_fen=2000, payable_fen=1500), await shop.household(12)
    coupon = await shop.coupon(family, reward)
    await shop.reward(id=reward, cost=40, face_fen=9000, payable_fen=8000)
    async with shop.db.transaction() as session:
        kept = await session.get_one(Coupon, coupon["id"])
        assert (kept.cost, kept.face_fen, kept.payable_fen) == (12, 2000, 1500)


async def test_not_enough_points_is_said_so_and_leaves_points_and_stock_alone(shop: Shop) -> None:
    reward, family = await shop.reward(cost=12, stock=3), await shop.household(11)
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, code_of(answer)) == (422, "insufficient_points")
    assert (await shop.balance(family), await shop.stock(reward)) == (11, 3)
    assert await shop.coupons(family) == []
    await shop.check()


async def test_nothing_left_is_said_so_and_leaves_the_points_alone(shop: Shop) -> None:
    reward, family = await shop.reward(stock=0), await shop.household(12)
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, code_of(answer)) == (409, "out_of_stock")
    assert (await shop.balance(family), await shop.stock(reward)) == (12, 0)
    assert await shop.coupons(family) == []


async def test_a_household_has_its_share_and_no_more_and_others_still_get_theirs(shop: Shop) -> None:
    reward, family, others = await shop.reward(household_limit=2), await shop.household(99), await shop.household(12)
    for _ in range(2):
        await shop.coupon(family, reward)
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, code_of(answer)) == (409, "household_limit_reached")
    assert (await shop.balance(family), await shop.stock(reward)) == (75, 98)
    await shop.coupon(others, reward)


@pytest.mark.parametrize("offered", [(1, 2), (-2, 0)], ids=["not yet", "no longer"])
async def test_a_reward_is_redeemed_only_while_it_is_on_offer(shop: Shop, offered: tuple[int, int]) -> None:
    starts, ends = (clock.now() + timedelta(hours=hours) for hours in offered)
    reward, family = await shop.reward(starts_at=starts, ends_at=ends), await shop.household(12)
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, code_of(answer)) == (409, "reward_not_offered")
    assert (await shop.balance(family), await shop.stock(reward)) == (12, 100)


def test_a_reward_is_on_offer_from_its_first_moment_until_before_its_last() -> None:
    starts, ends = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    reward = Reward(state=RewardState.LISTED, starts_at=starts, ends_at=ends, stock=1)
    check_to_be_had(reward, starts)
    check_to_be_had(reward, ends - timedelta(microseconds=1))
    for moment in (starts - timedelta(microseconds=1), ends):
        with pytest.raises(RewardNotOffered):
            check_to_be_had(reward, moment)


async def test_a_reward_that_is_not_there_is_not_found(shop: Shop) -> None:
    answer = await shop.redeem(await shop.household(12), new_id())
    assert (answer.status_code, code_of(answer)) == (404, "reward_not_found")


async def test_somebody_without_a_household_spends_nobodys_points(shop: Shop) -> None:
    reward = await shop.reward()
    async with shop.points.client(actor("resident")) as client:
        answer = await client.post(f"/api/points/rewards/{reward}/redeem", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, code_of(answer)) == (403, "not_of_household")
    assert await shop.stock(reward) == 100


async def test_the_same_key_again_gives_the_same_coupon(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(30)
    first = await shop.redeem(family, reward, key="once")
    again = await shop.redeem(family, reward, key="once")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Hit"] == "true"
    assert (await shop.balance(family), await shop.stock(reward)) == (18, 99)


async def test_two_keys_are_two_coupons(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(30)
    assert (await shop.coupon(family, reward))["id"] != (await shop.coupon(family, reward))["id"]
    assert (await shop.balance(family), await shop.stock(reward)) == (6, 98)
    assert len(await shop.coupons(family)) == 2


async def test_one_family_members_key_is_nobody_elses(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(30)
    other = Household(id=family.id)
    await shop.know(other)
    first, second = [await shop.redeem(who, reward, key="mine") for who in (family, other)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


async def test_without_a_key_nothing_is_redeemed_and_the_header_is_named(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(12)
    async with shop.points.client(family.actor) as client:
        answer = await client.post(f"/api/points/rewards/{reward}/redeem")
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == ["header.Idempotency-Key"]
    assert (await shop.balance(family), await shop.stock(reward)) == (12, 100)


@pytest.mark.parametrize(
    ("path", "body", "key", "field"),
    [
        ("rewards/7/redeem", None, "k", "path.reward_id"),
        ("rewards/{reward}/redeem", {"amount": 2}, "k", "body.amount"),
        ("rewards/{reward}/redeem", None, "券", "header.Idempotency-Key"),
    ],
    ids=["no id", "unknown field", "key of other characters"],
)
async def test_bad_input_is_named_and_redeems_nothing(shop: Shop, path: str, body: Any, key: str, field: str) -> None:
    reward, family = await shop.reward(), await shop.household(12)
    async with shop.points.client(family.actor) as client:
        url = f"/api/points/{path.format(reward=reward)}"
        answer = await client.post(url, headers={b"Idempotency-Key": key.encode()}, json=body)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]
    assert (await shop.balance(family), await shop.stock(reward)) == (12, 100)


@pytest.mark.parametrize("body", [None, b"", b"{}"], ids=["no body", "an empty one", "an empty object"])
async def test_redeeming_needs_no_body(shop: Shop, body: bytes | None) -> None:
    reward, family = await shop.reward(), await shop.household(12)
    async with shop.points.client(family.actor) as client:
        answer = await client.post(
            f"/api/points/rewards/{reward}/redeem",
            content=body,
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
    assert answer.status_code == 201, answer.text


async def test_who_has_left_the_family_spends_none_of_its_points_and_sees_none_of_its_coupons(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(30)
    stays = Household(id=family.id)
    home = Family(id=family.id)
    await shop.points.tell(home.changed(1, family.person_id, stays.person_id))
    coupon = await shop.coupon(family, reward)
    await shop.points.tell(home.changed(2, stays.person_id))
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, code_of(answer)) == (403, "not_of_household")
    assert await shop.coupons(family) == []
    assert (await shop.show(family, coupon["id"])).status_code == 404
    assert (await shop.balance(stays), await shop.stock(reward)) == (18, 99)
    assert (await shop.show(stays, coupon["id"])).status_code == 200


async def test_who_has_just_joined_is_not_refused_for_good_because_we_had_not_heard(shop: Shop) -> None:
    """The same key, once identity has told of the newcomer."""
    reward, family = await shop.reward(), await shop.household(30)
    home, newcomer = Family(id=family.id), Household(id=family.id)
    await shop.points.tell(home.changed(1, family.person_id))
    refused = await shop.redeem(newcomer, reward, key="eager")
    assert (refused.status_code, code_of(refused)) == (403, "not_of_household")
    await shop.points.tell(home.changed(2, family.person_id, newcomer.person_id))
    assert (await shop.redeem(newcomer, reward, key="eager")).status_code == 201
    assert (await shop.balance(family), await shop.stock(reward)) == (18, 99)


async def test_who_may_be_a_child_for_all_we_have_heard_spends_nothing_yet_and_is_not_refused_for_good(
    shop: Shop,
) -> None:
    reward, unknown = await shop.reward(cost=12), Household()
    await shop.points.tell(Attendance(household_id=unknown.id).verified(60))
    refused = await shop.redeem(unknown, reward, key="early")
    assert (refused.status_code, code_of(refused)) == (409, "household_not_known_yet")
    assert (await shop.balance(unknown), await shop.stock(reward)) == (12, 100)
    async with shop.points.client(unknown.actor) as client:
        assert (await client.get("/api/points/outlook/rewards")).json()["items"] == []
    home = Family(id=unknown.id).changed(1)
    child = {"person_id": str(unknown.person_id), "child": True, "consented": False}
    await shop.points.tell(home.again(members=[child]))
    assert code_of(await shop.redeem(unknown, reward, key="early")) == "guardian_needed"
    await shop.points.tell(Family(id=unknown.id).changed(2, unknown.person_id))
    assert (await shop.redeem(unknown, reward, key="early")).status_code == 201
    assert (await shop.balance(unknown), await shop.stock(reward)) == (0, 99)


async def test_nobody_shows_a_code_in_a_household_that_we_have_not_heard_of(shop: Shop) -> None:
    family, joined = await shop.household(12), Household()
    coupon = await shop.coupon(family, await shop.reward())
    await shop.points.tell(Family(id=family.id).dissolved(1, joined.id))
    own = f"/api/points/coupons/{coupon['id']}"
    async with shop.points.client(family.actor) as client:
        assert (await client.get(own)).json()["code"] is None
        refused = await client.get(f"{own}/code")
        assert (refused.status_code, code_of(refused)) == (409, "household_not_known_yet")
        await shop.points.tell(Family(id=joined.id).changed(1, family.person_id))
        assert (await client.get(own)).json()["code"].startswith(coupon["id"])
        assert (await client.get(f"{own}/code")).status_code == 200


async def test_the_coupons_of_a_household_go_with_it_into_the_one_that_it_joins(shop: Shop) -> None:
    merchant = Merchant()
    reward = await shop.reward(merchant, household_limit=1)
    family, joined = await shop.household(12), await shop.household(40)
    coupon = await shop.coupon(family, reward)
    await shop.points.tell(Family(id=joined.id).changed(1, joined.person_id))
    await shop.points.tell(Family(id=family.id).changed(1, family.person_id))
    await shop.points.tell(Family(id=joined.id).changed(2, joined.person_id, family.person_id))
    await shop.points.tell(Family(id=family.id).dissolved(2, joined.id))
    for member in (joined, family):  # whose token still names the household that is no more
        assert [item["id"] for item in await shop.coupons(member)] == [coupon["id"]]
    answer = await shop.redeem(joined, reward)
    assert (answer.status_code, code_of(answer)) == (409, "household_limit_reached")
    await shop.use(merchant, (await shop.show(joined, coupon["id"])).json()["code"])
    await shop.check()


async def test_a_busy_ledger_is_never_told_as_not_enough(empty_town: Town) -> None:
    await empty_town.start("identity")
    await empty_town.start("points", lock_timeout_seconds=0.2)
    shop = Shop(Points(empty_town))
    reward, family = await shop.reward(cost=12), await shop.household(12)
    async with shop.db.transaction() as session:
        await session.execute(text("SELECT 1 FROM ledger FOR UPDATE"))
        answer = await shop.redeem(family, reward, key="busy")
    assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    assert (await shop.balance(family), await shop.stock(reward)) == (12, 100)
    assert (await shop.redeem(family, reward, key="busy")).status_code == 201


async def test_the_issue_stands_in_the_coupons_history_with_its_transfer(shop: Shop) -> None:
    coupon = await shop.coupon(await shop.household(12), await shop.reward())
    async with shop.db.transaction() as session:
        [issued] = await session.scalars(select(CouponEvent).where(CouponEvent.coupon_id == coupon["id"]))
        assert (issued.number, issued.kind) == (1, "issued")
        refs = await queries.coupons_of_transfers(session, [issued.transfer_id, new_id()])
        assert {id_: (ref.id, ref.reward) for id_, ref in refs.items()} == {
            issued.transfer_id: (coupon["id"], "理发券")
        }


@pytest.mark.parametrize("statement", ["UPDATE coupon_event SET at = at", "DELETE FROM coupon_event"])
async def test_a_coupons_history_cannot_be_rewritten(shop: Shop, statement: str) -> None:
    async with shop.db.sessions() as session:
        with pytest.raises(Exception, match="permission denied"):
            await session.execute(text(statement))


async def test_the_database_itself_lets_no_stock_fall_below_nothing(shop: Shop) -> None:
    reward = await shop.reward(stock=0)
    async with shop.db.sessions() as session:
        with pytest.raises(IntegrityError, match="ck_reward_stock"):
            await session.execute(text("UPDATE reward SET stock = stock - 1 WHERE id = :id"), {"id": reward})


async def test_recording_a_reward_again_changes_it_but_tops_nothing_up(shop: Shop) -> None:
    merchants = [new_id(), new_id(), new_id()]
    reward = await shop.reward(stock=3, merchant_ids=merchants[:2])
    await shop.coupon(await shop.household(12), reward)
    await shop.reward(id=reward, stock=3, title="新理发券", kind=RewardKind.GOODS, merchant_ids=merchants[1:])
    async with shop.db.transaction() as session:
        kept = await session.get_one(Reward, reward)
        assert (kept.title, kept.kind, kept.stock) == ("新理发券", RewardKind.GOODS, 2)
        honoured = await honoured_by(session, [reward], merchants)
        assert honoured == {(reward, merchant): frozenset() for merchant in merchants[1:]}
