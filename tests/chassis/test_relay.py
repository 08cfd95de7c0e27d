"""The relay: woken at once, never asleep for good, and one at a time."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse

from chassis.core import relay
from chassis.core.relay import Relay
from chassis.core.runtime import Runtime
from tests.chassis.toy import receiver, sender
from tests.chassis.toy.processes import eventually
from tests.chassis.toy.town import ToyAdmin, ToyTown
from tests.town import actor

FOR_EVER = 60.0  # seconds between two looks of its own accord: longer than any test waits
SESSIONS = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'toy_sender'"


async def arrived(toys: ToyTown, *words: str) -> None:
    """Wait until these have been taken, and no others."""

    async def all_there() -> bool:
        return len(await toys.taken()) >= len(words)

    await eventually(all_there, what=f"{words} arrive")
    assert await toys.taken() == list(words)


async def leaders(toys: ToyTown) -> int:
    statement = (
        "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND d.datname = current_database()"
    )
    return len(await toys.column("sender", statement))


async def test_a_message_is_on_its_way_as_soon_as_it_is_committed(toys: ToyTown) -> None:
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER)
    await eventually(lambda: _is(leaders(toys), 1), what="the relay listens")
    async with asyncio.timeout(FOR_EVER / 2):
        await toys.write("letters", "one", "two")
        await arrived(toys, "one", "two")
        await asyncio.sleep(0.1)  # it has gone back to sleep
        await toys.write("letters", "three")
        await arrived(toys, "one", "two", "three")


async def test_what_is_published_around_a_step_that_is_undone_is_on_its_way_at_once(toys: ToyTown) -> None:
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER)
    await eventually(lambda: _is(leaders(toys), 1), what="the relay listens")
    await asyncio.sleep(0.1)
    async with asyncio.timeout(FOR_EVER / 2):
        async with toys.db("sender").transaction() as session:
            step = await session.begin_nested()
            await sender.write(session, "letters", "undone")
            await step.rollback()
            await sender.write(session, "letters", "one")
            step = await session.begin_nested()
            await sender.write(session, "letters", "undone")
            await step.rollback()
        await arrived(toys, "one")
        await asyncio.sleep(0.1)
        async with toys.db("sender").transaction() as session:
            await sender.write(session, "letters", "undone")
            await session.rollback()  # as before a request is run again
            await sender.write(session, "letters", "two")
        await arrived(toys, "one", "two")


async def test_a_backlog_goes_out_in_one_go(toys: ToyTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MAX_BATCH", 2)
    words = [f"{number}" for number in range(7)]
    await toys.start("receiver")
    await toys.start("sender")
    await toys.write("letters", *words)
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER)
    async with asyncio.timeout(FOR_EVER / 2):
        await arrived(toys, *words)


async def test_what_nobody_was_woken_for_is_found_all_the_same(toys: ToyTown) -> None:
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=0.1)
    await eventually(lambda: _is(leaders(toys), 1), what="the relay listens")
    await asyncio.sleep(0.1)
    async with toys.db("sender").transaction() as session:
        session.info["schema"] = "elsewhere"  # so that the NOTIFY goes to a channel that nobody listens to
        await sender.write(session, "letters", "one")
    await arrived(toys, "one")


async def test_what_was_committed_while_no_relay_ran_goes_out_when_one_starts(toys: ToyTown) -> None:
    await toys.start("receiver")
    await toys.start("sender")
    await toys.write("letters", "one")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER)
    await arrived(toys, "one")


async def test_a_subscriber_that_is_down_gets_everything_when_it_is_back(toys: ToyTown) -> None:
    up, calls = False, 0
    real = await toys.start("receiver")

    async def sometimes_up(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        if not up:
            await JSONResponse({}, 503)(scope, receive, send)
        else:
            await real(scope, receive, send)

    toys.directory.host("receiver", sometimes_up)
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER, relay_backoff_max_seconds=0.1)
    await toys.write("letters", "one", "two")
    await eventually(lambda: _more_than(3, lambda: calls), what="it is tried again and again")
    assert await toys.taken() == []
    attempts = await toys.column("sender", "SELECT DISTINCT state || attempts FROM delivery")
    assert attempts == ["pending0"]
    up = True
    await arrived(toys, "one", "two")


async def test_what_failed_is_tried_again_without_anybody_doing_anything(toys: ToyTown) -> None:
    receiver.moods["fail"] = 4
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=0.1, relay_backoff_max_seconds=0.1)
    await toys.write("letters", "fail twice", "after")
    await arrived(toys, "fail twice", "after")


async def test_a_relay_that_loses_its_database_comes_back(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True, relay_poll_seconds=FOR_EVER)
    await toys.write("letters", "one")
    await arrived(toys, "one")
    toy_admin(SESSIONS)
    await toys.write("letters", "two")
    await arrived(toys, "one", "two")


async def test_a_fault_in_the_relay_does_not_end_it(toys: ToyTown, monkeypatch: pytest.MonkeyPatch) -> None:
    lead, faults = Relay._lead, 0

    async def lead_or_fail(self: Relay) -> None:
        nonlocal faults
        faults += 1
        if faults == 1:
            raise RuntimeError("unforeseen")
        await lead(self)

    monkeypatch.setattr(Relay, "_lead", lead_or_fail)
    await toys.start("receiver")
    await toys.start("sender", relay_enabled=True)
    await toys.write("letters", "one")
    await arrived(toys, "one")
    assert faults >= 2


async def test_of_two_processes_one_relays_and_nothing_is_sent_twice(toys: ToyTown) -> None:
    seen: Counter[str] = Counter()

    async def count(request: Request) -> JSONResponse:
        batch = await request.json()
        seen.update(item["id"] for item in batch)
        await asyncio.sleep(0.01)
        return JSONResponse({"results": [{"id": item["id"], "outcome": "accepted"} for item in batch]})

    toys.stub("receiver", count)
    for _ in range(2):
        await toys.start("sender", relay_enabled=True, relay_poll_seconds=0.05)
    await eventually(lambda: _is(leaders(toys), 1), what="one leads")
    for number in range(50):
        await toys.write("letters", f"{number}")
    await eventually(lambda: _more_than(49, lambda: len(seen)), what="all are sent")
    assert await leaders(toys) == 1
    assert set(seen.values()) == {1}


async def test_a_relay_with_nobody_to_send_to_ends_by_itself(toys: ToyTown) -> None:
    app = await toys.start("receiver", relay_enabled=True)
    runtime: Runtime = app.state.runtime
    async with asyncio.timeout(10):
        await runtime.relay().run()


async def test_metrics_tell_what_was_sent_and_what_waits(pair: ToyTown) -> None:
    await pair.write("bad", "refuse this", "after")
    await pair.write("good", "one")
    await pair.deliver()
    async with pair.client("sender", actor()) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    labels = 'service="sender",subscriber="receiver"'
    assert f'beiyuan_messages_sent_total{{outcome="accepted",{labels}}} 1.0' in lines
    assert f'beiyuan_messages_sent_total{{outcome="refused",{labels}}} 1.0' in lines
    assert 'beiyuan_messages_waiting{service="sender",state="parked"} 1.0' in lines
    assert 'beiyuan_messages_waiting{service="sender",state="pending"} 1.0' in lines


async def test_metrics_are_there_even_while_the_database_is_away(toys: ToyTown) -> None:
    await toys.start("sender", db_pool_size=1, db_pool_overflow=0, db_pool_timeout_seconds=0.05)
    async with toys.db("sender").transaction() as holder, toys.client("sender") as client:
        await holder.execute(text("SELECT 1"))
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "messages_waiting{" not in answer.text


async def _is(found: Any, expected: object) -> bool:
    return bool(await found == expected)


async def _more_than(least: int, count: Any) -> bool:
    return bool(count() > least)
