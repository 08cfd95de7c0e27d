"""Points are posted by hand as an administrator meant, with a reason, once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger.tables import Account, Transfer, TransferText
from services.points.ledger.terms import coupon_liability, issuance
from services.points.terms import LedgerName
from tests.points.conftest import Points, service_on
from tests.points.facts import Attendance, Family
from tests.points.postings.desk import (
    ACCOUNTS,
    HOLDS,
    ISSUANCE,
    STAFF_ISSUANCE,
    TRANSFERS,
    Desk,
    gift,
    staff_wallet,
    taking,
    wallet,
    wallet_id,
)
from tests.town import ROLES, TestDatabase, actor


async def test_points_given_by_hand_arrive_and_the_answer_says_what_both_accounts_have(desk: Desk) -> None:
    home = new_id()
    posted = await desk.done(TRANSFERS, gift(home, 40))
    again = await desk.done(TRANSFERS, gift(home, 2))
    assert posted.items() >= {"ledger": "civic", "code": "adjustment", "amount": 40, "reverses": None}.items()
    assert posted["credit"] == {"account_id": wallet_id(home), "balance": 40, "available": 40, "version": 1}
    assert again["credit"] == {"account_id": wallet_id(home), "balance": 42, "available": 42, "version": 2}
    assert again["debit"]["balance"] == posted["debit"]["balance"] - 2
    assert again["debit"]["account_id"] == str(issuance(LedgerName.CIVIC).id)
    assert await desk.balance(home) == (42, 42)
    await desk.points.check()


async def test_accounts_may_be_named_by_their_ids(desk: Desk) -> None:
    giver, taker = new_id(), new_id()
    await desk.give(giver, 10)
    await desk.give(taker, 1)
    body = {"debit": wallet_id(giver), "credit": wallet_id(taker), "amount": 4, "reason": "两家约定"}
    await desk.done(TRANSFERS, body)
    assert (await desk.balance(giver), await desk.balance(taker)) == ((6, 6), (5, 5))


async def test_points_of_staff_are_given_on_their_own_ledger(desk: Desk) -> None:
    handler = actor("handler")
    await desk.done(
        TRANSFERS, {"debit": STAFF_ISSUANCE, "credit": staff_wallet(handler.id), "amount": 5, "reason": "x"}
    )
    assert await desk.points.balance(handler.id) == 5


@pytest.mark.parametrize("role", [role for role in ROLES if role != "administrator"])
async def test_nobody_but_an_administrator_posts(desk: Desk, role: str) -> None:
    home = new_id()
    status, code, _ = await desk.refused(TRANSFERS, gift(home), who=actor(role))
    assert (status, code) == (403, "forbidden")
    assert await desk.balance_or_none(home) is None


async def test_more_than_somebody_has_is_not_taken_and_nothing_changes(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    assert await desk.refused(TRANSFERS, taking(home, 11)) == (422, "insufficient_points", ["body.amount"])
    assert await desk.balance(home) == (10, 10)
    await desk.done(TRANSFERS, taking(home, 10))
    assert await desk.balance(home) == (0, 0)


async def test_without_a_key_nothing_is_posted(desk: Desk) -> None:
    refusal = await desk.refused(TRANSFERS, gift(new_id()), key=None)
    assert refusal == (422, "invalid", ["header.Idempotency-Key"])


async def test_the_same_request_sent_twice_posts_once_and_is_answered_the_same(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    first = await desk.post(TRANSFERS, gift(home, 7), key=key)
    second = await desk.post(TRANSFERS, gift(home, 7), key=key)
    assert (second.status_code, second.content) == (201, first.content)
    assert (first.headers.get("Idempotency-Hit"), second.headers.get("Idempotency-Hit")) == (None, "true")
    assert await desk.balance(home) == (7, 7)


async def test_the_same_request_sent_many_times_at_once_posts_once(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    answers = await asyncio.gather(*(desk.post(TRANSFERS, gift(home, 7), key=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await desk.balance(home) == (7, 7)


async def test_the_same_key_with_another_body_is_never_answered_with_the_first_ones_answer(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    await desk.done(TRANSFERS, gift(home, 7), key=key)
    assert (await desk.refused(TRANSFERS, gift(home, 8), key=key))[:2] == (422, "idempotency_key_reused")
    assert await desk.balance(home) == (7, 7)


async def test_a_refusal_is_repeated_under_its_key_and_another_key_tries_again(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    await desk.give(home, 1)
    assert (await desk.refused(TRANSFERS, taking(home, 2), key=key))[1] == "insufficient_points"
    await desk.give(home, 1)
    assert (await desk.refused(TRANSFERS, taking(home, 2), key=key))[1] == "insufficient_points"
    await desk.done(TRANSFERS, taking(home, 2))


async def test_a_reference_is_used_once_for_ever(desk: Desk) -> None:
    home, reference = new_id(), f"信访〔2026〕{new_id()}号"
    posted = await desk.done(TRANSFERS, gift(home, 3, reference=reference))
    assert posted["reference"] == reference
    refusal = await desk.refused(TRANSFERS, gift(home, 3, reference=reference))
    assert refusal == (409, "reference_used", ["body.reference"])
    assert await desk.balance(home) == (3, 3)


HOME = str(UUID(int=99))
OK = gift(UUID(int=99))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"amount": 0}, "body.amount", id="nothing"),
        pytest.param({"amount": -5}, "body.amount", id="less than nothing"),
        pytest.param({"amount": 1.5}, "body.amount", id="a fraction"),
        pytest.param({"amount": "5"}, "body.amount", id="a text"),
        pytest.param({"amount": True}, "body.amount", id="a truth"),
        pytest.param({"amount": 10**12 + 1}, "body.amount", id="too much"),
        pytest.param({"amount": 10**400}, "body.amount", id="much too much"),
        pytest.param({"reason": " "}, "body.reason", id="no reason"),
        pytest.param({"reason": "x" * 501}, "body.reason", id="a novel"),
        pytest.param({"reason": "a\x00b"}, "body.reason", id="a null character"),
        pytest.param({"code": "award"}, "body.code", id="a code of the system"),
        pytest.param({"reference": "expiry/1"}, "body.reference", id="a reference of the system"),
        pytest.param({"reference": ""}, "body.reference", id="an empty reference"),
        pytest.param({"occurred_at": "2026-01-01T00:00:00"}, "body.occurred_at", id="no time zone"),
        pytest.param({"occurred_at": "0001-01-01T00:00:00+14:00"}, "body.occurred_at", id="antiquity"),
        pytest.param({"occurred_at": "2099-01-01T00:00:00Z"}, "body.occurred_at", id="the future"),
        pytest.param({"memo": "x"}, "body.memo", id="an unknown field"),
        pytest.param({"debit": "nobody"}, "body.debit", id="no account id"),
        pytest.param({"debit": 7}, "body.debit", id="a number"),
        pytest.param({"debit": wallet(UUID(int=99)) | {"owner_id": "me"}}, "body.debit.owner_id", id="no owner id"),
        pytest.param({"debit": wallet(UUID(int=99)) | {"ledger": "staff"}}, "body.debit", id="a staff household"),
        pytest.param({"debit": ISSUANCE | {"owner_id": HOME}}, "body.debit", id="a private issuance"),
        pytest.param({"credit": {"ledger": "civic", "owner_kind": "household"}}, "body.credit", id="no owner"),
        pytest.param({"credit": ISSUANCE | {"purpose": "coupon_liability"}}, "body.credit.purpose", id="coupons"),
        pytest.param({"credit": ISSUANCE}, "body.credit", id="the same account"),
        pytest.param({"credit": staff_wallet(UUID(int=99))}, "body.credit", id="the other ledger"),
    ],
)
async def test_what_cannot_be_posted_is_refused_by_the_name_of_its_field(
    desk: Desk, change: dict[str, Any], field: str
) -> None:
    status, _, fields = await desk.refused(TRANSFERS, OK | change)
    assert status in {409, 422}
    assert fields == [field]


async def test_an_account_id_that_is_none_is_named(desk: Desk) -> None:
    refusal = await desk.refused(TRANSFERS, OK | {"debit": str(new_id())})
    assert refusal == (404, "account_not_found", ["body.debit"])


async def test_what_open_coupons_stand_for_is_not_posted_to_by_hand(desk: Desk, coupons_account: str) -> None:
    refusal = await desk.refused(TRANSFERS, OK | {"credit": coupons_account})
    assert refusal == (422, "not_by_hand", ["body.credit"])


@pytest.fixture
async def coupons_account(points: Points) -> str:
    """The id of the account of all open coupons, opened if need be."""
    key = coupon_liability()
    async with points.db.transaction() as session:
        if await session.get(Account, key.id) is None:
            session.add(Account.open(key, clock.now()))
    return str(key.id)


async def test_the_reason_is_kept_with_who_posted_and_can_be_erased_without_touching_the_transfer(desk: Desk) -> None:
    home = new_id()
    posted = await desk.done(TRANSFERS, gift(home, 5, reason="张某某的志愿时长漏记"))
    path = f"{TRANSFERS}/{posted['id']}"
    shown = (await desk.get(path, who=actor("auditor"))).json()
    assert shown["reason"] == "张某某的志愿时长漏记"
    assert (shown["posted_by"], shown["approved_by"]) == (str(desk.admin.id), None)
    async with desk.points.db.transaction() as session:
        text = await session.get_one(TransferText, UUID(posted["id"]))
        before = await session.get_one(Transfer, UUID(posted["id"]))
    assert before.text_hash == hashlib.sha256(text.salt + text.words.encode()).digest()
    async with desk.points.client(desk.admin) as client:
        assert [(await client.delete(f"{path}/reason")).status_code for _ in range(2)] == [204, 204]
        assert (await client.delete(f"{TRANSFERS}/{new_id()}/reason")).status_code == 404
    async with desk.points.client(desk.second) as client:
        assert (await client.delete(f"{path}/reason")).status_code == 204
    assert shown["reason_erased_by"] is None
    assert (await desk.get(path)).json() == shown | {"reason": None, "reason_erased_by": str(desk.admin.id)}
    async with desk.points.db.transaction() as session:
        assert (await session.get_one(Transfer, UUID(posted["id"]))).text_hash == before.text_hash
        assert await session.get(TransferText, UUID(posted["id"])) is None


async def test_two_transfers_for_one_reason_do_not_show_it_by_their_hashes(desk: Desk) -> None:
    home = new_id()
    ids = [UUID((await desk.done(TRANSFERS, gift(home, 1, reason="same")))["id"]) for _ in range(2)]
    move = {name: value for name, value in gift(home, 1).items() if name != "reason"}
    batch = await desk.done(f"{TRANSFERS}/batch", {"reason": "same", "transfers": [move, move]}, status=200)
    ids += [UUID(item["transfer"]["id"]) for item in batch["results"]]
    async with desk.points.db.transaction() as session:
        hashes = set(await session.scalars(select(Transfer.text_hash).where(Transfer.id.in_(ids))))
    assert len(hashes) == 4


async def test_a_dry_run_says_what_would_come_out_and_writes_nothing(desk: Desk) -> None:
    home = new_id()
    answer = await desk.post(TRANSFERS, gift(home, 30), key=None, dry_run="true")
    assert answer.status_code == 200
    trial = answer.json()
    assert (trial["needs_approval"], trial["points"]) == (False, 30)
    [item] = trial["results"]
    assert (item["status"], item["problem"]) == (201, None)
    assert item["would"]["credit"] == {"account_id": wallet_id(home), "balance": 30, "available": 30, "version": 1}
    assert await desk.balance_or_none(home) is None
    assert (await desk.refused(TRANSFERS, taking(home, 1), dry_run="true"))[1] == "insufficient_points"
    assert (await desk.post(TRANSFERS, gift(home, 1001), dry_run="true")).json()["needs_approval"] is True


async def test_a_dry_run_does_not_use_up_its_key(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    await desk.done(TRANSFERS, gift(home, 3), key=key, status=200, dry_run="true")
    await desk.done(TRANSFERS, gift(home, 3), key=key)
    assert await desk.balance(home) == (3, 3)


@pytest.fixture
async def hasty_desk(database: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk of a service that waits for no lock."""
    async with service_on(database, keys_dir, tmp_path, lock_timeout_seconds=0.1) as points:
        yield Desk(points)


async def test_while_somebody_keeps_the_ledger_busy_nobody_is_told_that_they_have_not_enough(
    hasty_desk: Desk, database: TestDatabase
) -> None:
    home, key = new_id(), str(new_id())
    await hasty_desk.give(home, 5)
    async with await psycopg.AsyncConnection.connect(database.url("points")) as other:
        await other.execute("SELECT * FROM points.ledger FOR UPDATE")
        for amount in (5, 6):
            answer = await hasty_desk.post(TRANSFERS, taking(home, amount), key=f"{key}-{amount}")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
    await hasty_desk.done(TRANSFERS, taking(home, 5), key=f"{key}-5")  # the key was not spent on the 503
    assert await hasty_desk.balance(home) == (0, 0)


async def test_of_many_who_spend_the_same_points_at_once_only_so_many_do(desk: Desk) -> None:
    home = new_id()
    await desk.give(home, 10)
    answers = await asyncio.gather(*(desk.post(TRANSFERS, taking(home, 3)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 5
    assert await desk.balance(home) == (1, 1)
    await desk.points.check()


async def test_points_are_not_sent_to_a_household_that_nobody_knows_by_a_slip_in_its_id(desk: Desk) -> None:
    slip, home = new_id(), new_id()
    refusal = (422, "household_unknown", ["body.credit.owner_id"])
    assert await desk.refused(TRANSFERS, gift(slip), known=False) == refusal
    assert await desk.refused(TRANSFERS, gift(slip), known=False, key=None, dry_run="true") == refusal
    lapses_at = (clock.now() + timedelta(days=1)).isoformat()
    assert await desk.refused(HOLDS, gift(slip, lapses_at=lapses_at), known=False) == refusal
    await desk.give(home, 5)
    move = {name: value for name, value in taking(home, 1).items() if name != "reason"}
    batch = {"reason": "x", "transfers": [move, move | {"credit": wallet(slip)}]}
    done = await desk.done(f"{TRANSFERS}/batch", batch, status=200, known=False)
    assert [item["status"] for item in done["results"]] == [201, 422]
    [fault] = done["results"][1]["problem"]["errors"]
    assert fault["name"] == "body.transfers.1.credit.owner_id"
    assert (await desk.get(f"{ACCOUNTS}/{wallet_id(slip)}")).status_code == 404


async def test_a_household_that_identity_or_a_fact_has_told_of_can_be_given_points(desk: Desk) -> None:
    told, earned = Family(), Family()
    await desk.points.tell(told.changed(1, new_id()), Attendance(household_id=earned.id).verified(60))
    for family in (told, earned):
        await desk.done(TRANSFERS, gift(family.id, 5), known=False)


@pytest.mark.parametrize("amount", [2**53, 2**63 - 1, 2**63, 2**64, 10**40, 0, -1, 1.5, "5", True, None])
async def test_an_amount_that_cannot_be_is_refused_by_its_name_on_every_way(desk: Desk, amount: Any) -> None:
    home = new_id()
    given = await desk.give(home, 5)
    lapses_at = (clock.now() + timedelta(hours=1)).isoformat()
    refusal = (422, "invalid", ["body.amount"])
    assert await desk.refused(TRANSFERS, gift(home, amount)) == refusal
    assert await desk.refused(HOLDS, taking(home, amount, lapses_at=lapses_at)) == refusal
    if amount is not None:
        assert await desk.refused(f"{TRANSFERS}/{given['id']}/reverse", {"reason": "x", "amount": amount}) == refusal


async def test_a_balance_beyond_what_the_database_can_hold_is_refused_and_its_neighbours_are_posted(
    own_points: Points,
) -> None:
    desk, rich, poor = Desk(own_points), new_id(), new_id()
    await desk.give(rich, 5)
    with psycopg.connect(own_points.town.database.admin_url) as owner:
        owner.execute("UPDATE points.account SET balance = %s WHERE id = %s", [2**63 - 5, wallet_id(rich)])
    assert await desk.refused(TRANSFERS, gift(rich, 5)) == (422, "amount_too_large", ["body.amount"])
    move = {name: value for name, value in gift(poor, 4).items() if name != "reason"}
    batch = {"reason": "x", "transfers": [move, move | {"credit": wallet(rich), "amount": 5}, move]}
    done = await desk.done(f"{TRANSFERS}/batch", batch, status=200)
    assert [item["status"] for item in done["results"]] == [201, 422, 201]
    await desk.done(TRANSFERS, gift(rich, 4))
