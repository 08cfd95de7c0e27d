"""Publishing: what one service tells another is told with the change itself, and arrives in order."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse

from chassis.core import clock, relay
from chassis.core.db import Database
from chassis.core.messages import MAX_BATCH, Message, publish, publish_all
from tests.chassis.letters import states
from tests.chassis.toy import sender
from tests.chassis.toy.sender import NOTES, NoteWritten
from tests.chassis.toy.town import ToyAdmin, ToyTown


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
