"""A statement as a file opens in a spreadsheet program as what it is: numbers, times, and words, never a formula."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.statements import exports
from tests.points.conftest import Points
from tests.points.facts import Attendance
from tests.points.postings.desk import ACCOUNTS, TRANSFERS, Desk, gift, taking, wallet_id
from tests.town import actor

EVIL = '=HYPERLINK("http://example.com","请点这里")'


@pytest.fixture
def desk(points: Points) -> Desk:
    return Desk(points)


async def rows_of_csv(desk: Desk, path: str, who: Any, **params: str) -> list[list[str]]:
    answer = await desk.get(path, who=who, **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def rows_of_xlsx(desk: Desk, path: str, who: Any, **params: str) -> list[list[Any]]:
    answer = await desk.get(path, who=who, **params)
    assert answer.status_code == 200, answer.text
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    [sheet] = book.worksheets
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


async def test_both_files_hold_the_statement_oldest_line_first_with_headings_in_both_languages(desk: Desk) -> None:
    attendance = Attendance()
    member = actor("resident", household_id=attendance.household_id)
    await desk.points.tell(attendance.verified(60))
    await desk.done(TRANSFERS, gift(attendance.household_id, 5, reason="补记"))
    await desk.done(TRANSFERS, taking(attendance.household_id, 7, reason="更正"))
    lines = (await desk.points.entries(member, "civic"))[::-1]
    path = f"{ACCOUNTS}/{wallet_id(attendance.household_id)}/statement"
    heading, *rows = await rows_of_csv(desk, f"{path}.csv", member)
    assert heading == list(exports.HEADINGS)
    assert [row[4:6] for row in rows] == [["12", "12"], ["5", "17"], ["-7", "10"]]
    assert [row[10] for row in rows] == [line["transfer_id"] for line in lines]
    assert [row[3] for row in rows] == ["award 奖励", "adjustment 调整", "adjustment 调整"]
    assert (rows[0][6:8], rows[1][8]) == ([attendance.title, "volunteer.hour v1"], "补记")
    posted = datetime.fromisoformat(lines[0]["posted_at"]) + timedelta(hours=8)
    assert rows[0][1] == posted.strftime("%Y-%m-%d %H:%M:%S")
    heading, *cells = await rows_of_xlsx(desk, f"{path}.xlsx", member)
    assert heading == list(exports.HEADINGS)
    assert [row[4:6] for row in cells] == [[12, 12], [5, 17], [-7, 10]]
    assert cells[0][1] == posted.replace(tzinfo=None, microsecond=0)
    as_texts = [["" if cell is None else str(cell) for cell in row] for row in cells]
    assert as_texts == rows


@pytest.mark.parametrize("words", [EVIL, "+1", "-1", "@SUM(A1)", "＝1+1", "  =1", '1,2\n"3"'])
async def test_what_somebody_wrote_is_no_formula_in_either_file(desk: Desk, words: str) -> None:
    home = new_id()
    await desk.done(TRANSFERS, gift(home, 5, reason=words))
    path = f"{ACCOUNTS}/{wallet_id(home)}/statement"
    [_, row] = await rows_of_csv(desk, f"{path}.csv", actor("auditor"))
    said = words.strip()
    assert row[8] == (f"'{said}" if said[0] in "=+-@＝" else said)
    [_, cells] = await rows_of_xlsx(desk, f"{path}.xlsx", actor("auditor"))
    assert cells[8] == said


async def test_a_statement_is_of_whole_days_in_beijing_both_included(own_points: Points) -> None:
    desk, home = Desk(own_points), new_id()
    evening = datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)  # the last second of 1 March in Beijing
    for number, moment in enumerate([evening, evening + timedelta(seconds=1), evening + timedelta(days=1)], start=1):
        with clock.frozen(moment):
            await desk.give(home, number)
    path = f"{ACCOUNTS}/{wallet_id(home)}/statement.csv"

    async def amounts(first: str, last: str) -> list[str]:
        with clock.frozen(evening + timedelta(days=9)):
            rows = await rows_of_csv(desk, path, actor("auditor"), **{"from": first, "to": last})
        return [row[4] for row in rows[1:]]

    assert await amounts("2026-03-01", "2026-03-01") == ["1"]
    assert await amounts("2026-03-02", "2026-03-02") == ["2", "3"]
    assert await amounts("2026-03-01", "2026-03-02") == ["1", "2", "3"]
    assert await amounts("2026-03-03", "2026-03-04") == []
    with clock.frozen(evening + timedelta(days=9)):
        assert len(await rows_of_csv(desk, path, actor("auditor"))) == 4


async def test_a_long_statement_goes_out_in_parts_that_fit_together(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_id()
    for number in range(1, 8):
        await desk.give(home, number)
    monkeypatch.setattr(exports, "PART", 3)
    rows = await rows_of_csv(desk, f"{ACCOUNTS}/{wallet_id(home)}/statement.csv", actor("auditor"))
    assert [row[4] for row in rows[1:]] == ["1", "2", "3", "4", "5", "6", "7"]
    cells = await rows_of_xlsx(desk, f"{ACCOUNTS}/{wallet_id(home)}/statement.xlsx", actor("auditor"))
    assert [row[4] for row in cells[1:]] == [1, 2, 3, 4, 5, 6, 7]


async def test_too_many_lines_for_a_spreadsheet_are_refused_and_go_out_as_csv(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_id()
    for number in range(1, 5):
        await desk.give(home, number)
    monkeypatch.setattr(exports, "MAX_ROWS", 3)
    answer = await desk.get(f"{ACCOUNTS}/{wallet_id(home)}/statement.xlsx")
    assert (answer.status_code, answer.json()["code"]) == (422, "statement_too_long")
    assert len(await rows_of_csv(desk, f"{ACCOUNTS}/{wallet_id(home)}/statement.csv", actor("auditor"))) == 5


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("params", "code", "field"),
    [
        ({"from": "2026-02-30"}, "invalid", "query.from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "invalid", "query.from"),
        ({"from": "2025-01-01", "to": "2026-01-02"}, "period_too_long", "query.from"),
        ({"to": "9999-12-31"}, "invalid", "query.to"),
        ({"lines": "all"}, "invalid", "query.lines"),
    ],
    ids=["no day", "backwards", "too long", "the end of time", "unknown"],
)
async def test_a_period_that_cannot_be_is_refused_by_name(
    desk: Desk, ending: str, params: dict[str, str], code: str, field: str
) -> None:
    handler = actor("handler")
    account = await desk.points.account(handler, "staff")
    answer = await desk.get(f"{ACCOUNTS}/{account['id']}/statement.{ending}", who=handler, **params)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [error["name"] for error in answer.json()["errors"]] == [field]


async def test_an_account_with_nothing_on_it_has_a_statement_without_lines(desk: Desk) -> None:
    handler = actor("handler")
    account = await desk.points.account(handler, "staff")
    path = f"{ACCOUNTS}/{account['id']}/statement"
    assert len(await rows_of_csv(desk, f"{path}.csv", handler)) == 1
    assert len(await rows_of_xlsx(desk, f"{path}.xlsx", handler)) == 1


@pytest.mark.parametrize("cell", ["=1", "  =1", "\t=1", "\n@x", "\u3000＝1"])
def test_a_title_from_elsewhere_that_begins_blank_is_no_formula_either(cell: str) -> None:
    assert exports.as_text(cell) == f"'{cell}"
