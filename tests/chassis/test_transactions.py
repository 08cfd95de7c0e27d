"""One transaction a request: what was answered is true, whatever happens to the database meanwhile."""

import asyncio
from typing import Annotated, Any

import httpx2
import psycopg
import pytest
from fastapi import File, UploadFile
from sqlalchemy import event, text

from chassis.core import db
from chassis.core.errors import Conflict
from chassis.core.ids import new_id
from chassis.web.deps import SessionDep
from chassis.web.router import Router
from tests.chassis.toy.processes import eventually
from tests.chassis.toy.proxy import proxy
from tests.chassis.toy.sender import NOTES
from tests.chassis.toy.tables import Note
from tests.chassis.toy.town import ToyAdmin, ToyTown, service_of
from tests.town import actor

NOTE = {"box": "letters", "words": "早上好"}


class BoxTaken(Conflict):
    code = "box_taken"
    title, title_zh = "The box has a note", "箱中已有内容"


def refuses_secrets(answer: httpx2.Response) -> None:
    """Nothing of the inside shows in an answer."""
    inside = ("SELECT", "INSERT", "Traceback", "psycopg", "sqlalchemy", "letters", "DETAIL:", "constraint", ".py")
    assert not [word for word in inside if word in answer.text], answer.text


async def post(toys: ToyTown, path: str, **options: Any) -> httpx2.Response:
    async with toys.client("sender") as client:
        return await client.post(path, **options)


async def test_nobody_is_told_that_it_was_done_before_it_is_committed(toys: ToyTown) -> None:
    app = await toys.start("sender")
    seen_at_answer: list[list[str]] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def send_watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen_at_answer.append(await toys.column("sender", "SELECT words FROM note"))
            await send(message)

        await app(scope, receive, send_watched)

    headers = {"Authorization": f"Bearer {toys.token(actor('writer'))}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(watched), base_url="http://toy") as client:
        assert (await client.post(NOTES, json=NOTE, headers=headers)).status_code == 201
    assert seen_at_answer == [["早上好"]]


async def test_a_commit_that_fails_is_never_answered_with_success(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    toy_admin("ALTER TABLE sender.note ADD CONSTRAINT uq_later UNIQUE (box) DEFERRABLE INITIALLY DEFERRED")
    await toys.start("sender")
    async with toys.writer() as client:
        assert (await client.post(NOTES, json=NOTE)).status_code == 201
        answer = await client.post(NOTES, json=NOTE | {"words": "晚安"})
    assert answer.status_code == 500
    refuses_secrets(answer)
    assert await toys.column("sender", "SELECT words FROM note") == ["早上好"]


async def test_a_constraint_that_is_checked_at_commit_is_its_own_refusal_too(
    toys: ToyTown, toy_admin: ToyAdmin
) -> None:
    toy_admin("ALTER TABLE sender.note ADD CONSTRAINT uq_later UNIQUE (box) DEFERRABLE INITIALLY DEFERRED")
    router = Router()

    @router.post("/notes")
    async def write(words: str, session: SessionDep) -> None:
        await session.execute(text("INSERT INTO note VALUES (gen_random_uuid(), 'letters', :words)"), {"words": words})

    await toys.serve(service_of(router, uq_later=BoxTaken))
    assert (await post(toys, "/notes?words=one")).status_code == 200
    answer = await post(toys, "/notes?words=two")
    assert (answer.status_code, answer.json()["code"]) == (409, "box_taken")


async def test_a_connection_lost_after_the_commit_is_still_a_success(toys: ToyTown) -> None:
    async with proxy(toys.database.url("sender")) as between:
        await toys.start("sender", database_url=between.url)
        async with toys.writer() as client:
            between.lose = "after commit"
            answer = await client.post(NOTES, json=NOTE)
            assert between.losses == 1
            assert answer.status_code == 201
            assert (await client.get(NOTES)).json() == ["早上好"]
        await toys.close()


async def test_work_outside_of_a_request_is_found_committed_too(toys: ToyTown) -> None:
    async with proxy(toys.database.url("sender")) as between:
        await toys.start("sender", database_url=between.url)
        between.lose = "after commit"
        async with toys.db("sender").transaction() as session:
            session.add(Note(id=new_id(), box="letters", words="早上好"))
        assert between.losses == 1
        assert await toys.column("sender", "SELECT words FROM note") == ["早上好"]
        await toys.close()


async def test_a_plain_read_asks_the_database_nothing_but_what_it_is_about(toys: ToyTown) -> None:
    await toys.start("sender")
    issued: list[str] = []
    event.listen(
        toys.db("sender").engine.sync_engine,
        "before_cursor_execute",
        lambda *arguments: issued.append(arguments[2]),
    )
    async with toys.writer() as client:
        assert (await client.get(NOTES)).status_code == 200
    assert len(issued) == 1


async def test_a_read_whose_connection_is_lost_at_the_end_may_simply_be_repeated(toys: ToyTown) -> None:
    async with proxy(toys.database.url("sender")) as between:
        await toys.start("sender", database_url=between.url)
        async with toys.writer() as client:
            between.lose = "after commit"
            answer = await client.get(NOTES)
            assert between.losses == 1
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert (await client.get(NOTES)).status_code == 200
        await toys.close()


async def test_a_database_that_was_restarted_costs_nobody_their_request(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    await toys.start("sender", db_pool_size=3, db_pool_overflow=0)
    async with toys.writer() as client:
        for _ in range(2):
            answers = await asyncio.gather(*(client.get(NOTES) for _ in range(6)))
            assert [answer.status_code for answer in answers] == [200] * 6
            toy_admin("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'toy_sender'")
            answers = await asyncio.gather(*(client.get(NOTES) for _ in range(6)))
            assert [answer.status_code for answer in answers] == [200] * 6


async def test_a_notice_from_the_server_is_no_reason_to_leave_it(toys: ToyTown) -> None:
    await toys.start("sender", db_pool_size=1, db_pool_overflow=0)
    engine = toys.db("sender").engine
    async with toys.db("sender").transaction() as session:
        await session.execute(text("LISTEN hello"))
        before = await session.scalar(text("SELECT pg_backend_pid()"))
    async with await psycopg.AsyncConnection.connect(toys.database.url("sender"), autocommit=True) as other:
        await other.execute("NOTIFY hello")
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) == before


async def test_a_connection_lost_before_the_commit_is_a_failure_and_may_be_repeated(toys: ToyTown) -> None:
    async with proxy(toys.database.url("sender")) as between:
        await toys.start("sender", database_url=between.url)
        async with toys.writer() as client:
            between.lose = "before commit"
            headers = {"Idempotency-Key": "once"}
            answer = await client.post(NOTES, json=NOTE, headers=headers)
            assert between.losses == 1
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert (await client.get(NOTES)).json() == []
            assert (await client.post(NOTES, json=NOTE, headers=headers)).status_code == 201
            assert (await client.get(NOTES)).json() == ["早上好"]
        await toys.close()


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_an_outcome_that_nobody_can_find_out_is_not_called_a_failure(
    toys: ToyTown, monkeypatch: pytest.MonkeyPatch, moment: Any
) -> None:
    monkeypatch.setattr(db, "_OUTCOME_SECONDS", 0.5)
    async with proxy(toys.database.url("sender")) as between:
        await toys.start("sender", database_url=between.url)
        async with toys.writer() as client:
            between.lose, between.away = moment, True
            answer = await client.post(NOTES, json=NOTE, headers={"Idempotency-Key": "once"})
            assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
            assert "nothing was changed" not in answer.text
            between.away = False
            answer = await client.post(NOTES, json=NOTE, headers={"Idempotency-Key": "once"})
            assert answer.status_code == 201  # the first answer, or the first success: never a second note
            assert ("Idempotency-Hit" in answer.headers) == (moment == "after commit")
            assert (await client.get(NOTES)).json() == ["早上好"]
        await toys.close()


async def test_two_who_deadlock_both_get_their_answer(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    toy_admin(f"ALTER DATABASE {toys.database.name} SET deadlock_timeout = '50ms'")
    toy_admin("INSERT INTO sender.box VALUES ('left', 0), ('right', 0)")
    met, won, attempts = asyncio.Barrier(2), asyncio.Event(), 0
    router = Router()

    @router.post("/lock/{first}/{second}")
    async def lock(first: str, second: str, session: SessionDep) -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 2:  # who comes again might else be there before who was waiting, and both deadlock once more
            await won.wait()
        update = text("UPDATE box SET notes = notes + 1 WHERE name = :name")
        await session.execute(update, {"name": first})
        if attempts <= 2:
            await met.wait()
        await session.execute(update, {"name": second})
        won.set()

    await toys.serve(service_of(router))
    answers = await asyncio.gather(post(toys, "/lock/left/right"), post(toys, "/lock/right/left"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert attempts == 3
    assert await toys.column("sender", "SELECT notes FROM box") == [2, 2]


async def test_a_deadlock_at_the_very_end_of_a_request_is_retried_as_well(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    toy_admin(
        "CREATE SEQUENCE sender.attempts; GRANT USAGE ON SEQUENCE sender.attempts TO PUBLIC;"
        "CREATE FUNCTION sender.first_time_deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('attempts') = 1 THEN RAISE 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER deadlock BEFORE INSERT ON sender.note"
        " FOR EACH ROW EXECUTE FUNCTION sender.first_time_deadlock()"
    )
    router = Router()

    @router.post("/notes")
    async def write(session: SessionDep) -> None:
        session.add(Note(id=new_id(), box="letters", words="早上好"))

    await toys.serve(service_of(router))
    assert (await post(toys, "/notes")).status_code == 200
    assert await toys.column("sender", "SELECT words FROM note") == ["早上好"]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "photo"}])
async def test_deadlocks_without_end_are_given_up_and_the_photo_is_there_at_each_try(
    toys: ToyTown, headers: dict[str, str]
) -> None:
    router = Router()
    sizes = []

    @router.post("/photos")
    async def upload(photo: Annotated[UploadFile, File()], session: SessionDep) -> None:
        sizes.append(len(await photo.read()))
        await session.execute(text("DO $$ BEGIN RAISE 'deadlock' USING ERRCODE = '40P01'; END $$"))

    await toys.serve(service_of(router))
    answer = await post(toys, "/photos", files={"photo": b"x" * 5000}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert sizes == [5000, 5000, 5000]


async def test_what_another_holds_for_too_long_is_busy_and_never_a_refusal(toys: ToyTown, toy_admin: ToyAdmin) -> None:
    toy_admin("INSERT INTO sender.box VALUES ('letters', 0)")
    await toys.start("sender", lock_timeout_seconds=0.05)
    async with toys.db("sender").transaction() as holder, toys.writer() as client:
        await holder.execute(text("SELECT * FROM box FOR UPDATE"))
        answer = await client.post(NOTES, json=NOTE)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "2"
        assert answer.headers["Content-Type"] == "application/problem+json"
        refuses_secrets(answer)
    async with toys.writer() as client:
        assert (await client.post(NOTES, json=NOTE)).status_code == 201


async def test_more_requests_than_connections_are_told_to_come_again(toys: ToyTown) -> None:
    await toys.start("sender", db_pool_size=1, db_pool_overflow=0, db_pool_timeout_seconds=0.05)
    async with toys.db("sender").transaction() as holder, toys.writer() as client:
        await holder.execute(text("SELECT 1"))
        answer = await client.get(NOTES)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    async with toys.writer() as client:
        assert (await client.get(NOTES)).status_code == 200


@pytest.mark.parametrize(
    "trouble",
    [
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_sleep(30)",
        "DO $$ BEGIN RAISE 'too many' USING ERRCODE = '53300'; END $$",
        "DO $$ BEGIN RAISE 'not serialisable' USING ERRCODE = '40001'; END $$",
    ],
)
async def test_a_database_in_trouble_is_a_503_and_the_service_goes_on(toys: ToyTown, trouble: str) -> None:
    router = Router()

    @router.post("/trouble")
    async def meet_trouble(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO note VALUES (gen_random_uuid(), 'a', 'a')"))
        await session.execute(text(trouble))

    @router.get("/notes")
    async def count(session: SessionDep) -> int:
        return await session.scalar(text("SELECT count(*) FROM note")) or 0

    # Short where it is to end; elsewhere no statement of a busy machine may take as long.
    await toys.serve(service_of(router), statement_timeout_seconds=3 if "pg_sleep" in trouble else 60)
    answer = await post(toys, "/trouble")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    refuses_secrets(answer)
    async with toys.client("sender") as client:
        assert (await client.get("/notes")).json() == 0


async def test_a_transaction_left_idle_is_ended_by_the_server_and_answered_as_busy(toys: ToyTown) -> None:
    router = Router()

    @router.post("/dawdle")
    async def dawdle(session: SessionDep) -> None:
        ours = await session.scalar(text("SELECT pg_backend_pid()"))
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 20"))

        async def ended() -> bool:
            found = "SELECT count(*) FROM pg_stat_activity WHERE pid = :ours"
            return await toys.column("sender", found, ours=ours) == [0]

        await eventually(ended, what="the server ends it")
        await session.execute(text("SELECT 1"))

    await toys.serve(service_of(router))
    assert (await post(toys, "/dawdle")).status_code == 503


@pytest.mark.parametrize(
    "fault",
    [
        "INSERT INTO note VALUES (NULL, 'letters', 'secret words')",
        "INSERT INTO box VALUES ('letters', 0), ('letters', 0)",
        "INSERT INTO box VALUES ('letters', 99999999999)",
        "SELECT secret_words FROM note",
    ],
)
async def test_a_fault_of_ours_is_a_500_that_tells_nothing_of_the_inside(toys: ToyTown, fault: str) -> None:
    router = Router()

    @router.post("/fault")
    async def fail(session: SessionDep) -> None:
        await session.execute(text(fault))

    await toys.serve(service_of(router))
    answer = await post(toys, "/fault")
    assert answer.status_code == 500
    problem = answer.json()
    assert problem == {
        "type": "urn:beiyuan:problem:internal_server_error",
        "title": "Internal Server Error",
        "title_zh": "服务内部错误",
        "status": 500,
        "code": "internal_server_error",
        "detail": "",
        "request_id": answer.headers["X-Request-Id"],
        "errors": [],
    }


async def test_who_comes_second_with_the_same_words_is_told_so_by_the_constraints_name(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        assert (await client.post(NOTES, json=NOTE)).status_code == 201
        answer = await client.post(NOTES, json=NOTE)
    assert (answer.status_code, answer.json()["code"]) == (409, "words_taken")


async def test_sweeps_survive_a_deadlock_but_not_a_fault(toys: ToyTown) -> None:
    await toys.start("sender")
    attempts = 0

    async def sweep(session: Any) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await session.execute(text("DO $$ BEGIN RAISE 'deadlock' USING ERRCODE = '40P01'; END $$"))
        await session.execute(text("INSERT INTO box VALUES ('swept', 1)"))
        return attempts

    assert await toys.db("sender").retrying(sweep) == 2
    with pytest.raises(Exception, match="pk_box"):
        await toys.db("sender").retrying(sweep)
    assert attempts == 3
    assert await toys.column("sender", "SELECT name FROM box") == ["swept"]
