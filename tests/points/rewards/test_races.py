"""Many want the same at once: each piece, point and coupon goes to one, and nobody else loses anything."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from chassis.core import clock
from services.points.coupons.errors import CouponCodeWrong, CouponUsed, TooManyWrongCodes
from services.points.coupons.redemption import Redeem
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.ledger.tables import Transfer
from services.points.ledger.writer import Writer
from tests.points.facts import Family
from tests.points.rewards.conftest import Merchant, Shop, all_of, code_of


class Writers:
    """As many writers as there are processes, which meet in the database."""

    def __init__(self, shop: Shop, processes: int) -> None:
        runtime = shop.points.town.runtime("points")
        writers = [Writer(runtime.db, runtime.vault, runtime.metrics) for _ in range(processes)]
        self._next = itertools.cycle(writers)

    async def reply(self, *asked: Any, **options: Any) -> Any:
        return await next(self._next).reply(*asked, **options)

    async def submit(self, *asked: Any, **options: Any) -> Any:
        return await next(self._next).submit(*asked, **options)


def outcome(answer: httpx2.Response) -> str:
    """An answer's status, and the code of a refusal."""
    return "201" if answer.status_code == 201 else f"{answer.status_code} {code_of(answer)}"


@contextmanager
def with_state(shop: Shop, **changed: Any) -> Iterator[None]:
    """The service has these meanwhile: its `writer`."""
    state = shop.points.town.apps["points"].state
    kept = {name: getattr(state, name) for name in changed}
    for name, value in changed.items():
        setattr(state, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(state, name, value)


@pytest.fixture(params=["one process", "five processes"])
def door(request: pytest.FixtureRequest, shop: Shop) -> Iterator[None]:
    """In one process they queue up before the database; those of several meet in it."""
    if request.param == "one process":
        yield
        return
    with with_state(shop, writer=Writers(shop, 5)):
        yield


@pytest.mark.usefixtures("door")
async def test_of_fifty_households_that_want_five_pieces_five_get_one_and_the_others_keep_their_points(
    shop: Shop,
) -> None:
    reward = await shop.reward(cost=12, stock=5)
    families = await shop.households(50, 12)
    answers = await asyncio.gather(*(shop.redeem(family, reward) for family in families))
    assert Counter(outcome(answer) for answer in answers) == {"201": 5, "409 out_of_stock": 45}
    won = {
        family.id: answer.json()["id"] for family, answer in zip(families, answers, strict=True) if answer.is_success
    }
    assert await shop.balances(families) == {family.id: 0 if family.id in won else 12 for family in families}
    async with shop.db.transaction() as session:
        coupons = (await session.scalars(select(Coupon).where(Coupon.reward_id == reward))).all()
    assert {coupon.household_id: coupon.id for coupon in coupons} == won
    assert await shop.stock(reward) == 0
    await shop.check()


@pytest.mark.usefixtures("door")
async def test_a_household_that_races_itself_spends_no_more_than_it_has(shop: Shop) -> None:
    reward, family = await shop.reward(cost=12), await shop.household(30)
    answers = await asyncio.gather(*(shop.redeem(family, reward) for _ in range(10)))
    assert Counter(outcome(answer) for answer in answers) == {"201": 2, "422 insufficient_points": 8}
    assert (await shop.balance(family), await shop.stock(reward)) == (6, 98)
    await shop.check()


@pytest.mark.usefixtures("door")
async def test_a_household_that_races_itself_gets_no_more_than_its_share(shop: Shop) -> None:
    reward, family = await shop.reward(household_limit=2), await shop.household(1000)
    answers = await asyncio.gather(*(shop.redeem(family, reward) for _ in range(10)))
    assert Counter(outcome(answer) for answer in answers) == {"201": 2, "409 household_limit_reached": 8}
    assert (await shop.balance(family), await shop.stock(reward)) == (976, 98)
    await shop.check()


@pytest.mark.usefixtures("door")
async def test_the_same_key_ten_times_at_once_is_one_coupon_and_ten_equal_answers(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(1000)
    answers = await asyncio.gather(*(shop.redeem(family, reward, key="ten-times") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotency-Hit", "") for answer in answers) == [""] + ["true"] * 9
    assert (await shop.balance(family), await shop.stock(reward)) == (988, 99)


@pytest.mark.usefixtures("door")
async def test_whoever_redeems_while_the_family_merges_pays_once_and_keeps_the_coupon(shop: Shop) -> None:
    reward, family, joined = await shop.reward(household_limit=1), await shop.household(24), await shop.household(24)
    await shop.points.tell(
        Family(id=joined.id).changed(1, joined.person_id, family.person_id),
        Family(id=family.id).changed(1, family.person_id),
    )
    first, second, _ = await asyncio.gather(
        shop.redeem(family, reward),
        shop.redeem(joined, reward),
        shop.points.tell(Family(id=family.id).dissolved(2, joined.id)),
    )
    got = [answer.json()["id"] for answer in (first, second) if answer.status_code == 201]
    refused = [outcome(answer) for answer in (first, second) if answer.status_code != 201]
    assert refused in ([], ["409 household_limit_reached"])
    assert {item["id"] for item in await shop.coupons(joined)} == set(got)
    assert await shop.balance(joined) == 48 - 12 * len(got)
    await shop.check()


@pytest.mark.usefixtures("door")
async def test_ten_tills_with_one_coupon_are_one_use(shop: Shop) -> None:
    tills = [Merchant() for _ in range(10)]
    reward = await shop.reward(merchant_ids=[till.id for till in tills])
    coupon = await shop.coupon(await shop.household(12), reward)
    results = await all_of(*(shop.use(till, coupon["code"]) for till in tills))
    assert Counter(type(result) for result in results) == {str: 1, CouponUsed: 9}
    assert sum([await shop.payable(till) for till in tills]) == 12
    await shop.check()


@pytest.mark.usefixtures("door")
async def test_one_till_that_sends_ten_times_at_once_uses_the_coupon_once(shop: Shop) -> None:
    merchant = Merchant()
    coupon = await shop.coupon(await shop.household(12), await shop.reward(merchant))
    results = await all_of(*(shop.use_known(merchant, coupon["id"]) for _ in range(10)))
    assert Counter(type(result) for result in results) == {str: 1, CouponUsed: 9}
    assert await shop.payable(merchant) == 12


@pytest.mark.usefixtures("door")
async def test_redeeming_and_using_at_once_neither_waits_for_ever_nor_loses_a_point(shop: Shop) -> None:
    merchant = Merchant()
    reward = await shop.reward(merchant)
    families = await shop.households(8, 24)
    coupons = [await shop.coupon(family, reward) for family in families]
    answers = await asyncio.gather(
        *(shop.use(merchant, coupon["code"]) for coupon in coupons),
        *(shop.redeem(family, reward) for family in families),
    )
    assert len({answer for answer in answers if isinstance(answer, str)}) == 8
    assert await shop.payable(merchant) == 96
    await shop.check()


async def test_wrong_codes_sent_at_once_are_all_counted_and_the_right_one_does_not_slip_through(shop: Shop) -> None:
    merchant = Merchant()
    coupon = await shop.coupon(await shop.household(12), await shop.reward(merchant))
    with clock.frozen(clock.now()):
        guesses = await shop.wrong(coupon["id"], 14)
        results = await all_of(*(shop.judge(merchant, guess) for guess in guesses))
        assert Counter(type(result) for result in results) == {CouponCodeWrong: 10, TooManyWrongCodes: 4}
        with pytest.raises(TooManyWrongCodes):
            await shop.judge(merchant, coupon["code"])


async def test_tills_of_many_merchants_cannot_guess_one_coupon_together(shop: Shop) -> None:
    tills = [Merchant() for _ in range(14)]
    coupon = await shop.coupon(await shop.household(12), await shop.reward(merchant_ids=[till.id for till in tills]))
    with clock.frozen(clock.now()):
        guesses = await shop.wrong(coupon["id"], 14)
        results = await all_of(*(shop.judge(till, guess) for till, guess in zip(tills, guesses, strict=True)))
        assert Counter(type(result) for result in results) == {CouponCodeWrong: 10, TooManyWrongCodes: 4}


async def test_every_coupon_has_one_transfer_of_its_issue_and_at_most_one_of_its_use(shop: Shop) -> None:
    merchant = Merchant()
    reward, family = await shop.reward(merchant), await shop.household(60)
    coupons = [await shop.coupon(family, reward) for _ in range(5)]
    uses = await all_of(*(shop.use(merchant, coupon["code"]) for coupon in coupons[:3] for _ in range(2)))
    use_nos = {use_no[:14]: use_no for use_no in uses if isinstance(use_no, str)}
    async with shop.db.transaction() as session:
        found = await session.scalars(
            select(Transfer.reference)
            .join(CouponEvent, CouponEvent.transfer_id == Transfer.id)
            .where(CouponEvent.coupon_id.in_([coupon["id"] for coupon in coupons]))
        )
        references = sorted(found)
    assert set(use_nos) == {coupon["id"] for coupon in coupons[:3]}
    issues = [f"coupon/{coupon['id']}/issue" for coupon in coupons]
    assert references == sorted(issues + [f"coupon/{id_}/use/{use_no}" for id_, use_no in use_nos.items()])


async def test_those_who_wait_for_the_ledger_take_no_connection_from_others(shop: Shop) -> None:
    reward, families = await shop.reward(), await shop.households(10, 12)
    runtime = shop.points.town.runtime("points")
    one_by_one = Writer(shop.db, runtime.vault, runtime.metrics, most_a_batch=1)
    with with_state(shop, writer=one_by_one):
        async with shop.db.transaction() as holder:
            await holder.execute(text("SELECT * FROM ledger FOR UPDATE"))
            redeeming = [asyncio.ensure_future(shop.redeem(family, reward)) for family in families]
            while one_by_one.waiting < 9:  # noqa: ASYNC110  # the queue tells nobody
                await asyncio.sleep(0.001)
            pool = shop.db.engine.pool
            assert isinstance(pool, QueuePool)
            assert pool.checkedout() <= 2  # of who holds the ledger, and of the one whose turn is next
        answers = await asyncio.gather(*redeeming)
    assert [answer.status_code for answer in answers] == [201] * 10


async def test_redeeming_that_is_run_again_after_a_deadlock_is_one_coupon(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward, family = await shop.reward(), await shop.household(12)
    runs: list[Redeem] = []

    class Unlucky(Redeem):
        async def write(self, session: AsyncSession, /) -> None:
            await super().write(session)
            runs.append(self)
            if len(runs) == 1:
                raise OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected())

    monkeypatch.setattr("services.points.coupons.routes.Redeem", Unlucky)
    answer = await shop.redeem(family, reward)
    assert (answer.status_code, len(runs)) == (201, 2)
    assert [item["id"] for item in await shop.coupons(family)] == [answer.json()["id"]]
    assert await shop.stock(reward) == 99
    await shop.check()
