"""docs/merchant.md is followed to the letter: whoever types it in, in any of its languages, gets what it says."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.points.merchants.conftest import Market, Till
from tests.points.merchants.listening import listening

DOCS = Path(__file__).parents[3] / "docs" / "merchant.md"


def examples(language: str) -> str:
    """What the page has in this language, one after the other."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL))


async def typed_in(market: Market, till: Till, folder: Path, *command: str) -> list[str]:
    """The lines that a program prints which is run in this folder, with a key and a coupon's code at hand."""
    _, coupon = await market.coupon(till)
    (folder / "merchant_key.pem").write_text(till.key.private)
    async with listening(market.points.town.apps["points"]) as base:
        variables = {
            "BASE": base,
            "MCHID": till.mchid,
            "SERIAL": till.key.serial_no,
            "KEY": "merchant_key.pem",
            "STORE": till.store_id,
            "CODE": coupon["code"],
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
    lines = await typed_in(market, till, tmp_path, "bash", "-euc", examples("bash"))
    assert lines[1::2] == ["Verified OK"] * 6
    echoed, prepared, used, again, asked, returned = lines[::2]
    assert "北苑" in echoed
    assert '"usable":true' in prepared
    assert '"state":"USED"' in used
    assert again == used
    assert used in asked
    assert '"state":"EFFECTIVE"' in returned


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
