"""Many at once: messages that one handler takes together, requests whose answers are kept together."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import Request, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import idempotency
from chassis.core.errors import IdempotencyKeyReused
from chassis.core.idempotency import AnsweredMeanwhile, Reply, RequestKey
from chassis.core.ids import new_id
from chassis.core.inbox import Pace, Subscription, Subscriptions, receive
from chassis.core.messages import Envelope
from chassis.web.auth import runtime_of
from chassis.web.router import Router, reply_of, request_key, response_of
from tests.chassis.toy.receiver import NoteWritten, take_note
from tests.chassis.toy.town import ToyTown, service_of

NOTE, OTHER = "sender.note_written.v1", "sender.note_praised.v1"


def told(words: str, message_type: str = NOTE, box: str = "letters") -> Envelope:
    data = {"box": box, "number": 1, "words": words, "remark": None}
    return Envelope.model_validate(
        {
            "id": new_id(),
            "source": "/sender",
            "type": message_type,
            "subject": f"box/{box}",
            "time": "2026-11-23T00:00:00Z",
            "data": data,
        }
    )


class Taker:
    """Takes notes in sets, and remembers which sets they were."""

    def __init__(self) -> None:
        self.sets: list[list[str]] = []
        self.subscriptions = Subscriptions()
        self.subscriptions.on_many({NOTE: NoteWritten, OTHER: NoteWritten})(self.take)

    async def take(self, session: AsyncSession, facts: Sequence[tuple[NoteWritten, Envelope]]) -> None:
        self.sets.append([fact.words for fact, _ in facts])
        for fact, envelope in facts:
            await take_note(session, fact, envelope)


async def receive_all(toys: ToyTown, subscriptions: dict[str, Subscription], *batch: Envelope) -> list[str]:
    results = await receive(toys.db("receiver"), subscriptions, "sender", batch, Pace())
    return [result.outcome for result in results]


async def test_a_set_handler_is_told_of_all_that_one_transaction_takes(pair: ToyTown) -> None:
    taker = Taker()
    batch = [told("one"), told("two", OTHER), told("three")]
    assert await receive_all(pair, taker.subscriptions.by_type, *batch, batch[0]) == ["accepted"] * 4
    assert taker.sets == [["one", "two", "three"]]
    assert await pair.taken() == ["one", "two", "three"]
    assert await receive_all(pair, taker.subscriptions.by_type, *batch) == ["accepted"] * 3
    assert taker.sets == [["one", "two", "three"]], "they had come before"


async def test_what_one_handler_refuses_leaves_no_trace_and_the_others_take_effect(pair: ToyTown) -> None:
    taker = Taker()
    batch = [told("one"), told("refuse this", box="bad"), told("after", box="bad"), told("two")]
    outcomes = await receive_all(pair, taker.subscriptions.by_type, *batch)
    assert outcomes == ["accepted", "refused", "deferred", "accepted"]
    assert taker.sets[1:] == [["one"], ["refuse this"], ["two"]], "one by one after the first try"
    assert await pair.taken() == ["one", "two"]


async def test_messages_of_two_handlers_take_effect_in_the_order_in_which_they_came(pair: ToyTown) -> None:
    taker = Taker()
    alone = "sender.note_mended.v1"
    taker.subscriptions.on(alone, NoteWritten)(take_note)
    batch = [told("one"), told("two"), told("three", alone), told("four")]
    assert await receive_all(pair, taker.subscriptions.by_type, *batch) == ["accepted"] * 4
    assert taker.sets == [["one", "two"], ["four"]]
    assert await pair.taken() == ["one", "two", "three", "four"]


def test_a_type_of_message_has_one_handler() -> None:
    taker = Taker()
    with pytest.raises(ValueError, match=OTHER):
        taker.subscriptions.on_many({OTHER: NoteWritten})
    with pytest.raises(ValueError, match=NOTE):
        taker.subscriptions.on(NOTE, NoteWritten)


# Idempotency ----------------------------------------------------------------------------------------------------------


def key(name: str, body: str = "body", caller: str = "somebody") -> RequestKey:
    return RequestKey(caller, "say", name, body.ljust(32, ".").encode())


async def test_many_answers_are_kept_at_once_and_each_is_found_under_its_own_key(toys: ToyTown) -> None:
    await toys.start("sender")
    vault = toys.runtime("sender").vault
    replies = {
        key("one"): Reply(201, "application/json", "早".encode(), (("location", "/a"), ("link", "b"))),
        key("two"): Reply(409, "application/problem+json", b"{}"),
        key("one", caller="another"): Reply(200, "text/plain", b"another's"),
    }
    async with toys.db("sender").transaction() as session:
        assert await idempotency.answered(session, list(replies)) == {}
        await idempotency.keep(session, [(request, reply.sealed(vault, request)) for request, reply in replies.items()])
    async with toys.db("sender").transaction() as session:
        kept = await idempotency.answered(session, [*replies, key("three"), key("two", "another body")])
        one_by_one = await idempotency.begin(session, key("one"))
    assert isinstance(kept.pop(key("two", "another body")), IdempotencyKeyReused)
    opened = {
        request: Reply.opened(vault, request, answer)
        for request, answer in kept.items()
        if isinstance(answer, idempotency.Answer)
    }
    assert opened == replies
    assert one_by_one is not None
    assert Reply.opened(vault, key("one"), one_by_one) == replies[key("one")]
    assert b"/a" not in b"".join(await toys.column("sender", "SELECT headers FROM request WHERE headers IS NOT NULL"))


async def test_an_answer_that_another_gave_meanwhile_stands_and_this_one_is_undone(toys: ToyTown) -> None:
    await toys.start("sender")
    db, vault = toys.db("sender"), toys.runtime("sender").vault

    def answers(*names: str, body: bytes) -> list[tuple[RequestKey, idempotency.Answer]]:
        return [(key(name), Reply(200, "text/plain", body).sealed(vault, key(name))) for name in names]

    async with db.transaction() as session:
        await idempotency.keep(session, answers("one", body=b"first"))
    with pytest.raises(AnsweredMeanwhile):
        async with db.transaction() as session:
            await idempotency.keep(session, answers("zero", "one", body=b"second"))
    async with db.transaction() as session:
        kept = await idempotency.answered(session, [key("zero"), key("one")])
    assert list(kept) == [key("one")]


async def test_a_route_that_opens_no_session_repeats_what_its_batch_has_kept(toys: ToyTown) -> None:
    router, done = Router(), []

    @router.post("/say", response_model=None)
    async def say(request: Request) -> Response:
        runtime, claim = runtime_of(request), await request_key(request)
        assert claim is not None
        async with runtime.db.transaction() as session:
            await session.execute(text("SELECT pg_advisory_xact_lock(1)"))
            earlier = (await idempotency.answered(session, [claim])).get(claim)
            if isinstance(earlier, idempotency.Answer):
                return response_of(Reply.opened(runtime.vault, claim, earlier), repeated=True)
            if earlier is not None:
                raise earlier
            done.append(1)
            reply = reply_of(Response(f"said {len(done)}", 201, {"Location": "/1", "X-Other": "a"}))
            await idempotency.keep(session, [(claim, reply.sealed(runtime.vault, claim))])
        return response_of(reply, repeated=False)

    await toys.serve(service_of(router))
    headers: dict[str, Any] = {"Idempotency-Key": "once"}
    async with toys.client("sender") as client:
        answers = await asyncio.gather(*(client.post("/say", json={}, headers=headers) for _ in range(5)))
        other = await client.post("/say", json={"a": 1}, headers=headers)
        bad = await client.post("/say", json={}, headers={"Idempotency-Key": "two words"})
    assert {(answer.status_code, answer.text, answer.headers["Location"]) for answer in answers} == {
        (201, "said 1", "/1")
    }
    assert sorted(answer.headers.get("Idempotency-Hit", "") for answer in answers) == ["", *["true"] * 4]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert bad.json()["errors"][0]["name"] == "header.Idempotency-Key"
    assert len(done) == 1
