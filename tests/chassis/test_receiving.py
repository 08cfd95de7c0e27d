"""Receiving: what one service is told by another takes effect once, and one that cannot holds up its own alone."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse

from chassis.core import inbox, relay, telemetry
from chassis.core.errors import DomainError, Unavailable
from chassis.core.inbox import Pace, Subscription, Subscriptions
from chassis.core.messages import MAX_BATCH, Envelope
from chassis.core.relay import backoff_seconds
from tests.chassis.letters import TAKE, envelope, make_due, send, states
from tests.chassis.toy import receiver
from tests.chassis.toy.town import ToyTown
from tests.town import actor


async def test_delivered_again_and_again_it_takes_effect_once(pair: ToyTown) -> None:
    message = envelope()
    for _ in range(3):
        assert await send(pair, message) == [("accepted", None)]
    other = envelope("晚安")
    assert await send(pair, message, other, other, message) == [("accepted", None)] * 4
    assert await pair.taken() == ["早上好", "晚安"]


async def test_delivered_ten_times_at_once_it_takes_effect_once(pair: ToyTown) -> None:
    batch = [envelope("slow one"), envelope("slow two")]
    outcomes = await asyncio.gather(*(send(pair, *batch) for _ in range(10)))
    assert outcomes == [[("accepted", None)] * 2] * 10
    assert await pair.taken() == ["slow one", "slow two"]


async def test_one_refused_for_ever_holds_up_its_own_aggregate_and_no_other(pair: ToyTown) -> None:
    await pair.write("bad", "before", "refuse this", "after")
    await pair.write("good", "one", "two")
    await pair.deliver()
    assert await pair.taken() == ["before", "one", "two"]
    assert await states(pair) == [("sent", 1), ("parked", 1), ("pending", 0), ("sent", 1), ("sent", 1)]
    await make_due(pair)
    await pair.write("bad", "later")
    await pair.deliver()
    assert await pair.taken() == ["before", "one", "two"]  # the parked one waits for an operator, the others for it
    [reason] = await pair.column("sender", "SELECT error FROM delivery WHERE state = 'parked'")
    assert reason == "conflict: such a note is never taken"
    assert await relay.waiting(pair.db("sender")) == {("pending",): 2, ("parked",): 1}


@pytest.mark.parametrize(
    ("seconds", "before"),
    [(0, [0] * 10 + list(range(10, 60))), (100, [0] * 10 + [10] * 40 + [50] * 10)],
    ids=["slow", "fast"],
)
async def test_a_long_batch_takes_effect_in_parts_so_that_nobody_waits_for_the_locks_of_all(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch, seconds: int, before: list[int]
) -> None:
    """And where the sender does not wait for the end, it gets on from there."""
    monkeypatch.setattr(inbox, "_PART_SECONDS", seconds)
    effective = []

    async def take(session: AsyncSession, fact: receiver.NoteWritten, message: Envelope) -> None:
        effective.append(len(await pair.taken()))
        await receiver.take_note(session, fact, message)

    subscription = Subscription(receiver.NoteWritten, take)
    monkeypatch.setitem(receiver.subscriptions.by_type, "sender.note_written.v1", subscription)
    assert await send(pair, *[envelope(f"{number}") for number in range(60)]) == [("accepted", None)] * 60
    assert effective == before


@pytest.mark.parametrize("transaction", [0.001, 0.01, 0.5], ids=["quick", "usual", "overloaded"])
def test_parts_are_as_long_as_a_moment_allows_however_long_a_transaction_takes_in_itself(transaction: float) -> None:
    pace, sizes = Pace(), []
    for part in range(40):
        one = 0.0005 if part < 20 else 0.002  # seconds
        sizes.append(pace.size)
        pace.learn(pace.size, transaction + pace.size * one)
    assert 150 < sizes[19] < 300
    assert 40 < sizes[39] < 100


def test_the_pace_is_kept_over_short_parts_and_one_that_waited_long() -> None:
    pace = Pace()
    for _ in range(10):
        pace.learn(pace.size, 0.01 + pace.size * 0.0005)
    before = pace.size
    pace.learn(3, 0.01)
    pace.learn(1, 5.0)
    assert pace.size == before
    pace.learn(before, 0.1)
    pace.learn(before, 5.0)
    assert pace.size < before / 10


async def test_the_next_batch_goes_on_at_the_pace_of_the_last(pair: ToyTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "_PART_SECONDS", 100)
    await send(pair, *[envelope(f"{number}") for number in range(60)])
    assert pair.runtime("receiver").pace.size == 160


async def test_one_refused_holds_up_its_own_aggregate_in_all_that_follows(pair: ToyTown) -> None:
    bad, good = [{"subject": f"box/{box}"} for box in ("bad", "good")]
    batch = [envelope("refuse this", **bad), *[envelope(f"{number}", **good) for number in range(30)]]
    outcomes = await send(pair, *batch, envelope("after", **bad), envelope("last", **good))
    assert [outcome for outcome, _ in outcomes] == ["refused", *["accepted"] * 30, "deferred", "accepted"]
    assert await pair.taken() == [*[f"{number}" for number in range(30)], "last"]


async def test_what_waits_behind_a_parked_one_goes_on_when_that_is_skipped(pair: ToyTown) -> None:
    await pair.write("bad", "refuse this", "after")
    await pair.deliver()
    async with pair.db("sender").transaction() as session:
        await session.execute(text("UPDATE delivery SET state = 'skipped' WHERE state = 'parked'"))
    await pair.deliver()
    assert await pair.taken() == ["after"]


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed waits until the test makes it due: the pause between tries is over by itself on no machine."""
    monkeypatch.setattr(relay, "backoff_seconds", lambda failures, *, longest: 3600.0)


@pytest.mark.usefixtures("long_pauses")
async def test_one_that_fails_is_tried_again_later_and_only_its_aggregate_waits(pair: ToyTown) -> None:
    receiver.moods["fail"] = 4  # with the batch and alone, twice
    await pair.write("bad", "fail at first", "after")
    await pair.write("good", "one")
    await pair.deliver()
    assert await pair.taken() == ["one"]
    assert await states(pair) == [("pending", 1), ("pending", 0), ("sent", 1)]
    await pair.deliver()
    assert await pair.taken() == ["one"], "it was tried again at once"
    await make_due(pair)
    await pair.deliver()
    assert await states(pair) == [("pending", 2), ("pending", 0), ("sent", 1)]
    await make_due(pair)
    await pair.deliver()
    assert await pair.taken() == ["one", "fail at first", "after"]
    assert await states(pair) == [("sent", 3), ("sent", 1), ("sent", 1)]


@pytest.mark.usefixtures("long_pauses")
async def test_a_receiver_that_is_busy_is_not_a_refusal(pair: ToyTown) -> None:
    receiver.moods["away"] = 2
    await pair.write("letters", "away at first", "after")
    await pair.deliver()
    assert await states(pair) == [("pending", 1), ("pending", 0)]
    await make_due(pair)
    await pair.deliver()
    assert await pair.taken() == ["away at first", "after"]


def test_the_pause_between_tries_grows_and_has_an_end() -> None:
    pauses = [[backoff_seconds(failures, longest=60) for _ in range(100)] for failures in (1, 2, 3, 8, 10_000)]
    assert max(pauses[0]) < min(pauses[2]) < max(pauses[2]) < min(pauses[3])
    assert 0.1 <= min(pauses[0]) <= max(pauses[0]) <= 0.2
    assert 30 <= min(pauses[-1]) <= max(pauses[-1]) <= 60


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "sender.unknown.v1"}, "messages of type sender.unknown.v1 are not taken here"),
        ({"source": "/receiver"}, "sender.note_written.v1 from /receiver is not sender's to send"),
        ({"type": "orders.order_closed.v1"}, "orders.order_closed.v1 from /sender is not sender's to send"),
        ({"data": {"box": "letters", "words": "x"}}, "the data does not fit: number, remark"),
        ({"data": {"box": "b", "number": "many", "words": "x", "remark": None}}, "the data does not fit: number"),
    ],
)
async def test_a_message_that_is_not_the_senders_or_not_known_or_does_not_fit_is_refused(
    pair: ToyTown, changes: dict[str, Any], reason: str
) -> None:
    other = envelope("晚安", subject="box/other")
    assert await send(pair, envelope(**changes), other) == [("refused", reason), ("accepted", None)]
    assert await pair.taken() == ["晚安"]


async def test_one_service_cannot_speak_for_another(pair: ToyTown) -> None:
    outcomes = await send(pair, envelope(), issuer="receiver")
    assert outcomes == [("refused", "sender.note_written.v1 from /sender is not receiver's to send")]
    assert await pair.taken() == []


async def test_messages_without_a_services_token_are_not_even_looked_at(pair: ToyTown) -> None:
    for who, status in ((None, 401), (actor("writer"), 401)):
        async with pair.client("receiver", who) as client:
            assert (await client.post(TAKE, json=[envelope()])).status_code == status
    assert await pair.taken() == []


async def test_a_batch_of_too_many_is_refused_as_a_whole(pair: ToyTown) -> None:
    with pytest.raises(DomainError) as refusal:
        await send(pair, *(envelope() for _ in range(MAX_BATCH + 1)))
    assert refusal.value.status == 422
    assert await pair.taken() == []


async def test_a_receiver_whose_database_is_away_has_the_whole_batch_sent_again(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.start("receiver", db_pool_size=1, db_pool_overflow=0, db_pool_timeout_seconds=0.05)
    await pair.write("a", "one")
    await pair.write("b", "two")
    async with pair.db("receiver").transaction() as holder:
        await holder.execute(text("SELECT 1"))
        with pytest.raises(Unavailable):
            await pair.deliver("sender")
    assert await states(pair) == [("pending", 0), ("pending", 0)]
    await pair.deliver()
    assert await pair.taken() == ["one", "two"]


async def test_a_lost_answer_is_asked_for_again_and_has_no_second_effect(pair: ToyTown) -> None:
    real = pair.directory.apps["receiver"]
    lost = 0

    async def loses_first_answer(scope: Any, receive: Any, send: Any) -> None:
        nonlocal lost
        if lost:
            await real(scope, receive, send)
            return
        lost += 1

        async def swallow(message: Any) -> None:
            """The answer is lost on the way."""

        await real(scope, receive, swallow)
        raise ConnectionResetError

    pair.directory.host("receiver", loses_first_answer)
    await pair.write("letters", "one", "two")
    with pytest.raises(Unavailable):
        await pair.deliver("sender")
    assert await pair.taken() == ["one", "two"]
    await pair.deliver("sender")
    assert await pair.taken() == ["one", "two"]
    assert await states(pair) == [("sent", 1), ("sent", 1)]


async def test_an_answer_that_leaves_one_out_counts_as_a_failure_of_that_one(toys: ToyTown) -> None:
    await toys.start("sender")

    async def take(request: Request) -> JSONResponse:
        first = (await request.json())[0]
        return JSONResponse({"results": [{"id": first["id"], "outcome": "accepted", "reason": "x" * 900}]})

    toys.stub("receiver", take)
    await toys.write("a", "one")
    await toys.write("b", "two")
    await toys.runtime("sender").relay().send_batch("receiver")
    assert await states(toys) == [("sent", 1), ("pending", 1)]


async def test_a_reason_without_end_does_not_stop_the_relay(toys: ToyTown) -> None:
    await toys.start("sender")

    async def take(request: Request) -> JSONResponse:
        results = [{"id": item["id"], "outcome": "refused", "reason": "x" * 900} for item in await request.json()]
        return JSONResponse({"results": results})

    toys.stub("receiver", take)
    await toys.write("a", "one")
    await toys.deliver()
    assert await states(toys) == [("parked", 1)]


async def test_the_message_continues_the_trace_of_the_request_that_caused_it(pair: ToyTown) -> None:
    token = telemetry.traceparent.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    try:
        await pair.write("letters", "one")
    finally:
        telemetry.traceparent.reset(token)
    assert await pair.column("sender", "SELECT traceparent FROM message") == [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ]


@pytest.mark.usefixtures("_restored")
async def test_a_log_line_of_the_effect_can_be_found_by_the_trace_of_the_cause(
    pair: ToyTown, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.moods["fail"] = 2  # with the batch and alone
    causes = {"one": "1" * 32, "fail at first": "2" * 32}
    for words, trace_id in causes.items():
        with telemetry.within_trace(f"00-{trace_id}-b7ad6b7169203331-01"):
            await pair.write(words, words)
    telemetry.configure_logging(level="info", json=True)
    await pair.deliver()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    effects = [(line["trace_id"], line["words"]) for line in lines if line["event"] == "note_taken"]
    assert set(effects) == {(trace_id, words) for words, trace_id in causes.items()}
    for told in ("message_failed", "message_delayed"):
        assert [line["trace_id"] for line in lines if line["event"] == told] == [causes["fail at first"]]


def test_two_views_of_one_type_are_noticed_at_start() -> None:
    subscriptions = Subscriptions()
    subscriptions.on("sender.note_written.v1", receiver.NoteWritten)(receiver.take_note)
    with pytest.raises(ValueError, match=r"sender\.note_written\.v1"):
        subscriptions.on("sender.note_written.v1", receiver.NoteWritten)(receiver.take_note)
