"""docs/merchant.md is followed to the letter: whoever types it in, in any of its languages, gets what it says."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from chassis.core import clock
from services.points.merchants.envelope import PATH
from services.points.merchants.examples import EXAMPLES
from services.points.merchants.openapi import CODES
from tests.points.merchants.conftest import Market, Till
from tests.points.merchants.listening import listening

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "merchant.md"
README = ROOT / "clients" / "merchant" / "README.md"


def page() -> str:
    return DOCS.read_text(encoding="utf-8")


def chapter(title: str) -> str:
    """What stands under this heading."""
    return page().split(f"、{title}\n", 1)[1].split("\n## ", 1)[0]


def examples(language: str) -> str:
    """What the page has in this language, one after the other."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", page(), re.DOTALL))


def first_cells(table: str) -> str:
    """The first cell of each row."""
    return "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))


async def typed_in(market: Market, till: Till, folder: Path, *command: str) -> list[str]:
    """The lines that a program prints which is run in this folder, with a key and a coupon's code at hand.

    To the service no time passes meanwhile: a code does not grow old while a slow machine starts programs.
    """
    _, coupon = await market.coupon(till)
    (folder / "merchant_key.pem").write_text(till.key.private)
    with clock.frozen(clock.now()):
        return await _typed_in(market, till, folder, coupon["code"], *command)


async def _typed_in(market: Market, till: Till, folder: Path, code: str, *command: str) -> list[str]:
    async with listening(market.points.town.apps["points"]) as base:
        variables = {
            "BASE": base,
            "MCHID": till.mchid,
            "SERIAL": till.key.serial_no,
            "KEY": "merchant_key.pem",
            "STORE": till.store_id,
            "CODE": code,
            "NUMBER": "R20261123-0001",
            "no_proxy": "127.0.0.1",
        }
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=os.environ | variables, stdout=-1, stderr=-1
        )
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode().splitlines()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_what_the_page_says_works_as_it_stands(market: Market, till: Till, tmp_path: Path) -> None:
    *lines, bill_is_signed, sums = await typed_in(market, till, tmp_path, "bash", "-euc", examples("bash"))
    assert lines[1::2] == ["Verified OK"] * 6
    echoed, prepared, used, again, asked, returned = lines[::2]
    assert "北苑" in echoed
    assert '"usable":true' in prepared
    assert '"state":"USED"' in used
    assert again == used
    assert used in asked
    assert '"state":"EFFECTIVE"' in returned
    assert (bill_is_signed, sums) == ("Verified OK", "total,0,,,,,,,0,0,0")


@pytest.mark.parametrize(
    ("language", "file", "program"),
    [
        ("python", "redeem.py", sys.executable),
        pytest.param(
            "javascript",
            "redeem.mjs",
            "node",
            marks=pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
        ),
        pytest.param(
            "java",
            "Redeem.java",
            "java",
            marks=pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
        ),
    ],
    ids=["python", "node", "java"],
)
async def test_the_program_on_the_page_redeems_a_coupon(
    market: Market, till: Till, tmp_path: Path, language: str, file: str, program: str
) -> None:
    (tmp_path / file).write_text(examples(language), encoding="utf-8")
    echoed, used = await typed_in(market, till, tmp_path, program, file)
    assert till.mchid in echoed
    assert "USED" in used


async def test_the_few_lines_with_the_client_redeem_a_coupon(market: Market, till: Till, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(examples("py"), encoding="utf-8")
    assert examples("py") in README.read_text(encoding="utf-8")
    [used] = await typed_in(market, till, tmp_path, sys.executable, "client.py")
    assert used.startswith("USED ")


def test_every_operation_stands_on_the_page_with_the_examples_of_the_openapi_document(market: Market) -> None:
    operations = chapter("接口 · Operations").split("\n### ")[1:]
    document = market.points.town.apps["points"].openapi()
    known = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        if path.startswith(f"{PATH}/")
        for method, operation in item.items()
    }
    named = [re.sub(r"\?.*", "", each.partition("`")[2].partition("`")[0]) for each in operations]
    assert sorted(named) == sorted(known)
    for name, text in zip(named, operations, strict=True):
        example = EXAMPLES[known[name]]
        expected = [said for said in (example.request, example.response) if said is not None]
        shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
        assert shown == expected or "应答同上" in text, name


def fields_of(schema: Any) -> set[str]:
    """The names of fields in an example."""
    if isinstance(schema, list):
        return set().union(*map(fields_of, schema))
    if isinstance(schema, dict):
        return set(schema) | set().union(*(fields_of(value) for name, value in schema.items() if name != "answer"))
    return set()


def test_every_field_that_is_sent_or_answered_is_explained_and_no_other() -> None:
    explained = re.findall(r"`(\w+)`", first_cells(chapter("接口 · Operations").split("\n### ")[0]))
    examples = [said for each in EXAMPLES.values() for said in (each.request, each.response, each.parameters)]
    sent = set().union(*map(fields_of, examples)) - {"hello"} | {"prepare_token"}
    assert len(explained) == len(set(explained))
    assert set(explained) == sent


def test_every_code_is_in_the_table_of_errors_under_its_status_with_what_to_do() -> None:
    rows = re.findall(r"^\| (\d\d\d|5xx) \| `(\w+)` \| (.+?) \| (.+?) \|$", chapter("错误 · Errors"), re.MULTILINE)
    told = {(status, code) for status, code, _, _ in rows}
    others = {"408", "413"}  # in the row of 400
    expected = {
        ("5xx" if status >= "500" else status, code) for status in CODES.keys() - others for code in CODES[status]
    }
    assert told == expected
    assert len(rows) == len(told)


def test_every_link_leads_to_a_heading_of_the_page_or_a_file_beside_it() -> None:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page(), flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\((?!https:)(.+?)\)", page()))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= anchors
    assert all((DOCS.parent / link).exists() for link in links if not link.startswith("#"))
