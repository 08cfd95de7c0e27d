"""Jobs: they exist exactly if the decision to have them done does, and are done even if a worker dies."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from procrastinate.exceptions import TaskNotFound
from sqlalchemy import text

from beiyuan import failed_jobs
from chassis.core import runtime as runtimes
from chassis.core.jobs import Jobs, defer
from chassis.core.runtime import Parts, Runtime
from chassis.web.app import Service
from tests.chassis.toy.processes import eventually
from tests.chassis.toy.town import ToyAdmin, ToyTown

STATUSES = "SELECT task_name || ' ' || status FROM procrastinate_jobs ORDER BY id"


def service_with(jobs: Jobs) -> Service:
    return Service(parts=Parts(name="sender", jobs=jobs.declared), title="Jobs", description="", routers=[])


def noting(jobs: Jobs, done: list[str], *, failures: int = 0) -> None:
    """Declare the job `toy.note`, which fails so many times before it succeeds."""
    remaining = failures

    @jobs.task("toy.note")
    async def note(runtime: Runtime, *, words: str) -> None:
        nonlocal remaining
        async with runtime.db.transaction() as session:
            await session.execute(text("INSERT INTO box VALUES (:words, 0)"), {"words": words})
            if remaining:
                remaining -= 1
                raise RuntimeError("not this time")
        done.append(words)


async def test_a_job_of_a_change_that_is_undone_does_not_exist(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs))

    async def change_of_mind() -> None:
        async with toys.db("sender").transaction() as session:
            await defer(session, "toy.note", words="never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_of_mind()
    await toys.work_off()
    assert done == []
    assert await toys.column("sender", STATUSES) == []


async def test_a_job_is_done_after_the_commit_and_never_before(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs))
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="早上好")
        await toys.work_off()
        assert done == []
    await toys.work_off()
    assert done == ["早上好"]
    assert await toys.column("sender", STATUSES) == ["toy.note succeeded"]


async def test_a_job_that_nobody_has_declared_is_a_fault_at_once(toys: ToyTown) -> None:
    await toys.serve(service_with(Jobs()))

    async def mistake() -> None:
        async with toys.db("sender").transaction() as session:
            await defer(session, "toy.unheard_of")

    with pytest.raises(TaskNotFound):
        await mistake()


async def test_a_running_service_does_a_job_at_once(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs), jobs_enabled=True)
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="one")
    await eventually(_is(done, ["one"]), what="the job is done")


async def test_a_job_that_fails_leaves_nothing_behind_and_is_done_later(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done, failures=1)
    await toys.serve(service_with(jobs))
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="one")
    await toys.work_off()
    assert await toys.column("sender", "SELECT name FROM box") == []
    assert await toys.column("sender", STATUSES) == ["toy.note todo"]
    await toys.work_off()
    assert done == [], "it was tried again at once"
    async with toys.db("sender").transaction() as session:
        await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 second'"))
    await toys.work_off()
    assert done == ["one"]
    assert await toys.column("sender", "SELECT name FROM box") == ["one"]


async def test_a_job_that_always_fails_is_given_up_in_the_end(toys: ToyTown) -> None:
    jobs = Jobs()

    @jobs.task("toy.hopeless", retries=2)
    async def hopeless(runtime: Runtime) -> None:
        raise RuntimeError("as always")

    await toys.serve(service_with(jobs))
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.hopeless")
    for expected in ("todo", "todo", "failed", "failed"):
        await toys.work_off()
        assert await toys.column("sender", STATUSES) == [f"toy.hopeless {expected}"]
        async with toys.db("sender").transaction() as session:
            await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 second'"))


async def test_a_periodic_job_runs_of_its_own_accord_again_and_again(toys: ToyTown) -> None:
    jobs, runs = Jobs(), list[str]()

    @jobs.periodic("toy.sweep", cron="* * * * * *")  # the sixth field: every second
    async def sweep(runtime: Runtime) -> None:
        runs.append(runtime.name)

    await toys.serve(service_with(jobs), jobs_enabled=True)
    await eventually(_is(runs, ["sender", "sender"]), what="it runs twice")


async def test_two_processes_do_not_both_run_what_is_periodic(toys: ToyTown) -> None:
    jobs, running, most = Jobs(), 0, 0

    @jobs.periodic("toy.sweep", cron="* * * * * *")
    async def sweep(runtime: Runtime) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.3)
        running -= 1

    for _ in range(2):
        await toys.serve(service_with(jobs), jobs_enabled=True)

    async def three_done() -> bool:
        return (await toys.column("sender", STATUSES)).count("toy.sweep succeeded") >= 3

    await eventually(three_done, what="it has run three times")
    assert most == 1
    statement = "SELECT args->>'timestamp' FROM procrastinate_jobs WHERE task_name = 'toy.sweep'"
    times = await toys.column("sender", statement)
    assert len(times) == len(set(times))


async def _die_in(toys: ToyTown, name: str) -> None:
    """As if a worker had been killed in the middle of this job, ten minutes ago."""
    async with toys.db("sender").transaction() as session:
        await session.execute(
            text(
                "WITH worker AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                " VALUES (now() - interval '10 minutes') RETURNING id)"
                " UPDATE procrastinate_jobs SET status = 'doing', worker_id = worker.id FROM worker"
                " WHERE task_name = :name AND status = 'todo'"
            ),
            {"name": name},
        )


async def test_a_job_whose_worker_died_is_done_again_by_the_living(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs))
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="one")
    await _die_in(toys, "toy.note")
    await toys.work_off()
    assert done == []
    await toys.work_off("chassis.retry_stalled_jobs")
    assert done == ["one"]


async def test_a_periodic_job_whose_worker_died_runs_again_at_its_next_time(toys: ToyTown) -> None:
    jobs, runs = Jobs(), list[str]()

    @jobs.periodic("toy.sweep", cron="0 0 1 1 *")
    async def sweep(runtime: Runtime) -> None:
        runs.append(runtime.name)

    await toys.serve(service_with(jobs))
    for dies in (True, False):  # the next time comes before anybody has noticed the death
        async with toys.db("sender").transaction() as session:
            await defer(session, "toy.sweep", timestamp=0)
        if dies:
            await _die_in(toys, "toy.sweep")
    await toys.work_off()
    assert runs == []  # the dead one still holds the lock
    await toys.work_off("chassis.retry_stalled_jobs")
    assert runs == ["sender"]


async def test_the_rescuers_own_death_does_not_stop_all_rescue(toys: ToyTown) -> None:
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs))
    async with toys.db("sender").transaction() as session:
        await defer(session, "chassis.retry_stalled_jobs", timestamp=0)
        await defer(session, "toy.note", words="one")
    await _die_in(toys, "chassis.retry_stalled_jobs")
    await _die_in(toys, "toy.note")
    await toys.work_off("chassis.retry_stalled_jobs")
    assert done == ["one"]


async def test_jobs_go_on_after_the_database_was_away(
    toys: ToyTown, toy_admin: ToyAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "_RESTART_SECONDS", 0.1)
    jobs, done = Jobs(), list[str]()
    noting(jobs, done)
    await toys.serve(service_with(jobs), jobs_enabled=True)
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="one")
    await eventually(_is(done, ["one"]), what="the first job is done")
    before = await toys.column("sender", "SELECT max(id) FROM procrastinate_workers")
    toy_admin("ALTER ROLE toy_sender NOLOGIN")
    try:
        toy_admin("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'toy_sender'")
        await asyncio.sleep(0.5)
    finally:
        toy_admin("ALTER ROLE toy_sender LOGIN")

    async def another_works() -> bool:
        return await toys.column("sender", "SELECT max(id) FROM procrastinate_workers") != before

    await eventually(another_works, what="another worker takes the place of the lost one")
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.note", words="two")
    await eventually(_is(done, ["one", "two"]), what="the second job is done")


async def test_a_service_ends_promptly_though_a_job_never_does(toys: ToyTown) -> None:
    jobs, begun = Jobs(), asyncio.Event()

    @jobs.task("toy.endless")
    async def endless(runtime: Runtime) -> None:
        begun.set()
        await asyncio.Event().wait()

    await toys.serve(service_with(jobs), jobs_enabled=True, relay_enabled=True)
    async with toys.db("sender").transaction() as session:
        await defer(session, "toy.endless")
    async with asyncio.timeout(60):
        await begun.wait()
        await toys.close()


async def fail(toys: ToyTown, *names: str) -> None:
    """As if the last of these jobs had been given up just now."""
    for name in names:
        async with toys.db("sender").transaction() as session:
            await defer(session, name)
            await session.execute(
                text("UPDATE procrastinate_jobs SET status = 'failed' WHERE task_name = :name AND status = 'todo'"),
                {"name": name},
            )


async def counted_failures(toys: ToyTown) -> str:
    """What /metrics says of jobs that were given up."""
    async with toys.client("sender") as client:
        lines = (await client.get("/metrics")).text.splitlines()
    [value] = [line.partition("} ")[2] for line in lines if line.startswith("beiyuan_jobs_failed{")]
    return value


def with_two_jobs() -> Service:
    """A periodic job and one that is deferred."""
    jobs = Jobs()

    @jobs.periodic("toy.sweep", cron="0 0 1 1 *")
    async def sweep(runtime: Runtime) -> None:
        """Nothing to sweep."""

    @jobs.task("toy.note")
    async def note(runtime: Runtime) -> None:
        """Nothing to note."""

    return service_with(jobs)


async def test_a_job_that_was_given_up_is_counted_until_it_is_made_good(toys: ToyTown) -> None:
    await toys.serve(with_two_jobs())
    await fail(toys, "toy.note", "toy.sweep", "toy.sweep")
    assert await counted_failures(toys) == "3.0"
    await toys.work_off("toy.sweep")  # which does what the others left
    assert await counted_failures(toys) == "1.0"
    assert failed_jobs.retry(toys.database.admin_url, "sender", []) == 1
    assert await counted_failures(toys) == "0.0"
    await toys.work_off()
    assert await toys.column("sender", STATUSES) == [
        "toy.note succeeded",
        "toy.sweep failed",
        "toy.sweep failed",
        "toy.sweep succeeded",
    ]


async def test_a_failure_is_remembered_for_a_month_unless_it_is_made_good(toys: ToyTown) -> None:
    await toys.serve(with_two_jobs())
    await fail(toys, "toy.sweep")
    await toys.work_off("toy.sweep")
    await fail(toys, "toy.note", "toy.sweep")
    await toys.column("sender", "UPDATE procrastinate_events SET at = now() - interval '29 days' RETURNING id")
    await toys.work_off("chassis.forget")
    kept = ["toy.note failed", "toy.sweep failed", "chassis.forget succeeded"]
    assert await toys.column("sender", STATUSES) == kept
    await toys.column("sender", "UPDATE procrastinate_events SET at = now() - interval '31 days' RETURNING id")
    await toys.work_off("chassis.forget")
    assert await toys.column("sender", STATUSES) == ["chassis.forget succeeded"]


def _is(found: list[str], expected: list[str]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return found[: len(expected)] == expected

    return check
