"""docs/merchant.md from its beginning to its end, as a merchant's developer types it in at a real installation."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import DEMO_CODE, ROOT, Running, environment

PAGE = (ROOT / "docs" / "merchant.md").read_text(encoding="utf-8")
TRIES = 5
"""A coupon's code is good for half a minute at least: on a machine where that is too short one tries again."""
OLD = "COUPON_CODE_STALE"
[CLIENT] = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.parametrize("running", ["all-in-one"], indirect=True)
"""As the page is written: for `make run`, where every sign-in code is the same."""


class Developer:
    """Somebody at a terminal, in a folder of their own, who types in what the page says but for what is theirs."""

    def __init__(self, running: Running, folder: Path) -> None:
        self._folder = folder
        command = folder / ".venv" / "bin" / "beiyuan"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m beiyuan "$@"\n')
        command.chmod(0o700)
        self._env = environment(running.home) | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "no_proxy": "127.0.0.1",
        }
        self.blocks = [
            block.replace("http://127.0.0.1:8000", running.url).replace("pip install ./clients/merchant\n", "")
            for block in re.findall(r"```(?:sh|bash)\n(.*?)```", PAGE, re.DOTALL)
            if "ask $parent" not in block  # this goes on in the terminal of the README's walk
        ]

    def block(self, word: str) -> str:
        """The one block in which this stands."""
        [found] = [block for block in self.blocks if word in block]
        return str(found)

    def types(self, *blocks: str) -> str:
        """What is printed. A code that has grown old may end it early; whatever else fails is a failure."""
        done = subprocess.run(
            ["bash", "-euc", "\n".join(blocks)],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0 or OLD in done.stdout, done.stdout + done.stderr
        return done.stdout


def answers_in(output: str) -> list[Any]:
    """The JSON objects among what was printed."""
    decoder, found = json.JSONDecoder(), []
    while "{" in output:
        output = output[output.index("{") :]
        answer, end = decoder.raw_decode(output)
        found.append(answer)
        output = output[end:]
    return found


def test_an_owner_puts_a_key_on_record_and_takes_it_back(running: Running, tmp_path: Path) -> None:
    merchant = running.town["merchants"][-1]
    phone = running.account("merchant", merchant["name"])["phone"]
    developer = Developer(running, tmp_path)
    theirs = {"接口地址": running.url, "店主手机号": phone, "短信验证码": DEMO_CODE}
    registering = re.sub("|".join(theirs), lambda word: theirs[word[0]], developer.block("openssl genpkey"))
    json_, call, verify = (developer.block(name) for name in ("json() {", "call() {", "verify() {"))
    echo, revoke = developer.block("/merchant/v1/echo"), developer.block("/revoke")
    issue, prepare = developer.block("sandbox/coupons '{}'"), developer.block("/coupons/prepare")
    output = developer.types(json_, registering, call, verify, echo, issue, prepare, revoke, echo)
    _, added, echoed, issued, prepared, revoked, refused = answers_in(output)
    assert (echoed["serial_no"], echoed["mchid"]) == (added["serial_no"], merchant["mchid"])
    assert (added["sandbox"], echoed["sandbox"]) == (True, True)
    assert OLD in output or (prepared["coupon_id"], prepared["usable"]) == (issued["coupon_id"], True)
    assert output.count("Verified OK") == 3
    assert revoked["state"] == "revoked"
    assert refused["code"] == "SIGN_ERROR"


def test_a_developer_gets_from_the_first_signature_through_the_sandbox_to_a_bill(
    running: Running, tmp_path: Path
) -> None:
    developer = Developer(running, tmp_path)
    blocks = [block for block in developer.blocks if "openssl genpkey" not in block and "/revoke" not in block]
    for _ in range(TRIES):
        output = developer.types(*blocks, f"python3 - <<'END'\n{CLIENT}END")
        if OLD not in output:
            break
    names = "echoed issued prepared used again asked returned shown locked unlocked issued_for_programs"
    told = dict(zip([*names.split(), "echoed_to_client", "used_by_client"], answers_in(output), strict=True))
    assert re.search(r"^USED \d+ \d+$", output, re.MULTILINE)
    assert output.count("Verified OK") == 7
    assert told["used"] == told["again"] == told["asked"]["answer"]
    states = [told[name]["state"] for name in ("issued", "prepared", "used", "returned", "locked", "unlocked")]
    assert states == ["EFFECTIVE", "EFFECTIVE", "USED", "EFFECTIVE", "LOCKED", "EFFECTIVE"]
    assert told["echoed_to_client"]["sandbox"] is True
    assert told["used_by_client"]["state"] == "USED"
    assert "total,0,,,,,,,0,0,0" in output
