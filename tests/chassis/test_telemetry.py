"""Logs and traces: enough to find out what happened, and nothing of anybody's."""

import asyncio
import json
import logging
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from chassis.core import telemetry
from chassis.web.deps import SessionDep
from chassis.web.router import Router
from tests.chassis.toy.town import ToyTown, service_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_goes_on_with_a_span_of_its_own() -> None:
    continued = telemetry.continue_trace(TRACE)
    version, trace_id, span, flags = continued.split("-")
    assert (version, trace_id, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert span != "b7ad6b7169203331"
    assert telemetry.continue_trace(TRACE.removesuffix("01") + "00").endswith("-00")


@pytest.mark.parametrize(
    "offered",
    [None, "", "rubbish", TRACE.upper(), TRACE + "-more", TRACE[:-1], "ff" + TRACE[2:], f"00-{'0' * 32}-{'1' * 16}-01"],
)
def test_a_trace_that_is_not_well_formed_is_begun_anew(offered: str | None) -> None:
    begun = telemetry.continue_trace(offered)
    assert telemetry.continue_trace(begun).split("-")[1] == begun.split("-")[1]
    assert "0af7651916cd43dd8448eb211c80319c" not in begun


def test_outside_of_a_request_nothing_is_sent_along() -> None:
    assert telemetry.outgoing_headers() == {}


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("as_json", [True, False])
def test_a_logged_fault_shows_where_it_was_but_no_variable(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    telemetry.configure_logging(level="info", json=as_json)
    phone = "1381234" + "1234"
    for log in (structlog.get_logger("ours"), logging.getLogger("a.library")):
        try:
            raise RuntimeError("a fault")
        except RuntimeError:
            log.exception("it_happened")
    written = capsys.readouterr().err
    assert written.count("RuntimeError: a fault") == 2
    assert "test_telemetry.py" in written
    assert phone not in written
    if as_json:
        assert [json.loads(line)["event"] for line in written.splitlines()] == ["it_happened"] * 2


@pytest.mark.usefixtures("_restored")
async def test_a_logged_database_fault_holds_no_parameters_and_names_its_request(
    toys: ToyTown, capsys: pytest.CaptureFixture[str]
) -> None:
    router, secret = Router(), "张三" + "丰"

    @router.post("/fault")
    async def fail(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": secret})

    await toys.serve(service_of(router))
    telemetry.configure_logging(level="info", json=True)
    async with toys.client("sender") as client:
        headers = {"X-Request-Id": "my-request-id", "traceparent": TRACE}
        assert (await client.post("/fault", headers=headers)).status_code == 500
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [fault] = [line for line in lines if line["event"] == "unforeseen_error"]
    assert fault["request_id"] == "my-request-id"
    assert fault["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert fault["route"] == "/fault"
    assert "UndefinedTable" in fault["exception"]
    assert secret not in json.dumps(lines, ensure_ascii=False)


async def test_two_requests_at_once_do_not_mix_up_their_ids(toys: ToyTown) -> None:
    router, both = Router(), asyncio.Barrier(2)

    @router.get("/id")
    async def show() -> str | None:
        await both.wait()
        return telemetry.request_id.get()

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        ids = ["first-request", "second-request"]
        answers = await asyncio.gather(*(client.get("/id", headers={"X-Request-Id": each}) for each in ids))
    assert [answer.json() for answer in answers] == ids
