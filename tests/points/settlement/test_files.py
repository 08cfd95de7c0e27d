"""Statements as files: what the bills say and what was added, the same to the byte whenever they are made."""

import csv
import io
from datetime import date
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.merchants.actions import record_merchant
from services.points.settlement import files, lines
from services.points.settlement.rules import next_month
from tests.points.settlement.conftest import Office, Partner, at_noon, day


async def a_month(office: Office, merchant: Partner, month: date, reason: str) -> tuple[str, list[str]]:
    """A month with three uses and a return, drawn up and adjusted; its id, and the coupons."""
    with at_noon(month):
        _, coupon_ids = await office.family(merchant, 3)
        for coupon_id in coupon_ids[:2]:
            await office.shop.use_known(merchant, coupon_id)
    with at_noon(day(month, 2)):
        await office.give_back(coupon_ids[0])
        await office.shop.use_known(merchant, coupon_ids[2])
    statement_id = await office.draw_up(merchant, month)
    with at_noon(next_month(month)):
        wanted = {"fen": 250, "reason": reason}
        line = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
        await office.told(office.second, "POST", f"/adjustments/{line['id']}/approve")
        other = await office.told(office.clerk, "POST", f"/statements/{statement_id}/adjustments", json=wanted)
        await office.told(office.second, "POST", f"/adjustments/{other['id']}/reject")
    return statement_id, coupon_ids


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(content.decode("utf-8-sig").splitlines()))


def cells(content: bytes, sheet: int) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return [[cell.value for cell in row] for row in book.worksheets[sheet].iter_rows()]


async def test_a_statement_is_the_lines_of_its_daily_bills_and_what_was_added(office: Office, month: date) -> None:
    merchant = await office.partner()
    statement_id, _ = await a_month(office, merchant, month, "补上月少付")
    bills = [rows((await office.bill(merchant, day(month, number))).csv) for number in (1, 2)]
    found = rows(await office.file(merchant.manager, statement_id, "csv"))
    assert found[0] == [*bills[0][0], "remark"]
    assert [line[:-1] for line in found[1:-2]] == bills[0][1:-1] + bills[1][1:-1]
    added = next_month(month).isoformat()
    assert found[-2] == [added, "", "", "", "", "", "ADJUST", "", "0", "250", "0", "补上月少付"]
    assert found[-1] == ["total", "5", "", "", "", "", "", "", "4000", "3250", "24", ""]


async def test_the_spreadsheet_says_what_the_csv_says_and_sums_it_up(office: Office, month: date) -> None:
    merchant = await office.partner("麦垛")
    statement_id, _ = await a_month(office, merchant, month, "补上月少付")
    said = rows(await office.file(office.clerk, statement_id, "csv"))
    content = await office.file(merchant.manager, statement_id, "xlsx")
    lines = cells(content, 1)
    assert [["" if cell is None else str(cell) for cell in line] for line in lines[1:]] == said[1:]
    summary = {line[0]: line[1] for line in cells(content, 0) if line[0]}
    assert summary["Merchant 商户"] == "麦垛"
    assert summary["Month 月份"] == f"{month:%Y-%m}"
    assert summary["Uses 核销笔数"] == 3
    assert summary["Returns 撤销笔数"] == 1
    assert summary["Due (yuan) 应付(元)"] == 32.5
    assert cells(content, 0)[-1] == ["store-1", 3, 1, 40, 30, 24]


async def test_neither_file_changes_with_what_happens_later(office: Office, month: date) -> None:
    merchant = await office.partner("从前的店名")
    statement_id, coupon_ids = await a_month(office, merchant, month, "补上月少付")
    before = {ending: await office.file(office.clerk, statement_id, ending) for ending in ("csv", "xlsx")}
    async with office.db.transaction() as session:
        await record_merchant(session, merchant.id, mchid=merchant.mchid, name="新店名", stores={"store-1": "分店"})
    with at_noon(day(next_month(month), 2)):
        await office.shop.use_known(merchant, coupon_ids[0])
        await office.told(merchant.manager, "POST", f"/statements/{statement_id}/confirm")
        assert (await office.pay(statement_id, 3250, "B-1")).status_code == 201
    with at_noon(day(next_month(month), 20)):
        for ending, content in before.items():
            assert await office.file(merchant.manager, statement_id, ending) == content


async def test_a_spreadsheet_says_nothing_of_when_and_where_it_was_made(office: Office, month: date) -> None:
    merchant = await office.partner()
    statement_id, _ = await a_month(office, merchant, month, "补上月少付")
    with ZipFile(io.BytesIO(await office.file(office.clerk, statement_id, "xlsx"))) as parts:
        assert {part.date_time for part in parts.infolist()} == {(1980, 1, 31, 0, 0, 0)}
        assert {part.external_attr >> 16 for part in parts.infolist()} == {0o100600}
        assert b"2000-01-01T00:00:00Z" in parts.read("docProps/core.xml")


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@sum", '=HYPERLINK("x")'])
async def test_what_people_write_is_never_a_formula(office: Office, month: date, reason: str) -> None:
    merchant = await office.partner(reason)
    statement_id, _ = await a_month(office, merchant, month, reason)
    assert rows(await office.file(office.clerk, statement_id, "csv"))[-2][-1] == f"'{reason}"
    book = openpyxl.load_workbook(io.BytesIO(await office.file(office.clerk, statement_id, "xlsx")))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds
    assert book.worksheets[0]["B1"].value == reason


async def test_no_transaction_is_open_while_a_spreadsheet_is_written(
    office: Office, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await office.partner()
    statement_id, _ = await a_month(office, merchant, month, "补")
    sums_by_store, summarise, write = lines.sums_by_store, files._Book.summarise, files._Book.write
    sessions: list[AsyncSession] = []
    open_while: list[bool] = []

    async def sums(session: AsyncSession, *asked: Any) -> Any:
        sessions.append(session)
        return await sums_by_store(session, *asked)

    def summarised(*given: Any) -> None:
        open_while.append(sessions[0].in_transaction())
        summarise(*given)

    def written(*given: Any) -> None:
        open_while.append(sessions[0].in_transaction())
        write(*given)

    monkeypatch.setattr(lines, "sums_by_store", sums)
    monkeypatch.setattr(files._Book, "summarise", summarised)
    monkeypatch.setattr(files._Book, "write", written)
    await office.file(office.clerk, statement_id, "xlsx")
    assert open_while == [False, False, False]


async def test_parts_that_are_read_one_after_another_fit_together(
    office: Office, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await office.partner()
    statement_id, _ = await a_month(office, merchant, month, "补")
    whole = {ending: await office.file(office.clerk, statement_id, ending) for ending in ("csv", "xlsx")}
    for size in (1, 2, 4):
        monkeypatch.setattr(lines, "PART", size)
        for ending, content in whole.items():
            assert await office.file(office.clerk, statement_id, ending) == content


async def test_a_sheet_that_is_full_is_followed_by_another(
    office: Office, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await office.partner()
    statement_id, _ = await a_month(office, merchant, month, "补")
    whole = cells(await office.file(office.clerk, statement_id, "xlsx"), 1)
    monkeypatch.setattr(files, "SHEET_ROWS", 4)
    content = await office.file(office.clerk, statement_id, "xlsx")
    assert cells(content, 1) + cells(content, 2)[1:] == whole
    assert cells(content, 2)[0] == whole[0]
