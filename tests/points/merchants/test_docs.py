"""docs/merchant.md is followed to the letter, with bash, openssl and curl: whoever types it in gets what it says."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from tests.points.merchants.conftest import Market, Till

DOCS = Path(__file__).parents[3] / "docs" / "merchant.md"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """The address of an application that runs already, on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_what_the_page_says_works_as_it_stands(market: Market, till: Till, tmp_path: Path) -> None:
    _, coupon = await market.coupon(till)
    (tmp_path / "merchant_key.pem").write_text(till.key.private)
    script = "\n".join(re.findall(r"```bash\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL))
    async with listening(market.points.town.apps["points"]) as base:
        variables = {
            "BASE": base,
            "MCHID": till.mchid,
            "SERIAL": till.key.serial_no,
            "KEY": "merchant_key.pem",
            "STORE": till.store_id,
            "CODE": coupon["code"],
            "no_proxy": "127.0.0.1",
        }
        process = await asyncio.create_subprocess_exec(
            "bash", "-euc", script, cwd=tmp_path, env=os.environ | variables, stdout=-1, stderr=-1
        )
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    lines = output.decode().splitlines()
    assert lines[1::2] == ["Verified OK"] * 5
    echoed, prepared, used, again, asked = lines[::2]
    assert "北苑" in echoed
    assert '"usable":true' in prepared
    assert '"state":"USED"' in used
    assert again == used
    assert used in asked
