"""Whatever is sent to whatever path, by whoever: no server error, and no answer that OpenAPI does not name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.running import ROOT, Running
from tests.town import ROLES

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
EXAMPLES = os.environ.get("TEST_FUZZ_EXAMPLES", "6")

# Every boundary of every field for these, random requests for the other roles: what differs between the roles is what
# the permission tables say, and those are walked elsewhere.
THOROUGHLY = {"anonymous", "handler", "organiser", "resident"}


# The services behind are the same both ways: as each role in one process, as a resident over the network.
CASES = [*(("all-in-one", role) for role in ("anonymous", *ROLES)), ("separate", "resident")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("running", "role"), CASES, indirect=["running"])
def test_no_input_breaks_the_server_or_its_contract(running: Running, role: str, tmp_path: Path) -> None:
    phases = "examples,coverage,fuzzing" if role in THOROUGHLY else "fuzzing"
    headers = []
    if role != "anonymous":
        headers = ["--header", f"Authorization: Bearer {running.sign_in(running.account(role)['phone'])}"]
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{running.url}/openapi.json"),
            *headers,
            *("--checks", ",".join(CHECKS)),
            *("--max-examples", EXAMPLES, "--seed", "20261123", "--phases", phases),
            *("--request-timeout", "30", "--no-color"),
            # Without their session, or with their account gone, the rest of the run would be anonymous.
            *("--exclude-path", "/api/identity/tokens/revoke", "--exclude-path", "/api/identity/me/delete"),
        ],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=tmp_path,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    for log in running.logs:
        assert "unforeseen_error" not in log.read_text(encoding="utf-8", errors="replace")
