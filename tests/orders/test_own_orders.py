"""My orders: what somebody reported by account, as the app's first screen asks for it."""

import secrets
from typing import Any

from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.orders.terms import PlaceKind
from tests.orders.neighbourhood import Neighbourhood
from tests.town import actor


async def reported(hood: Neighbourhood, who: Actor) -> dict[str, Any]:
    """A report of a lift that nobody has reported yet."""
    code = f"T{secrets.token_hex(6)}"
    async with hood.db.transaction() as session:
        await hood.place(session, new_id(), PlaceKind.LIFT, "试验小区4号楼电梯", code)
    return await hood.report(who, qr_code=code)


async def listed(hood: Neighbourhood, who: Actor, **params: str | int) -> list[str]:
    """The ids of what is listed, page after page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await hood.get("", who, **params, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += [order["id"] for order in answer.json()["items"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found


async def test_my_orders_are_those_that_i_reported_whatever_else_my_post_shows_me(hood: Neighbourhood) -> None:
    at_home = actor("resident", id=hood.supervisor.id)
    mine, theirs = await reported(hood, at_home), await reported(hood, hood.resident)
    entered = await reported(hood, hood.supervisor)  # for somebody who called
    assert set(await listed(hood, hood.supervisor)) == {mine["id"], theirs["id"], entered["id"]}
    assert await listed(hood, hood.supervisor, owner="me") == [mine["id"]]
    assert await listed(hood, hood.resident, owner="me") == [theirs["id"]]
    assert await listed(hood, actor("resident"), owner="me") == []


async def test_an_order_is_open_until_it_is_closed_or_withdrawn(hood: Neighbourhood) -> None:
    pooled, resolved, closed, withdrawn = [await reported(hood, hood.resident) for _ in range(4)]
    for report in (resolved, closed):
        await hood.act(report, "claim", hood.handler)
        await hood.work(report)
    await hood.call(closed)
    answer = await hood.by_link(withdrawn, "withdraw", reason="已经好了")
    assert answer.status_code == 200, answer.text
    assert await listed(hood, hood.resident, owner="me", open="true") == [resolved["id"], pooled["id"]]
    assert await listed(hood, hood.resident, owner="me", open="false") == [withdrawn["id"], closed["id"]]
    assert len(await listed(hood, hood.resident, owner="me")) == 4
    assert await listed(hood, hood.dispatcher, open="true") == [resolved["id"], pooled["id"]]
    assert await listed(hood, hood.resident, open="true", state="closed") == []


async def test_a_list_of_my_open_orders_is_walked_to_its_end(hood: Neighbourhood) -> None:
    made = [(await reported(hood, hood.resident))["id"] for _ in range(5)]
    await hood.report()
    assert await listed(hood, hood.resident, owner="me", open="true", limit=2) == made[::-1]


async def test_a_cursor_of_my_orders_does_not_continue_another_list(hood: Neighbourhood) -> None:
    for _ in range(2):
        await reported(hood, hood.resident)
    mine: dict[str, str | int] = {"owner": "me", "open": "true", "limit": 1}
    cursor = (await hood.get("", hood.resident, **mine)).json()["next_cursor"]
    for other in ({}, {"owner": "me"}, {"open": "true"}, {"owner": "me", "open": "false"}):
        answer = await hood.get("", hood.resident, limit=1, cursor=cursor, **other)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor"), other


async def test_nobody_elses_orders_are_asked_for_by_owner(hood: Neighbourhood) -> None:
    for params in ({"owner": str(hood.resident.id)}, {"owner": ""}, {"open": "perhaps"}):
        answer = await hood.get("", hood.supervisor, **params)
        assert answer.status_code == 422
        assert [error["name"] for error in answer.json()["errors"]] == [f"query.{name}" for name in params]
