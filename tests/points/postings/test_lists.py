"""Who looks for a transfer finds it, and a page that goes on goes on with what was looked for."""

from typing import Any

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from tests.points.facts import Order
from tests.points.postings.desk import TRANSFERS, Desk, gift, taking, wallet_id
from tests.town import actor


async def ids(desk: Desk, **params: Any) -> list[str]:
    return [item["id"] for item in await desk.items(TRANSFERS, **params)]


async def test_an_accounts_transfers_are_found_on_both_its_sides_the_last_first(desk: Desk) -> None:
    home = new_id()
    mine = [(await desk.give(home, 10))["id"] for _ in range(3)]
    mine += [(await desk.done(TRANSFERS, taking(home, 4)))["id"] for _ in range(3)]
    await desk.give(new_id())
    assert await ids(desk, account=wallet_id(home)) == mine[::-1]
    assert await ids(desk, account=wallet_id(home), limit=1) == mine[::-1]
    [last, *_] = await desk.items(TRANSFERS, account=wallet_id(home))
    assert last["debit"].items() >= {"owner_id": str(home), "owner_kind": "household", "balance": 18}.items()
    assert last["credit"].items() >= {"purpose": "issuance", "owner_kind": "system"}.items()


async def test_a_transfer_is_found_by_its_reference_and_by_its_fact(desk: Desk) -> None:
    home, reference = new_id(), str(new_id())
    mine = (await desk.done(TRANSFERS, gift(home, 3, reference=reference)))["id"]
    assert await ids(desk, reference=reference) == [mine]
    assert await ids(desk, reference=reference, ledger="staff") == []
    handler = new_id()
    order = Order()
    closed = order.closed(handler)
    await desk.points.tell(order.claimed(handler), closed)
    fact = str(closed.data["closure_id"])
    found = await desk.items(TRANSFERS, fact=fact)
    assert sorted((item["rule"]["code"], item["amount"]) for item in found) == [
        ("order.base", 10),
        ("order.double_yes", 20),
    ]
    back = await desk.done(f"{TRANSFERS}/{found[0]['id']}/reverse", {"reason": "x"})
    assert await ids(desk, fact=fact) == [back["id"], found[0]["id"], found[1]["id"]]
    assert await ids(desk, fact=str(new_id())) == []


async def test_transfers_are_found_by_code_and_time_in_both_ledgers(desk: Desk) -> None:
    start = clock.now()
    home, handler = new_id(), new_id()
    given = (await desk.give(home, 3))["id"]
    await desk.points.tell(*Order().handled(handler))
    middle = clock.now()
    taken = (await desk.done(TRANSFERS, taking(home, 1)))["id"]
    period: dict[str, Any] = {"from": start.isoformat()}
    assert await ids(desk, code="adjustment", **period) == [taken, given]
    assert await ids(desk, code="adjustment", to=middle.isoformat(), **period) == [given]
    everything = await desk.items(TRANSFERS, **period, limit=2)
    assert [item["ledger"] for item in everything] == ["civic", "staff", "staff", "staff", "staff", "civic"]
    assert everything == await desk.items(TRANSFERS, **period)
    assert [item["posted_at"] for item in everything] == sorted((i["posted_at"] for i in everything), reverse=True)
    assert await ids(desk, ledger="civic", **period) == [taken, given]
    assert await ids(desk, **{"from": clock.now().isoformat()}) == []


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"code": "award"},
        {"code": "adjustment", "ledger": "civic"},
        {"code": "adjustment", "from": "2026-01-01T00:00:00Z"},
        {"code": "adjustment", "account": str(new_id())},
    ],
    ids=["no filter", "another code", "a ledger", "a time", "an account"],
)
async def test_a_cursor_never_goes_on_with_other_filters(desk: Desk, changed: dict[str, Any]) -> None:
    home = new_id()
    for _ in range(3):
        await desk.give(home, 1)
    cursor = (await desk.get(TRANSFERS, code="adjustment", limit=2)).json()["next_cursor"]
    answer = await desk.get(TRANSFERS, **(changed | {"cursor": cursor, "limit": 2}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
    assert (await desk.get(TRANSFERS, code="adjustment", cursor=cursor, limit=2)).status_code == 200


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"colour": "red"}, "query.colour"),
        ({"code": "theft"}, "query.code"),
        ({"account": "me"}, "query.account"),
        ({"from": "yesterday"}, "query.from"),
        ({"from": "2026-01-01T00:00:00"}, "query.from"),
        ({"to": "9999-12-31T23:59:59-12:00"}, "query.to"),
        ({"fact": "x"}, "query.fact"),
        ({"limit": "0"}, "query.limit"),
        ({"cursor": "x"}, "query.cursor"),
        ({"reference": "a\x00"}, "query.reference"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_cannot_be_looked_for_is_refused_by_name(desk: Desk, params: dict[str, Any], field: str) -> None:
    answer = await desk.get(TRANSFERS, **params)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("role", ["resident", "handler", "supervisor", "merchant"])
async def test_transfers_of_all_are_for_auditors_and_administrators(desk: Desk, role: str) -> None:
    given = await desk.give(new_id())
    for path in (TRANSFERS, f"{TRANSFERS}/{given['id']}"):
        assert (await desk.get(path, who=actor(role))).status_code == 403
        assert (await desk.get(path, who=actor("auditor"))).status_code == 200
    assert (await desk.get(f"{TRANSFERS}/{new_id()}")).json()["code"] == "transfer_not_found"
