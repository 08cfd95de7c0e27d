"""Bad input: each is answered with a problem that names what is wrong, tells nothing of the inside, changes nothing."""

import json
from collections.abc import AsyncIterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import httpx2
import jsonschema
import pytest
from fastapi import File, Form, HTTPException, Path, Query, UploadFile
from pydantic import Field

from chassis.core.client import CallRefused
from chassis.core.errors import FieldError, Invalid, TooManyRequests
from chassis.core.schema import In, Page, Phone, Text
from chassis.web.deps import SessionDep
from chassis.web.problems import Problem, problems
from chassis.web.router import Router
from tests.chassis.toy.town import ToyTown, service_of
from tests.town import actor

PROBLEM = Problem.model_json_schema()


class Kind(StrEnum):
    LAMP = "lamp"
    LIFT = "lift"


class Contact(In):
    name: Annotated[str, Text(20)]
    phone: Phone


class ReportIn(In):
    kind: Kind
    words: Annotated[str, Text(200)]
    remark: Annotated[str, Text(200, min_length=0)] = ""
    floor: int = Field(default=0, ge=-5, le=100)
    seen_on: date | None = None
    place: UUID | None = None
    contact: Contact | None = None
    tags: list[Annotated[str, Text(10)]] = Field(default=[], max_length=3)


class Paging(In):
    state: Kind | None = None
    limit: int = Field(default=20, ge=1, le=100)


class Full(TooManyRequests):
    code = "full"
    title, title_zh = "Full", "已满"


router = Router(prefix="/api/sender")


@router.post("/reports", status_code=201, responses=problems(Full))
async def report(body: ReportIn, session: SessionDep) -> ReportIn:
    return body


@router.get("/reports")
async def list_reports(paging: Annotated[Paging, Query()]) -> Page[str]:
    return Page(items=[], next_cursor=None)


@router.get("/reports/{report_id}")
async def show_report(report_id: UUID) -> str:
    return str(report_id)


@router.get("/words/{words}")
async def show_words(words: Annotated[str, Text(10), Path()]) -> str:
    return words


@router.post("/form")
async def take_form(title: Annotated[str, Text(10), Form()], photo: Annotated[UploadFile | None, File()] = None) -> str:
    return title


@router.post("/fail/{how}")
async def fail(how: str, session: SessionDep) -> None:
    if how == "full":
        raise Full("come back later", retry_after_seconds=9)
    if how == "fields":
        raise Invalid("two things", fields=[FieldError("body.a", "is wrong"), FieldError("body.b", "is worse")])
    if how == "teapot":
        raise HTTPException(418, "short and stout")
    if how == "behind":
        raise CallRefused("points", 409, "secret_code", "secret words", (FieldError("body.secret", "is wrong"),))
    raise RuntimeError("secret words of the inside")


@pytest.fixture
async def client(shared: ToyTown) -> AsyncIterator[httpx2.AsyncClient]:
    if "sender" not in shared.apps:
        await shared.serve(service_of(router))
    async with shared.client("sender") as client:
        yield client


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that was answered; it must be one, whole and of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    jsonschema.validate(body, PROBLEM)
    assert set(body) == {"type", "title", "title_zh", "status", "code", "detail", "request_id", "errors"}
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:beiyuan:problem:{code}")
    assert body["title"]
    assert any("一" <= character <= "鿿" for character in body["title_zh"])
    assert body["request_id"] == answer.headers["X-Request-Id"]
    for inside in ("Traceback", "secret", ".py", "pydantic", "sqlalchemy"):
        assert inside not in answer.text
    return body


def names(answer: httpx2.Response) -> list[str]:
    return [error["name"] for error in problem(answer, 422, "invalid")["errors"]]


GOOD = {"kind": "lamp", "words": "路灯坏了"}


async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient) -> None:
    for path in (
        "/nowhere",
        "/api/sender/reports/",
        "/docs",
        "/api/sender/reports%2f",
        "/%00",
        "/%ff",
    ):
        problem(await client.get(path), 404, "not_found")


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/api/sender/form")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(client: httpx2.AsyncClient) -> None:
    large = json.dumps(GOOD | {"remark": "x" * (1 << 20)}).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    headers = {"Content-Type": "application/json"}
    for content in (large, in_pieces()):
        problem(await client.post("/api/sender/reports", content=content, headers=headers), 413, "content_too_large")
    lying = headers | {"Content-Length": "9" * 30}
    problem(await client.post("/api/sender/reports", content=b"{}", headers=lying), 413, "content_too_large")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"kind": lamp}',
        b"\xff\xfe",
        b'{"words": "\xe8\xb7"}',
        b'{"words": "x"} more',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"floor": ' + b"1" * 5000 + b"}",
        "路灯".encode("gb18030"),
    ],
)
async def test_a_body_that_is_no_json_is_a_400(client: httpx2.AsyncClient, content: bytes) -> None:
    answer = await client.post("/api/sender/reports", content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["code"] in {"malformed_json", "bad_request"}
    problem(answer, 400, answer.json()["code"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "bench"}, "body.kind"),
        ({"kind": None}, "body.kind"),
        ({"kind": 7}, "body.kind"),
        ({"words": 7}, "body.words"),
        ({"words": ""}, "body.words"),
        ({"words": " \n\t　 "}, "body.words"),
        ({"words": "\u200b\u200d\u2060\ufeff"}, "body.words"),
        ({"words": "\u200b \u00a0\n\u00ad\u180e"}, "body.words"),
        ({"words": "\u3164"}, "body.words"),
        ({"words": "\u2800\uffa0"}, "body.words"),
        ({"words": "\U000e0041\ufe0f\u034f"}, "body.words"),
        ({"words": "\u0301"}, "body.words"),
        ({"remark": "\u200b"}, "body.remark"),
        ({"words": "x" * 201}, "body.words"),
        ({"words": "nul \x00"}, "body.words"),
        ({"words": "escape \x1b[31m"}, "body.words"),
        ({"words": "bell \x07"}, "body.words"),
        ({"words": "C1 control \x9b"}, "body.words"),
        ({"words": "delete \x7f"}, "body.words"),
        ({"words": "right to left \u202e override"}, "body.words"),
        ({"words": "isolate \u2066"}, "body.words"),
        ({"words": "lone surrogate \ud800"}, "body.words"),
        ({"words": "\udfff"}, "body.words"),
        ({"floor": 101}, "body.floor"),
        ({"floor": 10**300}, "body.floor"),
        ({"floor": 1.5}, "body.floor"),
        ({"floor": True, "contact": {"name": "x"}}, "body.contact.phone"),
        ({"floor": float("nan")}, "body.floor"),
        ({"floor": float("inf")}, "body.floor"),
        ({"seen_on": "2026-02-30"}, "body.seen_on"),
        ({"place": "not-a-uuid"}, "body.place"),
        ({"place": "\ud800"}, "body.place"),
        ({"seen_on": "\udc00"}, "body.seen_on"),
        ({"kind": "\ud800"}, "body.kind"),
        ({"contact": {"name": "张三", "phone": "12"}}, "body.contact.phone"),
        ({"contact": {"name": "张三", "phone": "\ud800"}}, "body.contact.phone"),
        ({"contact": []}, "body.contact"),
        ({"tags": ["a", "b\x00"]}, "body.tags.1"),
        ({"tags": ["a"] * 4}, "body.tags"),
        ({"unknown": 1}, "body.unknown"),
        ({"contact": {"name": "张三", "phone": "13812341234", "more": 1}}, "body.contact.more"),
        ({"\ud800": 1}, "body"),
        ({"\x00": 1}, "body.\x00"),
        ({"x" * 1000: 1}, ("body." + "x" * 1000)[:200]),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    client: httpx2.AsyncClient, change: dict[str, Any], expected: str
) -> None:
    content = json.dumps(GOOD | change).encode()
    answer = await client.post("/api/sender/reports", content=content, headers={"Content-Type": "application/json"})
    assert expected in names(answer)


@pytest.mark.parametrize("content", [b"", b"null", b"7", b'"words"', b"[]", b"{}"])
async def test_a_body_that_is_no_object_or_misses_fields_is_named(client: httpx2.AsyncClient, content: bytes) -> None:
    answer = await client.post("/api/sender/reports", content=content, headers={"Content-Type": "application/json"})
    assert all(name.startswith("body") for name in names(answer))


async def test_a_body_of_another_kind_is_refused(client: httpx2.AsyncClient) -> None:
    for content_type in ("text/plain", "application/xml", "multipart/form-data", "nonsense", ""):
        answer = await client.post(
            "/api/sender/reports", content=json.dumps(GOOD).encode(), headers={"Content-Type": content_type}
        )
        assert answer.status_code in {400, 422}, content_type
        problem(answer, answer.status_code, answer.json()["code"])


async def test_broken_forms_are_refused(client: httpx2.AsyncClient) -> None:
    for content, content_type in (
        (b"rubbish", "multipart/form-data; boundary=x"),
        (b"rubbish", "multipart/form-data"),
        (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nhalf', "multipart/form-data; boundary=x"),
        (b"title=%ff%00", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
    ):
        headers = {"Content-Type": content_type, "Idempotency-Key": "form"}
        answer = await client.post("/api/sender/form", content=content, headers=headers)
        assert answer.status_code in {400, 422}, (content, content_type, answer.text)
        problem(answer, answer.status_code, answer.json()["code"])


async def test_many_faults_are_told_at_once_but_not_without_end(client: httpx2.AsyncClient) -> None:
    body = {f"unknown {number}": 1 for number in range(500)}
    assert len(names(await client.post("/api/sender/reports", json=body))) == 50


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/sender/reports?limit=0", "query.limit"),
        ("/api/sender/reports?limit=many", "query.limit"),
        ("/api/sender/reports?limit=" + "9" * 5000, "query.limit"),
        ("/api/sender/reports?state=bench", "query.state"),
        ("/api/sender/reports?state=%00", "query.state"),
        ("/api/sender/reports?colour=red", "query.colour"),
        ("/api/sender/reports?%ff=red", "query.\ufffd"),
        ("/api/sender/reports/not-a-uuid", "path.report_id"),
        ("/api/sender/reports/%00", "path.report_id"),
        ("/api/sender/words/a%00b", "path.words"),
        ("/api/sender/words/%E2%80%AE", "path.words"),
        ("/api/sender/words/12345678901", "path.words"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named(client: httpx2.AsyncClient, path: str, expected: str) -> None:
    assert names(await client.get(path)) == [expected]


@pytest.mark.parametrize(
    "words",
    [
        "早上好 👋🏽 👨‍👩‍👧‍👦 🇨🇳",
        "<script>alert('x')</script>",
        "'; DROP TABLE note; --",
        "100% {x} %s \\u0000 $1 :name",
        "two\nlines\tand a tab",
        "ｆｕｌｌ ｗｉｄｔｈ　空格",
        "𠮷野家 㐂 龘",
        "ไทย עברית العربية हिन्दी",
        "x" * 200,
        "字" * 200,
        "👋" * 200,
        "👨‍👩‍👧‍👦",
        "❤️",
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "می‌خواهم",
        "\ue000",  # how rare characters of names were written before Unicode had them
        "\U000323b0",  # of a Unicode newer than ours
    ],
)
async def test_whatever_people_write_is_taken_as_it_is(client: httpx2.AsyncClient, words: str) -> None:
    answer = await client.post("/api/sender/reports", json=GOOD | {"words": words})
    assert answer.status_code == 201
    assert answer.json()["words"] == words


async def test_text_is_tidied_at_its_ends_and_its_newlines(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/sender/reports", json=GOOD | {"words": "  one\r\ntwo\rthree \n　"})
    assert answer.json()["words"] == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("13812341234", "13812341234"),
        ("+86 138-1234-1234", "13812341234"),
        ("0086 138 1234 1234", "13812341234"),
        ("8613812341234", "13812341234"),
        ("(138) 1234 1234", "13812341234"),
        ("10012341234", "10012341234"),
        ("23812341234", None),
        ("1381234123", None),
        ("138123412345", None),
        ("+852 13812341234", None),
        ("１３８１２３４１２３４", None),
        ("1381234١234", None),
        ("13812341234; --", None),
        ("", None),
        ("1" * 50, None),
    ],
)
async def test_a_phone_is_one_number_however_it_is_written(
    client: httpx2.AsyncClient, phone: str, expected: str | None
) -> None:
    answer = await client.post("/api/sender/reports", json=GOOD | {"contact": {"name": "张三", "phone": phone}})
    if expected is None:
        assert names(answer) == ["body.contact.phone"]
    else:
        assert answer.json()["contact"]["phone"] == expected


async def test_a_refusal_says_what_and_which_fields_and_when_to_come_again(client: httpx2.AsyncClient) -> None:
    full = await client.post("/api/sender/fail/full")
    assert problem(full, 429, "full")["detail"] == "come back later"
    assert full.headers["Retry-After"] == "9"
    fields = problem(await client.post("/api/sender/fail/fields"), 422, "invalid")["errors"]
    assert fields == [{"name": "body.a", "reason": "is wrong"}, {"name": "body.b", "reason": "is worse"}]
    assert problem(await client.post("/api/sender/fail/teapot"), 418, "i'm_a_teapot")["detail"] == "short and stout"


async def test_what_another_service_refuses_us_is_not_told_as_if_the_caller_had_asked_it(
    client: httpx2.AsyncClient,
) -> None:
    for _ in range(2):  # and it is not kept under the key: once the two understand each other, it goes through
        answer = await client.post("/api/sender/fail/behind", headers={"Idempotency-Key": "behind"})
        body = problem(answer, 502, "bad_gateway")
        assert (body["detail"], body["errors"]) == ("", [])
        assert "Idempotency-Hit" not in answer.headers


async def test_a_fault_of_ours_tells_nothing(client: httpx2.AsyncClient) -> None:
    assert problem(await client.post("/api/sender/fail/badly"), 500, "internal_server_error")["detail"] == ""


async def test_what_people_sent_is_not_sent_back_to_them(client: httpx2.AsyncClient) -> None:
    body = GOOD | {"contact": {"name": "张三丰\x00", "phone": "1381234"}}
    answer = await client.post("/api/sender/reports", json=body)
    assert names(answer) == ["body.contact.name", "body.contact.phone"]
    assert "张三丰" not in answer.text
    assert "1381234" not in answer.text


# Who a request is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offered", ["0123456789abcdef", "a-b_c.d-12", "x" * 64])
async def test_a_request_keeps_the_id_that_it_came_with(client: httpx2.AsyncClient, offered: str) -> None:
    answer = await client.get("/nowhere", headers={"X-Request-Id": offered})
    assert problem(answer, 404, "not_found")["request_id"] == offered


@pytest.mark.parametrize("offered", ["", "short", "x" * 65, "spaces in it", "semi;colon", "<script>alert(1)</script>"])
async def test_an_id_that_is_not_well_formed_is_replaced(client: httpx2.AsyncClient, offered: str) -> None:
    answers = [await client.get("/nowhere", headers={"X-Request-Id": offered}) for _ in range(2)]
    ids = {problem(answer, 404, "not_found")["request_id"] for answer in answers}
    assert len(ids) == 2
    assert offered not in ids


async def test_service_and_database_say_how_they_are(client: httpx2.AsyncClient, shared: ToyTown) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ok", "database": "ok"}
    metrics = (await client.get("/metrics")).text
    assert 'beiyuan_requests_total{method="GET",route="/readyz",service="sender",status="200"} 1.0' in metrics
    await client.get("/api/sender/words/secret")
    metrics = (await client.get("/metrics")).text
    assert 'route="/api/sender/words/{words}"' in metrics
    assert "secret" not in metrics


async def test_a_service_without_its_tables_is_not_ready(shared: ToyTown, toys: ToyTown, toy_admin: Any) -> None:
    await toys.start("sender")
    toy_admin("DROP TABLE sender.alembic_version")
    async with toys.client("sender", actor()) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "database": "unavailable"})


async def test_the_api_document_says_what_every_route_may_answer(client: httpx2.AsyncClient, shared: ToyTown) -> None:
    document = shared.apps["sender"].openapi()
    assert "HTTPValidationError" not in json.dumps(document)
    post = document["paths"]["/api/sender/reports"]["post"]
    assert set(post["responses"]) == {"201", "400", "409", "413", "422", "429", "503"}
    assert "`full`: Full" in post["responses"]["429"]["description"]
    assert [parameter["name"] for parameter in post["parameters"]] == ["Idempotency-Key"]
    for status in ("400", "409", "413", "422", "429", "503"):
        [(media_type, content)] = post["responses"][status]["content"].items()
        assert (media_type, content["schema"]["$ref"]) == ("application/problem+json", "#/components/schemas/Problem")
    assert set(document["paths"]["/api/sender/reports"]["get"]["responses"]) == {"200", "422", "429", "503"}
    assert not [path for path in document["paths"] if path.startswith(("/internal", "/healthz", "/metrics"))]
