"""`Idempotency-Key`: whoever repeats a request, because no answer came, gets the first answer and no second effect."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, ClassVar

import httpx2
import pytest
from fastapi import File, Form, Response, UploadFile
from sqlalchemy import text

from chassis.core import clock, idempotency
from chassis.core.actor import Actor
from chassis.core.errors import Conflict, DomainError, NotFound, TooManyRequests, Unauthenticated, Unavailable
from chassis.core.ids import new_id
from chassis.core.schema import In
from chassis.web.auth import CLIENT_ADDRESS_HEADER, GATEWAY_TOKEN_HEADER, OptionalActor
from chassis.web.deps import SessionDep
from chassis.web.router import Router
from tests.chassis.toy.sender import NOTES
from tests.chassis.toy.tables import Note
from tests.chassis.toy.town import ToyTown, service_of
from tests.town import actor

NOTE = {"box": "letters", "words": "早上好"}
HIT = "Idempotency-Hit"
PROMISED_SECONDS = idempotency.WAIT_SECONDS  # before the tests become patient


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


async def words(toys: ToyTown) -> list[str]:
    return await toys.column("sender", "SELECT words FROM note ORDER BY words")


async def messages(toys: ToyTown) -> int:
    return len(await toys.column("sender", "SELECT id FROM message"))


class NoteFull(Conflict):
    code = "note_full"
    title, title_zh = "There is no room", "已满"


class Counted(Conflict):
    """A refusal that counts as a try."""

    code = "counted"
    title, title_zh = "Wrong; this try counts", "错误"
    keeps_changes: ClassVar[bool] = True


class CountedSignIn(Unauthenticated):
    """The same, for somebody who may be let in next time."""

    code = "counted_sign_in"
    keeps_changes: ClassVar[bool] = True


async def insert(session: Any, words: str) -> None:
    await session.execute(text("INSERT INTO note VALUES (gen_random_uuid(), 'a', :words)"), {"words": words})


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing_more(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        first = await client.post(NOTES, json=NOTE, headers=key("monday"))
        again = await client.post(NOTES, json=NOTE, headers=key("monday"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert HIT not in first.headers
    assert again.headers[HIT] == "true"
    assert again.content == first.content
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert await words(toys) == ["早上好"]
    assert await messages(toys) == 1


async def test_a_repeated_answer_still_says_where_the_new_thing_is_and_when_to_come_again(toys: ToyTown) -> None:
    router = Router()
    said = {
        "Location": "/api/sender/notes/a-private-link",
        "Retry-After": "7",
        "Cache-Control": "private, max-age=60",
        "Content-Language": "zh",
    }

    @router.post("/notes", status_code=201)
    async def write(session: SessionDep, response: Response) -> None:
        response.headers.update(said | {"Set-Cookie": "a=b", "X-Trace": "of one request"})
        response.headers.append("Link", '</terms>; rel="terms-of-service"')
        response.headers.append("Link", '</next>; rel="next"')

    @router.post("/refuse")
    async def refuse(session: SessionDep) -> None:
        raise NoteFull(headers={"Retry-After": "9"})

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        for _ in range(2):
            answer = await client.post("/notes", headers=key("x"))
            assert {name: answer.headers.get(name) for name in said} == said
            assert answer.headers.get_list("Link") == ['</terms>; rel="terms-of-service"', '</next>; rel="next"']
            refusal = await client.post("/refuse", headers=key("x"))
            assert refusal.headers["Retry-After"] == "9"
    assert (answer.headers[HIT], refusal.headers[HIT]) == ("true", "true")
    assert not {"Set-Cookie", "X-Trace"} & {name.title() for name in answer.headers}
    for stored in await toys.column("sender", "SELECT headers FROM request"):
        assert b"private-link" not in stored


async def test_an_answer_kept_before_headers_were_is_repeated_without_them(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        first = await client.post(NOTES, json=NOTE, headers=key("monday"))
        assert await toys.column("sender", "SELECT headers FROM request") == [None]
        again = await client.post(NOTES, json=NOTE, headers=key("monday"))
    assert (again.content, again.headers[HIT]) == (first.content, "true")


async def test_who_goes_out_of_the_house_between_two_tries_has_made_one_report(toys: ToyTown) -> None:
    router = Router()

    @router.post("/say")
    async def say(session: SessionDep) -> str:
        await insert(session, f"{new_id()}")
        return "said"

    await toys.serve(service_of(router))
    hits = []
    async with toys.client("sender") as client:
        for network in ("192.0.2.7", "2001:db8::7"):  # from Wi-Fi to mobile data
            edge = {GATEWAY_TOKEN_HEADER: toys.gateway_token("sender"), CLIENT_ADDRESS_HEADER: network}
            hits.append(HIT in (await client.post("/say", headers=key("one-report") | edge)).headers)
    assert hits == [False, True]
    assert len(await words(toys)) == 1


async def test_ten_at_once_have_one_effect_and_ten_equal_answers(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        answers = await asyncio.gather(*(client.post(NOTES, json=NOTE, headers=key("x")) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(HIT not in answer.headers for answer in answers) == 1
    assert await words(toys) == ["早上好"]
    assert await messages(toys) == 1


async def test_ten_refused_at_once_get_one_and_the_same_refusal(toys: ToyTown) -> None:
    router, tries = Router(), 0

    @router.post("/refuse")
    async def refuse(session: SessionDep) -> None:
        nonlocal tries
        tries += 1
        await insert(session, "left over")
        await asyncio.sleep(0.01)
        if tries == 1:
            raise NoteFull("first")
        raise NoteFull("later")

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        answers = await asyncio.gather(*(client.post("/refuse", headers=key("x")) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {409}
    assert len({answer.content for answer in answers}) == 1
    assert await words(toys) == []


async def test_another_body_under_the_same_key_is_refused_and_the_first_stands(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        await client.post(NOTES, json=NOTE, headers=key("monday"))
        other = await client.post(NOTES, json=NOTE | {"words": "晚安"}, headers=key("monday"))
        query = await client.post(f"{NOTES}?x=1", json=NOTE, headers=key("monday"))
        again = await client.post(NOTES, json=NOTE, headers=key("monday"))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert query.json()["code"] == "idempotency_key_reused"
    assert again.headers[HIT] == "true"
    assert await words(toys) == ["早上好"]


async def test_the_same_key_of_two_people_or_at_two_places_is_two_requests(toys: ToyTown) -> None:
    router = Router()

    @router.post("/say/{words}")
    async def say(words: str, who: OptionalActor, session: SessionDep) -> str:
        said = f"{words} {who.id if who else 'nobody'}"
        await insert(session, said)
        return said

    await toys.serve(service_of(router))
    people: list[Actor | None] = [actor("writer"), actor("writer"), None]
    for person in people:
        async with toys.client("sender", person) as client:
            for place in ("one", "two"):
                answer = await client.post(f"/say/{place}", headers=key("same"))
                assert answer.json() == f"{place} {person.id if person else 'nobody'}"
    assert len(await words(toys)) == 6


async def test_a_request_still_in_flight_after_the_wait_is_a_409_that_is_not_remembered(
    toys: ToyTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.2)
    router, go_on, begun = Router(), asyncio.Event(), asyncio.Event()

    @router.post("/slow")
    async def slow(session: SessionDep) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        first = asyncio.create_task(client.post("/slow", headers=key("x")))
        await begun.wait()
        second = await client.post("/slow", headers=key("x"))
        go_on.set()
        assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
        assert (await first).json() == "done"
        third = await client.post("/slow", headers=key("x"))
        assert (third.json(), third.headers[HIT]) == ("done", "true")


async def test_the_wait_for_a_key_does_not_lengthen_the_wait_for_a_lock(toys: ToyTown) -> None:
    router = Router()

    @router.post("/show")
    async def show(session: SessionDep) -> str:
        return str(await session.scalar(text("SHOW lock_timeout")))

    await toys.serve(service_of(router), lock_timeout_seconds=0.7)
    async with toys.client("sender") as client:
        assert (await client.post("/show", headers=key("x"))).json() == "700ms"


def test_the_wait_for_a_request_in_flight_is_five_seconds() -> None:
    assert PROMISED_SECONDS == 5


async def test_who_waits_for_the_first_and_sees_it_fail_does_the_work(toys: ToyTown) -> None:
    router, tries = Router(), 0

    @router.post("/flaky")
    async def flaky(session: SessionDep) -> int:
        nonlocal tries
        tries += 1
        await insert(session, f"try {tries}")
        await asyncio.sleep(0.05)
        if tries == 1:
            raise RuntimeError("the first fails")
        return tries

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        answers = await asyncio.gather(*(client.post("/flaky", headers=key("x")) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 500]
    assert await words(toys) == ["try 2"]


@pytest.mark.parametrize(
    ("refusal", "kept"),
    [
        (NotFound(), True),
        (NoteFull(), True),
        (Unauthenticated(), False),
        (TooManyRequests(), False),
        (Unavailable(), False),
    ],
)
async def test_a_refusal_that_would_repeat_is_remembered_and_contention_never_is(
    toys: ToyTown, refusal: DomainError, kept: bool
) -> None:
    router, tries = Router(), 0

    @router.post("/try")
    async def refuse_once(session: SessionDep) -> str:
        nonlocal tries
        tries += 1
        await insert(session, f"try {tries}")
        if tries == 1:
            raise refusal
        return "done"

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        first = await client.post("/try", headers=key("x"))
        again = await client.post("/try", headers=key("x"))
    assert first.status_code == refusal.status
    assert (HIT in again.headers) == kept
    assert again.status_code == (refusal.status if kept else 200)
    assert (again.content == first.content) == kept
    assert await words(toys) == ([] if kept else ["try 2"])


async def test_a_failure_of_ours_is_not_remembered(toys: ToyTown) -> None:
    router, tries = Router(), 0

    @router.post("/try")
    async def fail_once(session: SessionDep) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("a fault")
        return "done"

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        assert (await client.post("/try", headers=key("x"))).status_code == 500
        assert (await client.post("/try", headers=key("x"))).json() == "done"


async def test_a_refusal_by_constraint_is_remembered_too(toys: ToyTown) -> None:
    router = Router()

    @router.post("/notes")
    async def write(session: SessionDep) -> None:
        session.add(Note(id=new_id(), box="letters", words="早上好"))  # the database refuses it at the very end

    await toys.serve(service_of(router, uq_note_words=NoteFull))
    async with toys.client("sender") as client:
        assert (await client.post("/notes")).status_code == 200
        first = await client.post("/notes", headers=key("x"))
        async with toys.db("sender").transaction() as session:
            await session.execute(text("DELETE FROM note"))
        again = await client.post("/notes", headers=key("x"))
    assert (first.status_code, first.json()["code"]) == (409, "note_full")
    assert (again.content, again.headers[HIT]) == (first.content, "true")
    assert await words(toys) == []


@pytest.mark.parametrize("refusal", [Counted, CountedSignIn])
@pytest.mark.parametrize("keyed", [True, False])
async def test_a_refusal_that_counts_is_counted_once_for_each_time_that_it_is_really_made(
    toys: ToyTown, refusal: type[DomainError], keyed: bool
) -> None:
    router = Router()

    @router.post("/try")
    async def count(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO note VALUES (gen_random_uuid(), 'a', gen_random_uuid())"))
        raise refusal

    await toys.serve(service_of(router))
    headers = key("x") if keyed else {}
    async with toys.client("sender") as client:
        first = await client.post("/try", headers=headers)
        again = await client.post("/try", headers=headers)
    assert first.json()["code"] == again.json()["code"] == refusal.code
    remembered = keyed and refusal is Counted
    assert (HIT in again.headers) == remembered
    assert len(await words(toys)) == (1 if remembered else 2)


async def test_answers_lie_sealed_in_the_database(toys: ToyTown) -> None:
    await toys.start("sender")
    secret = NOTE | {"words": "very-secret-words"}
    async with toys.writer() as client:
        await client.post(NOTES, json=secret, headers=key("x"))
    stored = await toys.column("sender", "SELECT answer FROM request")
    assert len(stored) == 1
    assert b"very-secret-words" not in stored[0]


async def test_a_sealed_answer_moved_to_another_request_does_not_open(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer(actor("writer")) as mine, toys.writer(actor("writer")) as theirs:
        await mine.post(NOTES, json=NOTE, headers=key("mine"))
        await theirs.post(NOTES, json=NOTE | {"words": "晚安"}, headers=key("theirs"))
        async with toys.db("sender").transaction() as session:
            await session.execute(
                text("UPDATE request SET answer = other.answer FROM request other WHERE other.key <> request.key")
            )
        answer = await mine.post(NOTES, json=NOTE, headers=key("mine"))
    assert answer.status_code == 500
    assert "晚安" not in answer.text


@pytest.mark.parametrize("bad", ["", "a b", "x" * 256, "é", "\tx", "钥匙"])
async def test_a_malformed_key_is_refused_by_name(toys: ToyTown, bad: str) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        answer = await client.post(NOTES, json=NOTE, headers={b"Idempotency-Key": bad.encode()})
        longest = await client.post(NOTES, json=NOTE, headers=key("!" * 254 + "~"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [error["name"] for error in answer.json()["errors"]] == ["header.Idempotency-Key"]
    assert longest.status_code == 201


async def test_a_form_sent_again_with_another_boundary_is_the_same_request(toys: ToyTown) -> None:
    router, sizes = Router(), []

    @router.post("/photos", status_code=201)
    async def upload(title: Annotated[str, Form()], photo: Annotated[UploadFile, File()], session: SessionDep) -> str:
        sizes.append(len(await photo.read()))
        return title

    await toys.serve(service_of(router))

    async def send(title: str, photo: bytes, **extra: bytes) -> httpx2.Response:
        async with toys.client("sender") as client:
            files = [("photo", photo), *extra.items()]
            return await client.post("/photos", data={"title": title}, files=files, headers=key("photo"))

    assert (await send("树", b"x" * 3000)).status_code == 201
    again = await send("树", b"x" * 3000)
    assert (again.status_code, again.json(), again.headers[HIT]) == (201, "树", "true")
    assert sizes == [3000]
    for other in (send("树", b"y" * 3000), send("木", b"x" * 3000), send("树", b"x" * 3000, more=b"z")):
        assert (await other).json()["code"] == "idempotency_key_reused"


async def test_what_moves_from_one_field_to_the_next_is_another_form(toys: ToyTown) -> None:
    router = Router()

    @router.post("/form")
    async def take(a: Annotated[str, Form()], b: Annotated[str, Form()], session: SessionDep) -> str:
        return f"{a}|{b}"

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        first = await client.post("/form", files={"a": (None, "1b2"), "b": (None, "3")}, headers=key("x"))
        other = await client.post("/form", files={"a": (None, "1"), "b": (None, "2b3")}, headers=key("x"))
    assert first.json() == "1b2|3"
    assert other.json()["code"] == "idempotency_key_reused"


async def test_an_empty_answer_is_repeated_as_one(toys: ToyTown) -> None:
    router = Router()

    @router.post("/done", status_code=204)
    async def done(session: SessionDep) -> None:
        """Nothing to say."""

    @router.get("/stream")
    async def stream(session: SessionDep) -> Response:
        from starlette.responses import StreamingResponse

        return StreamingResponse(iter([b"one", b"two"]))

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        assert (await client.post("/done", headers=key("x"))).status_code == 204
        again = await client.post("/done", headers=key("x"))
        assert (again.status_code, again.content, again.headers[HIT]) == (204, b"", "true")
        assert (await client.get("/stream", headers=key("x"))).text == "onetwo"  # the key is for POST alone


async def test_a_body_that_does_not_fit_does_not_spend_the_key(toys: ToyTown) -> None:
    await toys.start("sender")
    async with toys.writer() as client:
        assert (await client.post(NOTES, json={"box": "letters"}, headers=key("x"))).status_code == 422
        assert (await client.post(NOTES, json=NOTE, headers=key("x"))).status_code == 201


async def test_who_has_lost_the_right_does_not_get_the_old_answer(toys: ToyTown) -> None:
    await toys.start("sender")
    me = actor("writer")
    async with toys.writer(me) as client:
        assert (await client.post(NOTES, json=NOTE, headers=key("x"))).status_code == 201
    async with toys.writer(actor("reader", id=me.id)) as client:
        assert (await client.post(NOTES, json=NOTE, headers=key("x"))).status_code == 403


async def test_a_route_of_another_kind_does_not_take_the_key_and_never_hangs_on_it(toys: ToyTown) -> None:
    from fastapi import APIRouter

    router = APIRouter()

    class Said(In):
        words: str

    @router.post("/say")
    async def say(said: Said, session: SessionDep) -> str:
        return said.words

    await toys.serve(service_of(router))
    async with toys.client("sender") as client:
        for _ in range(2):
            answer = await client.post("/say", json={"words": "hello"}, headers=key("x"))
            assert (answer.status_code, answer.json()) == (200, "hello")


async def test_old_answers_are_forgotten_and_young_ones_are_not(toys: ToyTown) -> None:
    app = await toys.start("sender")
    async with toys.writer() as client:
        with clock.frozen(clock.now() - timedelta(days=8)):
            client.headers["Authorization"] = f"Bearer {toys.token(actor('writer'))}"
            await client.post(NOTES, json=NOTE, headers=key("old"))
    async with toys.writer() as client:
        await client.post(NOTES, json=NOTE | {"words": "晚安"}, headers=key("young"))
    await idempotency.prune(app.state.runtime.db, keep=timedelta(days=7))
    assert await toys.column("sender", "SELECT key FROM request") == ["young"]
