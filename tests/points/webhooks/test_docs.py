"""What docs/merchant.md says of webhooks, tried."""

import base64
import hashlib
import hmac
import re
import subprocess
from pathlib import Path

import pytest

from services.points.webhooks.rules import PAUSES
from services.points.webhooks.terms import EventType

DOCS = (Path(__file__).parents[3] / "docs" / "merchant.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def section() -> str:
    return DOCS.split("通知 · Webhooks\n")[1].split("\n## ")[0]


def block(section: str, language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(found)


def test_what_the_page_has_typed_in_prints_what_it_says(section: str) -> None:
    done = subprocess.run(
        ["bash", "-euc", block(section, "shell")], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == block(section, "console")


def test_the_vector_agrees_with_a_computation_by_hand(section: str) -> None:
    said = dict(re.findall(r"(SECRET|ID|TIMESTAMP|BODY)='(.*?)'", block(section, "shell")))
    key = base64.b64decode(said["SECRET"].removeprefix("whsec_"), validate=True)
    signed = f"{said['ID']}.{said['TIMESTAMP']}.{said['BODY']}".encode()
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert block(section, "console").strip() == expected


def test_the_page_names_every_event(section: str) -> None:
    assert set(re.findall(r"`([A-Z]+(?:\.[A-Z]+)?)`", section)) == {each.value for each in EventType}


def test_the_pauses_are_those_of_the_page(section: str) -> None:
    words = "隔 15 秒、15 秒、30 秒、3 分、10 分、20 分、30 分三次、60 分、3 小时三次、6 小时两次再试，共十六次"
    assert words in section
    minutes = [0.25, 0.25, 0.5, 3, 10, 20, 30, 30, 30, 60, 180, 180, 180, 360, 360]
    assert [pause.total_seconds() / 60 for pause in PAUSES] == minutes
