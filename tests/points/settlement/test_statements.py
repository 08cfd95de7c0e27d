"""A month is drawn up once, disputed in words, adjusted by two people, and then settled for good."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.coupons.errors import UseSettled
from services.points.merchants.tables import Merchant
from services.points.settlement import actions, jobs
from services.points.settlement.rules import confirms_at, next_month
from tests.points.conftest import Points
from tests.points.settlement.conftest import Office, at_noon, code_of, day, noon, tenth_hour
from tests.town import actor


def figures(statement: dict[str, Any]) -> tuple[int, int, int, int]:
    """Uses, returns, money and points."""
    return statement["uses"], statement["returns"], statement["payable_fen"], statement["points"]


async def test_a_month_is_its_uses_less_its_returns_and_nothing_of_the_next_one(office: Office, month: date) -> None:
    merchant = await office.partner()
    _, second = await office.used(merchant, month, 2)
    later = next_month(month)
    with clock.frozen(noon(later) - timedelta(hours=12, microseconds=1)):  # the last moment of the month
        await office.give_back(second)
    with clock.frozen(noon(later) - timedelta(hours=12)):
        await office.shop.use_known(merchant, second)
    statement = await office.statement(await office.draw_up(merchant, month))
    assert statement["month"] == f"{month:%Y-%m}"
    assert statement["state"] == "draft"
    assert figures(statement) == (2, 1, 1500, 12)
    assert (statement["face_fen"], statement["due_fen"]) == (2000, 1500)
    assert statement["stores"] == [
        {"store_id": "store-1", "uses": 2, "returns": 1, "face_fen": 2000, "payable_fen": 1500, "points": 12}
    ]
    assert figures(await office.statement(await office.draw_up(merchant, later))) == (1, 0, 1500, 12)


async def test_a_use_that_comes_back_before_its_month_is_settled_is_a_line_of_the_day_it_came_back(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    [coupon_id] = await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    later = next_month(month)
    with at_noon(day(later, 2)):
        await office.give_back(coupon_id)
    assert figures(await office.statement(statement_id)) == (1, 0, 1500, 12)
    assert figures(await office.statement(await office.draw_up(merchant, later))) == (0, 1, -1500, -12)


async def test_nothing_is_posted_into_a_month_that_was_drawn_up_by_a_machine_whose_clock_is_behind(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    with at_noon(month):
        _, [first, second] = await office.family(merchant, 2)
        await office.shop.use_known(merchant, first)
    statement_id = await office.draw_up(merchant, month)
    with at_noon(day(month, 27)):
        await office.shop.use_known(merchant, second)
    assert figures(await office.statement(statement_id)) == (1, 0, 1500, 12)
    assert second in (await office.bill(merchant, next_month(month))).csv.decode()
    assert figures(await office.statement(await office.draw_up(merchant, next_month(month)))) == (1, 0, 1500, 12)


async def test_a_draft_that_nobody_disputes_in_five_working_days_is_confirmed_and_its_uses_stay(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    [coupon_id] = await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    over = confirms_at(tenth_hour(next_month(month)))
    await office.confirm_due(over - timedelta(seconds=1))
    assert (await office.statement(statement_id))["state"] == "draft"
    await office.confirm_due(over)
    statement = await office.statement(statement_id)
    assert statement["state"] == "confirmed"
    assert statement["confirmed_at"] is not None
    with clock.frozen(over), pytest.raises(UseSettled):
        await office.give_back(coupon_id)


async def test_a_use_of_the_month_after_a_settled_one_can_still_come_back(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    await office.draw_up(merchant, month)
    [coupon_id] = await office.used(merchant, next_month(month))
    await office.confirmed(merchant, month)
    with at_noon(day(next_month(month), 20)):
        assert (await office.give_back(coupon_id)).state == "effective"


async def test_a_return_and_the_confirmation_at_the_same_moment_come_one_after_the_other(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    [coupon_id] = await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    over = confirms_at(tenth_hour(next_month(month)))

    async def come_back() -> bool:
        try:
            await office.give_back(coupon_id)
        except UseSettled:
            return False
        return True

    with clock.frozen(over):
        came_back, _ = await asyncio.gather(come_back(), jobs.confirm(office.db, over))
    statement = await office.statement(statement_id)
    assert (statement["state"], *figures(statement)) == ("confirmed", 1, 0, 1500, 12)
    next_one = await office.statement(await office.draw_up(merchant, next_month(month)))
    assert next_one["returns"] == int(came_back)


async def test_a_disputed_draft_waits_for_an_answer_and_is_confirmed_with_it(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    path = f"/statements/{statement_id}"
    with at_noon(day(next_month(month), 2)):
        statement = await office.told(merchant.manager, "POST", f"{path}/dispute", json={"words": "少了一笔退货"})
        assert statement["disputed"] is True
        again = await office.ask(merchant.manager, "POST", f"{path}/dispute", json={"words": "还有一笔"})
        assert code_of(again) == (409, "dispute_open")
        assert code_of(await office.ask(merchant.manager, "POST", f"{path}/confirm")) == (409, "dispute_open")
    await office.confirm_due(noon(day(next_month(month), 27)))
    assert (await office.statement(statement_id))["state"] == "draft"
    assert [one["id"] for one in await office.statements(merchant, disputed=True)] == [statement_id]
    with at_noon(day(next_month(month), 28)):
        told = await office.told(office.clerk, "POST", f"{path}/resolve", json={"words": "已核对，无误"})
    assert told["state"] == "confirmed"
    seen = await office.statement(statement_id, merchant.manager)
    assert [(each["words"], each["answer"]) for each in seen["disputes"]] == [("少了一笔退货", "已核对，无误")]
    assert await office.statements(merchant, disputed=True) == []


async def test_a_merchant_may_agree_early_and_cannot_dispute_any_more(office: Office, month: date) -> None:
    merchant = await office.partner()
    [coupon_id] = await office.used(merchant, month)
    path = f"/statements/{await office.draw_up(merchant, month)}"
    with at_noon(day(next_month(month), 2)):
        assert (await office.told(merchant.manager, "POST", f"{path}/confirm"))["state"] == "confirmed"
        late = await office.ask(merchant.manager, "POST", f"{path}/dispute", json={"words": "等等"})
        assert code_of(late) == (409, "statement_closed")
        with pytest.raises(UseSettled):
            await office.give_back(coupon_id)


async def test_nobody_disputes_after_the_time_though_nothing_has_confirmed_it_yet(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    path = f"/statements/{await office.draw_up(merchant, month)}"
    with clock.frozen(confirms_at(tenth_hour(next_month(month)))):
        late = await office.ask(merchant.manager, "POST", f"{path}/dispute", json={"words": "等等"})
    assert code_of(late) == (409, "dispute_too_late")


async def test_a_line_is_added_by_two_administrators_and_gives_the_merchant_five_days_anew(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    over = confirms_at(tenth_hour(next_month(month)))
    approved_at = over - timedelta(hours=1)
    with clock.frozen(approved_at):
        wanted = {"fen": -300, "reason": "上月多付"}
        line = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
        refused = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
        path = f"/adjustments/{line['id']}"
        assert code_of(await office.ask(office.clerk, "POST", f"{path}/approve")) == (403, "own_adjustment")
        assert (await office.statement(statement_id, merchant.manager))["adjustments"] == []
        await office.confirm_due(over)
        assert (await office.statement(statement_id))["state"] == "draft", "a line waits for another administrator"
        await office.told(office.second, "POST", f"/adjustments/{refused['id']}/reject")
        await office.told(office.second, "POST", f"{path}/approve")
        assert code_of(await office.ask(office.second, "POST", f"{path}/approve")) == (409, "adjustment_decided")
    statement = await office.statement(statement_id)
    assert (statement["adjusted_fen"], statement["due_fen"]) == (-300, 1200)
    assert [each["state"] for each in statement["adjustments"]] == ["approved", "rejected"]
    [seen] = (await office.statement(statement_id, merchant.manager))["adjustments"]
    assert (seen["fen"], seen["reason"], seen["proposed_by"], seen["decided_by"]) == (-300, "上月多付", None, None)
    await office.confirm_due(over)
    assert (await office.statement(statement_id))["state"] == "draft"
    await office.confirm_due(confirms_at(approved_at))
    assert (await office.statement(statement_id))["state"] == "confirmed"
    late = await office.ask(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
    assert code_of(late) == (409, "statement_closed")


async def test_an_answer_does_not_pass_over_a_line_that_waits(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    path = f"/statements/{await office.draw_up(merchant, month)}"
    with at_noon(day(next_month(month), 2)):
        await office.told(merchant.manager, "POST", f"{path}/dispute", json={"words": "少付了"})
        line = await office.told(office.clerk, "POST", f"{path}/adjustments", json={"fen": 1500, "reason": "补一笔"})
        early = await office.ask(office.clerk, "POST", f"{path}/resolve", json={"words": "补上了"})
        assert code_of(early) == (409, "adjustment_pending")
        await office.told(office.second, "POST", f"/adjustments/{line['id']}/approve")
        told = await office.told(office.clerk, "POST", f"{path}/resolve", json={"words": "补上了"})
    assert (told["state"], told["due_fen"]) == ("confirmed", 3000)


@pytest.mark.parametrize("fen", [0, 1.5, "3", 10**10 + 1], ids=["nothing", "half", "text", "too much"])
async def test_a_line_of_no_money_is_refused_by_name(office: Office, fen: Any) -> None:
    wanted = {"fen": fen, "reason": "试试"}
    answer = await office.ask(office.clerk, "POST", f"/statements/{new_id()}/adjustments", json=wanted)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == "body.fen"


async def test_months_are_settled_in_their_order(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    await office.used(merchant, next_month(month))
    second = await office.draw_up(merchant, next_month(month))
    [first] = [one["id"] for one in await office.statements(merchant, month=f"{month:%Y-%m}")]
    third_month = next_month(next_month(month))
    with clock.frozen(tenth_hour(next_month(month))):
        await office.told(merchant.manager, "POST", f"/statements/{first}/dispute", json={"words": "不对"})
    with at_noon(day(third_month, 27)):
        early = await office.ask(merchant.manager, "POST", f"/statements/{second}/confirm")
        assert code_of(early) == (409, "earlier_month_open")
        await office.confirm_due(clock.now())
        assert (await office.statement(second))["state"] == "draft"
        await office.told(office.clerk, "POST", f"/statements/{first}/resolve", json={"words": "核对过"})
        await office.confirm_due(clock.now())
        assert (await office.statement(second))["state"] == "confirmed"


async def test_a_manager_sees_and_disputes_the_statements_of_no_other_merchant(office: Office, month: date) -> None:
    merchant, other = await office.partner(), await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    path = f"/statements/{statement_id}"
    assert await office.statements(other, merchant_id=str(merchant.id)) == []
    for method, what in (("GET", ""), ("GET", "/statement.csv"), ("GET", "/statement.xlsx"), ("POST", "/confirm")):
        assert code_of(await office.ask(other.manager, method, path + what)) == (404, "statement_not_found")
    disputed = await office.ask(other.manager, "POST", f"{path}/dispute", json={"words": "不对"})
    assert code_of(disputed) == (404, "statement_not_found")
    nobody = actor("merchant")
    assert (await office.told(nobody, "GET", "/statements"))["items"] == []


async def test_an_administrator_who_has_a_post_at_the_merchant_decides_nothing_for_it(
    office: Office, month: date
) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    statement_id = await office.draw_up(merchant, month)
    own = actor("administrator", "merchant", organisation_id=merchant.id)
    wanted = {"fen": 100, "reason": "辛苦费"}
    asked = await office.ask(own, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
    assert code_of(asked) == (403, "own_merchant")
    line = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
    assert code_of(await office.ask(own, "POST", f"/adjustments/{line['id']}/approve")) == (403, "own_merchant")
    assert code_of(await office.ask(own, "POST", f"/statements/{statement_id}/resolve", json={"words": "好"})) == (
        403,
        "own_merchant",
    )
    with clock.frozen(tenth_hour(next_month(month))):
        assert code_of(await office.pay(statement_id, 1500, "B-1", who=own)) == (403, "own_merchant")


async def test_statements_are_listed_in_pages_the_latest_month_first(office: Office, month: date) -> None:
    merchant = await office.partner()
    await office.used(merchant, month)
    await office.draw_up(merchant, next_month(next_month(month)))
    asked = {"merchant_id": str(merchant.id), "limit": 2}
    first = await office.told(office.clerk, "GET", "/statements", params=asked)
    rest = await office.told(office.clerk, "GET", "/statements", params=asked | {"cursor": first["next_cursor"]})
    seen = [(one["month"], one["uses"]) for page in (first, rest) for one in page["items"]]
    later = next_month(month)
    assert seen == [(f"{next_month(later):%Y-%m}", 0), (f"{later:%Y-%m}", 0), (f"{month:%Y-%m}", 1)]
    assert rest["next_cursor"] is None
    other = await office.ask(office.clerk, "GET", "/statements", params={"cursor": first["next_cursor"]})
    assert code_of(other) == (422, "invalid_cursor")
    assert [one["month"] for one in await office.statements(merchant, state="draft", month=f"{month:%Y-%m}")] == [
        f"{month:%Y-%m}"
    ]
    assert await office.statements(merchant, state="paid") == []


async def test_the_month_is_drawn_up_from_ten_o_clock_and_what_was_missed_is_made_good(own_points: Points) -> None:
    office = Office(own_points)
    merchant, idle = await office.partner(), await office.partner("没有核销的店")
    await office.used(merchant, date(2031, 1, 20))
    first = tenth_hour(date(2031, 2, 1))
    await jobs.draw_up(office.db, first - timedelta(seconds=1))
    assert await office.statements(merchant) == []
    late = tenth_hour(date(2031, 4, 2))
    await jobs.draw_up(office.db, late)
    await jobs.draw_up(office.db, late)
    drawn_up = await office.statements(merchant)
    assert [(one["month"], one["uses"]) for one in drawn_up] == [("2031-03", 0), ("2031-02", 0), ("2031-01", 1)]
    assert await office.statements(idle) == [], "a merchant gets statements from its first use on"
    await jobs.confirm(office.db, late + timedelta(days=1))
    assert {one["state"] for one in await office.statements(merchant)} == {"draft"}
    await jobs.confirm(office.db, late + timedelta(days=30))
    assert {one["state"] for one in await office.statements(merchant)} == {"confirmed"}
    await office.shop.check()


async def test_what_goes_wrong_with_one_merchant_keeps_no_other_from_its_statement(
    own_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(own_points)
    merchants = [await office.partner(), await office.partner()]
    for merchant in merchants:
        await office.used(merchant, date(2031, 1, 20))
    draw_up = actions.draw_up
    refused: list[UUID] = []

    async def fail_once(session: AsyncSession, *, merchant: Merchant, **rest: Any) -> None:
        if not refused:
            refused.append(merchant.id)
            raise ZeroDivisionError
        await draw_up(session, merchant=merchant, **rest)

    monkeypatch.setattr(actions, "draw_up", fail_once)
    at = tenth_hour(date(2031, 2, 1))
    await jobs.draw_up(office.db, at)
    assert {one.id: len(await office.statements(one)) for one in merchants} == {
        one.id: int(one.id not in refused) for one in merchants
    }
    await jobs.draw_up(office.db, at)  # the next run makes it good
    assert [len(await office.statements(one)) for one in merchants] == [1, 1]


async def test_what_goes_wrong_with_one_draft_keeps_no_other_from_being_confirmed(
    office: Office, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchants = [await office.partner() for _ in range(3)]
    for merchant in merchants:
        await office.used(merchant, month)
    ids = [await office.draw_up(merchant, month) for merchant in merchants]
    confirm_due = actions.confirm_due

    async def fail(session: AsyncSession, *, statement_id: UUID, at: datetime) -> None:
        if str(statement_id) == ids[1]:
            raise ZeroDivisionError
        await confirm_due(session, statement_id=statement_id, at=at)

    over = confirms_at(tenth_hour(next_month(month)))
    with monkeypatch.context() as broken:
        broken.setattr(actions, "confirm_due", fail)
        await office.confirm_due(over)
    assert [(await office.statement(id_))["state"] for id_ in ids] == ["confirmed", "draft", "confirmed"]
    await office.confirm_due(over)  # the next run makes it good
    assert (await office.statement(ids[1]))["state"] == "confirmed"
