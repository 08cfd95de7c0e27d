"""Messages are forgotten once nobody can need them: none can take effect again, and none that waits is lost."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.core import clock, inbox, jobs, relay
from chassis.core.clocks import CLOCKS_APART
from chassis.core.ids import made_before, new_id
from tests.chassis.letters import envelope, send
from tests.chassis.toy import sender
from tests.chassis.toy.sender import NOTES
from tests.chassis.toy.town import ToyTown


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
    monkeypatch.setattr(inbox, "_FORGET_AT_ONCE", 2)
    monkeypatch.setattr(relay, "_PRUNE_AT_ONCE", 2)
    old, young = [envelope(f"old {n}", id=published(59)) for n in range(5)], envelope("young", id=published(55))
    assert await send(pair, *old, young) == [("accepted", None)] * 6
    monkeypatch.setattr(inbox, "REMEMBERED", timedelta(days=57))  # three days later
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
        patch.setattr(inbox, "REMEMBERED", timedelta(days=50))  # the sender has not heard that it was taken
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
        wrong.setattr(inbox, "made_before", lambda age: made_before(age - ahead))
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
    monkeypatch.setattr(inbox, "REMEMBERED", timedelta(days=57))  # three days later
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
