"""Has schemathesis send whatever it can think of, and judge the answers by what OpenAPI says of them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.journeys.running import ROOT, Running

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
EXAMPLES = os.environ.get("TEST_FUZZ_EXAMPLES", "6")


def fuzz(running: Running, role: str, tmp_path: Path, *, phases: str) -> None:
    """Walk every path as this role, or as nobody (`anonymous`), in these phases of schemathesis."""
    headers = []
    if role != "anonymous":
        headers = ["--header", f"Authorization: Bearer {running.sign_in(running.account(role)['phone'])}"]
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{running.url}/openapi.json"),
            *headers,
            *("--checks", ",".join(CHECKS)),
            *("--max-examples", EXAMPLES, "--seed", "20261123", "--phases", phases),
            *("--request-timeout", "90", "--no-color"),
            # What these would find is how slow the machine is, and what an earlier run found.
            *("--suppress-health-check", "all", "--generation-database", "none"),
            # Without their session, or with their account gone, the rest of the run would be anonymous.
            *("--exclude-path", "/api/identity/tokens/revoke", "--exclude-path", "/api/identity/me/delete"),
        ],
        capture_output=True,
        text=True,
        timeout=1700,
        cwd=tmp_path,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    for log in running.logs:
        assert "unforeseen_error" not in log.read_text(encoding="utf-8", errors="replace")
