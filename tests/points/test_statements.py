"""What people see of their points, and what they do not see of others'."""

from typing import Any
from uuid import UUID

import pytest

from chassis.core.ids import new_id
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.terms import AccountKey, issuance
from services.points.statements import rules
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points
from tests.points.facts import Order
from tests.town import actor

ACCOUNTS = "/api/points/accounts"


async def get(points: Points, path: str, who: Any = None, **params: Any) -> Any:
    async with points.client(who) as client:
        return await client.get(path, params=params)


async def test_before_the_first_award_everybody_sees_their_empty_accounts_and_nothing_is_written(
    points: Points,
) -> None:
    who = actor("resident", "handler", household_id=new_id())
    answer = (await get(points, ACCOUNTS, who, owner="me")).json()
    assert answer["next_cursor"] is None
    civic, staff = answer["items"]
    assert civic.items() >= {"ledger": "civic", "owner_kind": "household", "purpose": "wallet"}.items()
    assert staff.items() >= {"ledger": "staff", "owner_kind": "person", "purpose": "wallet"}.items()
    assert all((item["balance"], item["available"], item["version"]) == (0, 0, 0) for item in (civic, staff))
    for account in (civic, staff):
        page = await get(points, f"{ACCOUNTS}/{account['id']}/entries", who)
        assert (page.status_code, page.json()) == (200, {"items": [], "next_cursor": None})
    async with points.db.transaction() as session:
        ids = [UUID(account["id"]) for account in (civic, staff)]
        assert await accounts_by_id(session, ids) == {}


async def test_the_empty_account_and_the_one_awarded_to_are_the_same(points: Points) -> None:
    handler = actor("handler")
    before = await points.account(handler, "staff")
    await points.tell(*Order().handled(handler.id))
    after = await points.account(handler, "staff")
    assert after == before | {"balance": 35, "available": 35, "version": 4}


async def test_only_staff_have_a_staff_account_and_only_households_a_civic_one(points: Points) -> None:
    async def ledgers(*roles: str, household: bool) -> list[str]:
        who = actor(*roles, household_id=new_id() if household else None)
        return [item["ledger"] for item in (await get(points, ACCOUNTS, who, owner="me")).json()["items"]]

    assert await ledgers("resident", household=True) == ["civic"]
    assert await ledgers("handler", household=False) == ["staff"]
    assert await ledgers("resident", "patrol", household=True) == ["civic", "staff"]
    assert await ledgers("merchant", household=False) == []


async def test_the_ledger_filter_shows_that_ledger_alone(points: Points) -> None:
    who = actor("resident", "handler", household_id=new_id())
    for ledger in ("civic", "staff"):
        items = (await get(points, ACCOUNTS, who, owner="me", ledger=ledger)).json()["items"]
        assert [item["ledger"] for item in items] == [ledger]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "query.owner"),
        ({"owner": "everybody"}, "query.owner"),
        ({"owner": str(new_id())}, "query.owner"),
        ({"owner": "me", "ledger": "gold"}, "query.ledger"),
        ({"owner": "me", "purpose": "wallet"}, "query.purpose"),
    ],
)
async def test_an_unknown_owner_or_filter_is_refused_by_name(
    points: Points, params: dict[str, str], field: str
) -> None:
    answer = await get(points, ACCOUNTS, actor("handler"), **params)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "query.limit"),
        ({"limit": "201"}, "query.limit"),
        ({"limit": "ten"}, "query.limit"),
        ({"colour": "red"}, "query.colour"),
        ({"cursor": "nonsense"}, "query.cursor"),
        ({"cursor": "\x00'--"}, "query.cursor"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_by_name(points: Points, params: dict[str, str], field: str) -> None:
    handler = actor("handler")
    account = await points.account(handler, "staff")
    for path in (f"{ACCOUNTS}/{account['id']}/entries", "/api/points/rules"):
        answer = await get(points, path, handler, **params)
        assert answer.status_code == 422
        assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_a_statement_in_pages_is_the_whole_statement_newest_first(points: Points) -> None:
    handler = actor("handler")
    for _ in range(3):
        await points.tell(*Order().handled(handler.id))
    whole = await points.entries(handler, "staff")
    assert [entry["version"] for entry in whole] == list(range(12, 0, -1))
    account = await points.account(handler, "staff")
    path, paged, cursor = f"{ACCOUNTS}/{account['id']}/entries", [], None
    while True:
        params = {"limit": "5"} | ({"cursor": cursor} if cursor else {})
        page = (await get(points, path, handler, **params)).json()
        paged += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
        await points.tell(Order().met(handler.id))  # what comes meanwhile disturbs nothing
    assert paged == whole
    assert len({entry["id"] for entry in paged}) == 12


async def test_a_cursor_of_one_statement_does_not_open_another(points: Points) -> None:
    first, second = actor("handler"), actor("handler")
    await points.tell(*Order().handled(first.id), *Order().handled(second.id))
    paths = [f"{ACCOUNTS}/{(await points.account(who, 'staff'))['id']}/entries" for who in (first, second)]
    cursor = (await get(points, paths[0], first, limit=2)).json()["next_cursor"]
    assert (await get(points, paths[1], second, limit=2, cursor=cursor)).json()["code"] == "invalid_cursor"
    assert (await get(points, "/api/points/rules", first, cursor=cursor)).json()["code"] == "invalid_cursor"


async def test_a_household_wallet_is_its_members_to_read_and_nobody_elses(points: Points) -> None:
    household, other = new_id(), new_id()
    await points.tell(Order().closed(new_id(), reporter_id=new_id(), reporter_household_id=household))
    path = f"{ACCOUNTS}/{AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, household).id}/entries"
    for who, status in [
        (actor("resident", household_id=household), 200),
        (actor("resident", household_id=other), 404),
        (actor("supervisor"), 404),
        (actor("resident", id=household), 404),
        (actor("auditor"), 200),
        (actor("administrator"), 200),
    ]:
        answer = await get(points, path, who)
        assert answer.status_code == status, who
        assert len(answer.json().get("items", [])) == (1 if status == 200 else 0)


async def test_a_staff_account_is_its_owners_to_read_even_without_the_post(points: Points) -> None:
    owner, path = new_id(), ""
    await points.tell(*Order().handled(owner))
    path = f"{ACCOUNTS}/{AccountKey(LedgerName.STAFF, OwnerKind.PERSON, owner).id}/entries"
    for who, status in [
        (actor("handler", id=owner), 200),
        (actor("resident", id=owner), 200),
        (actor("handler"), 404),
        (actor("dispatcher"), 404),
        (actor("auditor"), 200),
    ]:
        assert (await get(points, path, who)).status_code == status, who


async def test_an_account_of_others_and_one_that_is_not_there_look_the_same(points: Points) -> None:
    owner = new_id()
    await points.tell(*Order().handled(owner))
    there = AccountKey(LedgerName.STAFF, OwnerKind.PERSON, owner).id
    answers = [await get(points, f"{ACCOUNTS}/{id_}/entries", actor("handler")) for id_ in (there, new_id())]
    bodies = [answer.json() | {"request_id": None} for answer in answers]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "account_not_found"


async def test_what_the_system_has_issued_is_for_auditors_alone(points: Points) -> None:
    await points.tell(*Order().handled(new_id()))
    path = f"{ACCOUNTS}/{issuance(LedgerName.STAFF).id}/entries"
    assert (await get(points, path, actor("handler"))).status_code == 404
    items = (await get(points, path, actor("auditor"), limit=4)).json()["items"]
    assert [item["amount"] for item in items] == [-20, -10, -3, -2]


@pytest.mark.parametrize("account_id", ["me", "0", "' OR 1=1 --", "%00", "\u5317"])
async def test_an_account_id_that_is_none_is_refused_by_name(points: Points, account_id: str) -> None:
    answer = await get(points, f"{ACCOUNTS}/{account_id}/entries", actor("handler"))
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == ["path.account_id"]


@pytest.mark.parametrize("path", [ACCOUNTS, f"{ACCOUNTS}/{UUID(int=7)}/entries", "/api/points/rules"])
async def test_nothing_is_shown_to_whoever_is_not_signed_in(points: Points, path: str) -> None:
    assert (await get(points, path)).status_code == 401


async def test_the_rules_say_what_earns_what(points: Points) -> None:
    page = (await get(points, "/api/points/rules", actor("resident"))).json()
    told = {item["code"]: (item["ledger"], item["amount"], item["cap"]) for item in page["items"]}
    assert told == {
        "order.base": ("staff", "10", None),
        "order.claim": ("staff", "2", None),
        "order.double_yes": ("staff", "20", None),
        "order.meet": ("staff", "3", None),
        "report.accepted": ("civic", "2", {"points": 10, "period": "month", "scope": "household", "campaign": None}),
        "volunteer.hour": (
            "civic",
            "12 * minutes / 60",
            {"points": 48, "period": "day", "scope": "person", "campaign": None},
        ),
    }
    assert {item["version"] for item in page["items"]} == {1}


async def test_the_rules_in_pages_are_all_the_rules(points: Points) -> None:
    codes: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await get(points, "/api/points/rules", actor("resident"), **params)).json()
        codes += [item["code"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert codes == ["order.base", "order.claim", "order.double_yes", "order.meet", "report.accepted", "volunteer.hour"]


def test_a_person_has_no_other_wallets() -> None:
    who = actor("handler", household_id=new_id())
    assert {key.owner_id for key in rules.own_wallets(who)} == {who.id, who.household_id}
