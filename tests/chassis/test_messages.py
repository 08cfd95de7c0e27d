"""Messages: what one service tells another arrives, in order, and takes effect once."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse

from chassis.core import clock, jobs, messages, relay, telemetry
from chassis.core.clocks import CLOCKS_APART
from chassis.core.db import Database
from chassis.core.errors import DomainError, Unavailable
from chassis.core.ids import made_before, new_id
from chassis.core.messages import MAX_BATCH, Envelope, Message, Pace, Subscription, publish, publish_all
from chassis.core.relay import backoff_seconds
from tests.chassis.toy import receiver, sender
from tests.chassis.toy.sender import NOTES, NoteWritten
from tests.chassis.toy.town import ToyAdmin, ToyTown
from tests.town import actor

TAKE = "/internal/messages"


def envelope(words: str = "早上好", **changes: Any) -> dict[str, Any]:
    """A message of the sender's as it goes over the wire."""
    data = {"occurred_at": clock.now().isoformat(), "box": "letters", "number": 1, "words": words, "remark": None}
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/sender",
        "type": "sender.note_written.v1",
        "subject": "box/letters",
        "time": clock.now().isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    } | changes


async def send(toys: ToyTown, *batch: dict[str, Any], issuer: str = "sender") -> list[tuple[str, str | None]]:
    """Outcome and reason of each message of a batch that `issuer` sends to the receiver."""
    answer = await toys.runtime(issuer).client.post("receiver", TAKE, list(batch), timeout_seconds=60)
    assert [result["id"] for result in answer["results"]] == [item["id"] for item in batch]
    return [(result["outcome"], result["reason"]) for result in answer["results"]]


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """The statements that the database is asked within the block, by whichever way."""
    issued: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def noting(cursor: psycopg.AsyncCursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        if cursor.connection.info.user == db.url.username:
            issued.append(query)
        return await execute(cursor, query, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", noting)
        yield issued


async def states(toys: ToyTown) -> list[tuple[str, int]]:
    """State and attempts of every delivery, in the order of publishing."""
    async with toys.db("sender").transaction() as session:
        rows = await session.execute(text("SELECT state, attempts FROM delivery ORDER BY message_sequence"))
        return [(row.state, row.attempts) for row in rows]


async def make_due(toys: ToyTown) -> None:
    """Let the time of waiting be over."""
    async with toys.db("sender").transaction() as session:
        await session.execute(text("UPDATE delivery SET next_attempt_at = now() - interval '1 hour'"))


# Publishing -----------------------------------------------------------------------------------------------------------


async def test_a_message_arrives_with_every_field_the_empty_ones_too(pair: ToyTown) -> None:
    await pair.write("letters", "早上好 👋 <b>'; --")
    await pair.deliver()
    assert await pair.taken() == ["早上好 👋 <b>'; --"]
    assert await states(pair) == [("sent", 1)]


async def test_a_change_that_is_undone_tells_nobody(pair: ToyTown) -> None:
    async def change_of_mind() -> None:
        async with pair.db("sender").transaction() as session:
            await sender.write(session, "letters", "never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_of_mind()
    await pair.deliver()
    assert await pair.taken() == []


async def test_messages_about_one_thing_arrive_in_the_order_of_the_changes(pair: ToyTown) -> None:
    async with pair.db("sender").transaction() as session:
        await session.execute(text("INSERT INTO box VALUES ('box 0', 0), ('box 1', 0), ('box 2', 0)"))

    async def write(number: int) -> None:
        await pair.write(f"box {number % 3}", f"{number}")

    await asyncio.gather(*(write(number) for number in range(60)))
    await pair.deliver()
    rows = await pair.column("receiver", "SELECT box || '/' || number FROM taken ORDER BY position")
    for box in ("box 0", "box 1", "box 2"):
        assert [row for row in rows if row.startswith(box)] == [f"{box}/{number}" for number in range(1, 21)]


async def test_the_order_is_that_of_the_changes_however_the_rows_lie(
    pair: ToyTown, toy_admin: ToyAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_BATCH", 2)
    await pair.write("letters", "one", "two", "three")
    for table, column in (("message", "sequence"), ("delivery", "message_sequence")):
        for sequence in (3, 2, 1):  # an updated row goes to the end
            async with pair.db("sender").transaction() as session:
                await session.execute(text(f"UPDATE {table} SET aggregate = aggregate WHERE {column} = {sequence}"))
    toy_admin("ANALYZE sender.message, sender.delivery")  # so small a table is then read as it lies
    await pair.deliver()
    assert await pair.taken() == ["one", "two", "three"]


async def test_more_than_one_batch_arrives_completely_and_in_order(pair: ToyTown) -> None:
    async with pair.db("sender").transaction() as session:
        for number in range(MAX_BATCH + 20):
            fact = NoteWritten(occurred_at=clock.now(), box="letters", number=number, words=f"{number}", remark=None)
            await publish(session, fact)
    sizes = []
    sending = pair.runtime("sender").relay()
    while size := await sending.send_batch("receiver"):
        sizes.append(size)
    assert sizes == [MAX_BATCH, 20]
    assert await pair.taken() == [f"{number}" for number in range(MAX_BATCH + 20)]


async def test_long_messages_go_in_batches_that_the_subscriber_accepts(pair: ToyTown) -> None:
    async with pair.db("sender").transaction() as session:
        for number in range(40):
            fact = NoteWritten(
                occurred_at=clock.now(), box="letters", number=number, words=f"{number}", remark="长" * 20_000
            )
            await publish(session, fact)
    sizes = []
    while size := await pair.runtime("sender").relay().send_batch("receiver"):
        sizes.append(size)
    assert len(sizes) > 2
    assert await pair.taken() == [f"{number}" for number in range(40)]


async def test_three_hundred_facts_at_once_are_told_in_two_statements_and_arrive_in_order(pair: ToyTown) -> None:
    facts = [
        NoteWritten(occurred_at=clock.now(), box=f"box {number % 7}", number=number, words=f"{number}", remark="长")
        for number in range(300)
    ]
    await states(pair)  # connecting takes statements too
    with statements(pair.db("sender")) as issued:
        async with pair.db("sender").transaction() as session:
            ids = await publish_all(session, facts)
    assert len(issued) == 2, "the locks of a settlement are held for as long as its facts take to be written"
    await pair.deliver()
    assert await pair.taken() == [f"{number}" for number in range(300)]
    assert await pair.column("sender", "SELECT id FROM message ORDER BY sequence") == ids


async def test_however_much_is_published_the_relay_is_woken_once_and_costs_no_statement(pair: ToyTown) -> None:
    await states(pair)  # connecting takes statements too
    with statements(pair.db("sender")) as issued:
        async with pair.db("sender").transaction() as session:
            for number in range(5):
                fact = NoteWritten(
                    occurred_at=clock.now(), box="letters", number=number, words=f"{number}", remark=None
                )
                await publish(session, fact)
    assert len(issued) == 6
    assert [statement.count("pg_notify") for statement in issued] == [0, 0, 0, 0, 0, 1]


async def test_one_fact_too_long_among_many_leaves_nothing_half_told(pair: ToyTown) -> None:
    facts = [
        NoteWritten(occurred_at=clock.now(), box="letters", number=1, words="short", remark=remark)
        for remark in (None, "长" * 30_000)
    ]
    async with pair.db("sender").transaction() as session:
        with pytest.raises(ValueError, match=r"sender\.note_written\.v1"):
            await publish_all(session, facts)
        assert await publish_all(session, []) == []
    assert await states(pair) == []


async def test_a_message_too_long_to_be_sent_is_never_published(pair: ToyTown) -> None:
    fact = NoteWritten(occurred_at=clock.now(), box="letters", number=1, words="long", remark="长" * 30_000)
    with pytest.raises(ValueError, match=r"sender\.note_written\.v1"):
        async with pair.db("sender").transaction() as session:
            await publish(session, fact)


async def test_a_fact_that_nobody_listens_to_is_kept_all_the_same(pair: ToyTown) -> None:
    class Unheard(Message):
        type: ClassVar[str] = "sender.unheard.v1"
        to: ClassVar[tuple[str, ...]] = ()

        @property
        def aggregate(self) -> str:
            return "silence"

    async with pair.db("sender").transaction() as session:
        await publish(session, Unheard(occurred_at=clock.now()))
    assert await pair.column("sender", "SELECT type FROM message") == ["sender.unheard.v1"]
    assert await states(pair) == []


async def test_the_wire_format_is_cloudevents_1_0_in_a_json_batch(toys: ToyTown) -> None:
    await toys.start("sender")
    requests: list[tuple[str, bytes]] = []

    async def take(request: Request) -> JSONResponse:
        requests.append((request.headers["Content-Type"], await request.body()))
        results = [{"id": item["id"], "outcome": "accepted"} for item in await request.json()]
        return JSONResponse({"results": results})

    toys.stub("receiver", take)
    async with toys.writer() as client:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        for words in ("早上好", "晚安"):
            body = {"box": "letters", "words": words}
            assert (await client.post(NOTES, json=body, headers={"traceparent": trace})).status_code == 201
    await toys.deliver()
    [(content_type, batch)] = requests
    assert content_type == "application/cloudevents-batch+json"
    for item, words in zip(json.loads(batch), ["早上好", "晚安"], strict=True):
        event = JSONFormat().read(CloudEvent, json.dumps(item))
        assert isinstance(event, CloudEvent)
        assert (event.get_specversion(), event.get_type()) == ("1.0", "sender.note_written.v1")
        assert (event.get_source(), event.get_subject()) == ("/sender", "box/letters")
        assert event.get_datacontenttype() == "application/json"
        assert event.get_time() is not None
        assert event.get_extension("traceparent").split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
        data = event.get_data()
        assert isinstance(data, dict)
        assert (data["words"], data["remark"]) == (words, None)


# Receiving ------------------------------------------------------------------------------------------------------------


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
    assert await relay.waiting(pair.db("sender")) == {"pending": 2, "parked": 1}


@pytest.mark.parametrize(
    ("seconds", "before"),
    [(0, [0] * 10 + list(range(10, 60))), (100, [0] * 10 + [10] * 40 + [50] * 10)],
    ids=["slow", "fast"],
)
async def test_a_long_batch_takes_effect_in_parts_so_that_nobody_waits_for_the_locks_of_all(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch, seconds: int, before: list[int]
) -> None:
    """And where the sender does not wait for the end, it gets on from there."""
    monkeypatch.setattr(messages, "_PART_SECONDS", seconds)
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
    monkeypatch.setattr(messages, "_PART_SECONDS", 100)
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


async def test_messages_are_forgotten_only_when_all_had_them_long_enough(pair: ToyTown) -> None:
    async with pair.db("sender").transaction() as session:
        with clock.frozen(clock.now() - timedelta(days=40)):
            await sender.write(session, "a", "had long ago")
            await sender.write(session, "b", "had just now")
            await sender.write(session, "c", "refuse this")
            await sender.write(session, "c", "waits")
    await pair.deliver()
    async with pair.db("sender").transaction() as session:
        await session.execute(
            text("UPDATE delivery SET sent_at = now() - interval '31 days' WHERE aggregate = 'box/a'")
        )
    assert await relay.prune(pair.db("sender"), keep=timedelta(days=30)) == 1
    assert await pair.column("sender", "SELECT data->>'words' FROM message ORDER BY sequence") == [
        "had just now",
        "refuse this",
        "waits",
    ]


def published(days_ago: int) -> str:
    """The id of a message of that age, unlike any other."""
    return str(UUID(int=made_before(timedelta(days=days_ago)).int | new_id().int & (1 << 76) - 1))


async def test_what_was_received_is_forgotten_only_when_it_could_not_take_effect_again(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_FORGET_AT_ONCE", 2)
    monkeypatch.setattr(relay, "_PRUNE_AT_ONCE", 2)
    old, young = [envelope(f"old {n}", id=published(59)) for n in range(5)], envelope("young", id=published(55))
    assert await send(pair, *old, young) == [("accepted", None)] * 6
    monkeypatch.setattr(messages, "REMEMBERED", timedelta(days=57))  # three days later
    await forget(pair)
    assert await pair.column("receiver", "SELECT id::text FROM received") == [young["id"]]
    reason = "published more than 57 days ago: whether it was taken then is forgotten"
    assert await send(pair, *old, young) == [("refused", reason), *[("deferred", None)] * 5]
    other = envelope("young", id=young["id"], subject="box/other")
    assert await send(pair, old[0], other) == [("refused", reason), ("accepted", None)]
    assert await pair.taken() == [*(f"old {n}" for n in range(5)), "young"]


async def test_one_that_is_remembered_is_no_refusal_however_old(pair: ToyTown) -> None:
    message = envelope(id=published(59))
    await send(pair, message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "REMEMBERED", timedelta(days=50))  # the sender has not heard that it was taken
        assert await send(pair, message) == [("accepted", None)]
    assert await pair.taken() == ["早上好"]


async def test_a_fact_of_long_ago_that_is_told_today_is_taken(pair: ToyTown) -> None:
    assert await send(pair, envelope(time=(clock.now() - timedelta(days=400)).isoformat())) == [("accepted", None)]


async def test_what_waits_or_is_parked_outlives_every_clearing_up(pair: ToyTown) -> None:
    async with pair.db("sender").transaction() as session:
        with clock.frozen(clock.now() - timedelta(days=100)):
            for words in ("one", "two", "three", "refuse this", "waits"):
                await sender.write(session, "c", words)
    await pair.deliver()
    await pair.column("sender", "UPDATE delivery SET sent_at = sent_at - interval '100 days' RETURNING state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay, "_PRUNE_AT_ONCE", 2)
        assert await relay.prune(pair.db("sender"), keep=timedelta(days=30)) == 3
    assert await pair.column("sender", "SELECT data->>'words' FROM message ORDER BY sequence") == [
        "refuse this",
        "waits",
    ]


async def test_a_machine_whose_clock_is_far_ahead_forgets_nothing_and_refuses_nothing_for_ever(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair.writer() as client:
        note = {"box": "letters", "words": "published"}
        assert (await client.post(NOTES, json=note, headers={"Idempotency-Key": "young"})).status_code == 201
    await pair.deliver()
    old = envelope("old", id=published(70))
    with monkeypatch.context() as wrong:
        now, ahead = clock.now, timedelta(days=100)
        wrong.setattr(clock, "now", lambda: now() + ahead)
        wrong.setattr(messages, "made_before", lambda age: made_before(age - ahead))
        for service in ("sender", "receiver"):
            await forget(pair, service)
        assert await send(pair, envelope("young"), old) == [("failed", "unavailable"), ("deferred", None)]
    assert await pair.column("sender", "SELECT key FROM request") == ["young"]
    assert await pair.column("sender", "SELECT data->>'words' FROM message") == ["published"]
    assert len(await pair.column("receiver", "SELECT id FROM received")) == 1
    assert (await send(pair, old))[0][0] == "refused"


async def test_a_clock_that_is_a_little_ahead_or_behind_forgets_all_the_same(
    pair: ToyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(pair, envelope(id=published(59)), envelope(id=published(59)))
    monkeypatch.setattr(messages, "REMEMBERED", timedelta(days=57))  # three days later
    now = clock.now
    for off in (CLOCKS_APART * 2, CLOCKS_APART / 2):
        monkeypatch.setattr(clock, "now", lambda off=off: now() + off)
        await forget(pair, "receiver")
        left = len(await pair.column("receiver", "SELECT id FROM received"))
        assert left == (2 if off > CLOCKS_APART else 0)


async def forget(toys: ToyTown, service: str = "receiver") -> None:
    """Clear up, as the daily job does."""
    [job] = [job for job in jobs._own_jobs() if job.name == "chassis.forget"]
    await job.function(toys.runtime(service))


def test_two_views_of_one_type_are_noticed_at_start() -> None:
    subscriptions = messages.Subscriptions()
    subscriptions.on("sender.note_written.v1", receiver.NoteWritten)(receiver.take_note)
    with pytest.raises(ValueError, match=r"sender\.note_written\.v1"):
        subscriptions.on("sender.note_written.v1", receiver.NoteWritten)(receiver.take_note)
