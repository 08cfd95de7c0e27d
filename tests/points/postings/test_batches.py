"""Of many transfers in one request, each is carried out or refused for itself, and those that belong together are not
torn apart.
"""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from chassis.core.ids import new_id
from services.points.ledger.tables import Transfer
from tests.points.postings.desk import POSTINGS, TRANSFERS, Desk, gift, taking

BATCH = f"{TRANSFERS}/batch"


def move(body: dict[str, Any], **further: Any) -> dict[str, Any]:
    """A transfer as it stands in a batch, whose reason is one for all."""
    return {name: value for name, value in body.items() if name != "reason"} | further


def batch(*moves: dict[str, Any], **further: Any) -> dict[str, Any]:
    """A batch of transfers."""
    return {"reason": "月度更正", "transfers": list(moves)} | further


def outcomes(answer: dict[str, Any]) -> list[int | str]:
    """201 for each that was posted, the code of each that was not."""
    return [item["problem"]["code"] if item["problem"] else item["status"] for item in answer["results"]]


async def test_each_of_a_batch_has_its_own_result_and_a_bad_one_fails_alone(desk: Desk) -> None:
    first, second, third = new_id(), new_id(), new_id()
    moves = [gift(first, 5), taking(second, 1), gift(third, 7)]
    answer = await desk.done(BATCH, batch(*map(move, moves)), status=200)
    assert outcomes(answer) == [201, "insufficient_points", 201]
    assert answer["results"][1]["status"] == 422
    assert [field["name"] for field in answer["results"][1]["problem"]["errors"]] == ["body.transfers.1.amount"]
    assert answer["results"][2]["transfer"]["credit"]["balance"] == 7
    assert answer["results"][2]["transfer"]["sequence"] == answer["results"][0]["transfer"]["sequence"] + 1
    assert (await desk.balance(first), await desk.balance_or_none(second)) == ((5, 5), None)
    await desk.points.check()


async def test_later_ones_spend_what_earlier_ones_gave(desk: Desk) -> None:
    home = new_id()
    moves = [gift(home, 5), taking(home, 3), taking(home, 3), taking(home, 2)]
    answer = await desk.done(BATCH, batch(*map(move, moves)), status=200)
    assert outcomes(answer) == [201, 201, "insufficient_points", 201]
    assert await desk.balance(home) == (0, 0)


async def test_linked_ones_succeed_or_fail_together_and_others_go_on(desk: Desk) -> None:
    poor, home, other = new_id(), new_id(), new_id()
    moves = [
        move(gift(other, 1)),
        move(gift(home, 2), linked=True),
        move(taking(poor, 1), linked=True),
        move(gift(home, 3)),
        move(gift(other, 4), linked=True),
        move(gift(home, 5)),
    ]
    answer = await desk.done(BATCH, batch(*moves), status=200)
    assert outcomes(answer) == [201, "linked_failed", "insufficient_points", "linked_failed", 201, 201]
    assert (await desk.balance(home), await desk.balance(other)) == ((5, 5), (5, 5))
    await desk.points.check()


async def test_a_last_one_that_is_linked_to_nothing_refuses_the_batch(desk: Desk) -> None:
    body = batch(move(gift(new_id(), 1)), move(gift(new_id(), 1), linked=True))
    assert await desk.refused(BATCH, body) == (422, "link_open", ["body.transfers.1.linked"])


async def test_an_atomic_batch_is_posted_whole_or_not_at_all(desk: Desk) -> None:
    home, poor = new_id(), new_id()
    body = batch(move(gift(home, 5)), move(gift(home, 6)), move(taking(poor, 1)), atomic=True)
    assert await desk.refused(BATCH, body) == (422, "insufficient_points", ["body.transfers.2.amount"])
    assert await desk.balance_or_none(home) is None
    answer = await desk.done(BATCH, batch(move(gift(home, 5)), move(gift(home, 6)), atomic=True), status=200)
    assert outcomes(answer) == [201, 201]
    assert await desk.balance(home) == (11, 11)


async def test_a_reference_that_stands_twice_in_a_batch_is_used_once(desk: Desk) -> None:
    home, reference = new_id(), str(new_id())
    body = batch(move(gift(home, 5, reference=reference)), move(gift(home, 5, reference=reference)))
    answer = await desk.done(BATCH, body, status=200)
    assert outcomes(answer) == [201, "reference_used"]
    assert await desk.balance(home) == (5, 5)


async def test_a_batch_sent_twice_under_one_key_is_posted_once(desk: Desk) -> None:
    home, key = new_id(), str(new_id())
    body = batch(move(gift(home, 5)), move(taking(home, 6)))
    first = await desk.post(BATCH, body, key=key)
    second = await desk.post(BATCH, body, key=key)
    assert (second.status_code, second.content) == (200, first.content)
    assert await desk.balance(home) == (5, 5)


async def test_for_the_second_administrator_the_sum_of_a_batch_counts(desk: Desk) -> None:
    home = new_id()
    answer = await desk.done(BATCH, batch(move(gift(home, 600)), move(gift(home, 401))), status=202)
    assert (answer["kind"], answer["items"], answer["points"]) == ("transfers", 2, 1001)
    assert await desk.balance_or_none(home) is None
    approved = await desk.done(f"{POSTINGS}/{answer['id']}/approve", who=desk.second, status=200)
    assert outcomes(approved) == [201, 201]
    assert await desk.balance(home) == (1001, 1001)


async def test_a_dry_run_of_a_batch_tells_each_ones_result_and_writes_nothing(desk: Desk) -> None:
    home = new_id()
    body = batch(move(gift(home, 5)), move(taking(home, 6)), move(taking(home, 5)))
    answer = await desk.done(BATCH, body, status=200, dry_run="true", key=None)
    assert outcomes(answer) == [201, "insufficient_points", 201]
    assert [item["would"] and item["would"]["amount"] for item in answer["results"]] == [5, None, 5]
    assert await desk.balance_or_none(home) is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(batch(), "body.transfers", id="none"),
        pytest.param(batch(*[move(gift(UUID(int=5), 1))] * 5001), "body.transfers", id="too many"),
        pytest.param(
            batch(move(gift(UUID(int=5), 1)), move(gift(UUID(int=5), 0))), "body.transfers.1.amount", id="amount"
        ),
        pytest.param(
            batch(move(gift(UUID(int=5), 1)), move(gift(UUID(int=5), 1), debit={"ledger": "x"})),
            "body.transfers.1.debit.ledger",
            id="account",
        ),
        pytest.param(batch(gift(UUID(int=5), 1)), "body.transfers.0.reason", id="reasons"),
        pytest.param(batch(move(gift(UUID(int=5), 1)), atomic="perhaps"), "body.atomic", id="half atomic"),
    ],
)
async def test_a_fault_in_a_batch_is_named_by_its_place(desk: Desk, body: dict[str, Any], field: str) -> None:
    status, _, fields = await desk.refused(BATCH, body)
    assert status == 422
    assert field in fields


async def test_five_thousand_are_posted_in_one_request(desk: Desk) -> None:
    homes = [new_id() for _ in range(5000)]
    body = batch(*(move(gift(home, 1)) for home in homes))
    answer = await desk.done(BATCH, body, status=202)
    approved = await desk.done(f"{POSTINGS}/{answer['id']}/approve", who=desk.second, status=200)
    assert set(outcomes(approved)) == {201}
    ids = [UUID(item["transfer"]["id"]) for item in approved["results"]]
    async with desk.points.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(Transfer.id.in_(ids))) == 5000
