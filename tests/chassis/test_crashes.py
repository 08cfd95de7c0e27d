"""Real processes, really killed: what was committed arrives once, whoever dies when."""

import signal
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from typing import Any

import httpx2
from sqlalchemy import text

from chassis.core.client import Directory
from chassis.core.jobs import defer
from chassis.web.app import build_service
from tests.chassis.toy import sender, work
from tests.chassis.toy.processes import Processes, ended, eventually, listening
from tests.chassis.toy.town import ToyTown


async def is_led(toys: ToyTown) -> bool:
    """Whether some process holds the lead of the sender's relay."""
    statement = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database()"
    )
    return await toys.column("receiver", f"{statement} WHERE locktype = 'advisory'") == [1]


async def test_a_sender_killed_before_or_during_delivery_loses_nothing_and_repeats_nothing(toys: ToyTown) -> None:
    receiver = await toys.start("receiver")
    victims: list[ForkServerProcess] = []

    async def kills_who_waits_for_the_answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_after_the_murder(message: Any) -> None:
            while victims and "three" in await toys.taken():
                victims.pop().kill()
            await send(message)

        await receiver(scope, receive, send_after_the_murder)

    with Processes(toys) as processes:
        async with listening(toys.directory.apps["identity"], processes.urls["identity"]):
            first = await processes.start("sender")
            await processes.write("one", "two")  # committed; the receiver does not listen yet
            first.kill()
            assert await ended(first) == -signal.SIGKILL
            assert await toys.taken() == []
            async with listening(kills_who_waits_for_the_answer, processes.urls["receiver"]):
                second = await processes.start("sender")
                await processes.taken("one", "two")
                victims.append(second)
                with suppress(httpx2.HTTPError):  # it may die before it has said that it is written
                    await processes.write("three")
                assert await ended(second) == -signal.SIGKILL
                await processes.taken("one", "two", "three")
                await processes.start("sender")
                await processes.write("four")
                await processes.taken("one", "two", "three", "four")


async def test_a_receiver_killed_before_or_after_its_commit_takes_everything_once(toys: ToyTown) -> None:
    with Processes(toys) as processes:
        settings = toys.settings("sender", relay_enabled=True, relay_backoff_max_seconds=0.3)
        app = build_service(sender.SERVICE, settings, Directory(processes.urls))
        await toys.adopt("sender", app)
        await toys.start("receiver")  # to look at its tables; it is not who listens
        await toys.write("letters", "kill me", "two")
        before = await processes.start("receiver", moods={"kill": 1})
        assert await ended(before) == -signal.SIGKILL
        assert await toys.taken() == []
        after = await processes.start("receiver", die_before_answering=True)
        assert await ended(after) == -signal.SIGKILL
        assert await toys.taken() == ["kill me", "two"]
        assert set(await toys.column("sender", "SELECT state FROM delivery")) == {"pending"}
        await processes.start("receiver")
        await toys.write("letters", "three")
        await processes.taken("kill me", "two", "three")


async def test_when_the_process_that_relays_is_killed_another_one_goes_on(toys: ToyTown) -> None:
    with Processes(toys) as processes:
        receiver = await toys.start("receiver")
        async with (
            listening(toys.directory.apps["identity"], processes.urls["identity"]),
            listening(receiver, processes.urls["receiver"]),
        ):
            first = await processes.start("sender")
            await eventually(lambda: is_led(toys), what="the first one leads")
            await processes.start("sender", at="second")
            await processes.write("one", at="second")
            await processes.taken("one")
            first.kill()
            await ended(first)
            await processes.write("two", at="second")
            await processes.taken("one", "two")


async def test_a_job_whose_worker_is_killed_in_the_middle_is_done_by_another(toys: ToyTown) -> None:
    app = build_service(work.SERVICE, toys.settings("sender"), toys.directory)
    await toys.adopt("sender", app)
    with Processes(toys) as processes:
        victim = await processes.start("work", at="sender")
        async with toys.db("sender").transaction() as session:
            await defer(session, "work.note", words="x")

        async def begun() -> bool:
            return await toys.column("sender", "SELECT name FROM box") == ["begun x"]

        await eventually(begun, what="the job begins")
        victim.kill()
        await ended(victim)
    async with toys.db("sender").transaction() as session:
        await session.execute(text("DELETE FROM box"))
        await session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 minutes'"))
    await toys.work_off("chassis.retry_stalled_jobs")
    assert await toys.column("sender", "SELECT name FROM box") == ["begun x"]
    status = "SELECT status::text FROM procrastinate_jobs WHERE task_name = 'work.note'"
    assert await toys.column("sender", status) == ["succeeded"]
