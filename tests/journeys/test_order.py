"""A code is scanned, a report is handled, and 35 points arrive, once."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.journeys.running import Running, eventually


def photo() -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.effect_noise((320, 240), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def upload(client: httpx2.Client) -> str:
    """A photo's id."""
    answer = client.post("/api/orders/photos", files={"file": ("a.jpg", photo(), "image/jpeg")})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def a_property_code(running: Running) -> dict[str, Any]:
    """A QR code of a building that has a property company with handlers."""
    companies = {item["organisation"] for item in running.town["accounts"] if item["role"] == "handler"}
    return next(
        code
        for code in running.town["qr_codes"]
        if code["kind"] == "building" and code["property_company"] in companies
    )


def report(running: Running, code: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Report a leaking roof at this code, from a phone that has not been used before."""
    with running.client() as client:
        body = {
            "qr_code": code["code"],
            "subitem_code": "H0101",
            "description": "楼顶漏雨，雨水流到楼道里 😟 <b>急</b>",
            "contact": {"name": "钱测试", "phone": running.new_phone()},
            "photos": [upload(client)],
        }
        answer = client.post("/api/orders/reports", json=body | more)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def balance(client: httpx2.Client) -> int:
    """The signed-in person's staff points."""
    answer = client.get("/api/points/accounts", params={"owner": "me", "ledger": "staff"})
    assert answer.status_code == 200, answer.text
    return sum(item["balance"] for item in answer.json()["items"])


def act(client: httpx2.Client, order: dict[str, Any], step: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    """Take a step with the order."""
    return client.post(f"/api/orders/{order['id']}/{step}", json=body or {})


def handle(client: httpx2.Client, order: dict[str, Any], *, mode: str = "on_site") -> None:
    """From the pool to resolved."""
    assert act(client, order, "claim").status_code == 200
    assert act(client, order, "meet", {"mode": mode, "note": "见到住户，已查看现场"}).status_code == 200
    assert act(client, order, "start").status_code == 200
    answer = act(client, order, "resolve", {"note": "已更换防水层", "photos": [upload(client)]})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def code(running: Running) -> dict[str, Any]:
    return a_property_code(running)


@pytest.fixture
def handlers(running: Running, code: dict[str, Any]) -> Iterator[list[httpx2.Client]]:
    """Two handlers of the company that serves the code's building."""
    phones = [running.account("handler", code["property_company"], skip=number)["phone"] for number in (0, 1)]
    with running.signed_in(phones[0]) as first, running.signed_in(phones[1]) as second:
        yield [first, second]


@pytest.fixture
def agent(running: Running) -> Iterator[httpx2.Client]:
    """A callback agent of the subdistrict."""
    found = [item for item in running.town["accounts"] if item["role"] == "callback_agent"]
    chosen = next((item for item in found if item["level"] == "subdistrict"), found[0])
    with running.signed_in(chosen["phone"]) as client:
        yield client


CONTENT = {"contacted": True, "solved": True, "satisfied": "satisfied"}


def test_a_handled_order_brings_its_handler_35_points_once(
    running: Running, code: dict[str, Any], handlers: list[httpx2.Client], agent: httpx2.Client
) -> None:
    handler, other = handlers
    before = balance(handler)
    order = report(running, code)
    assert order["state"] == "pooled"
    pool = handler.get("/api/orders", params={"state": "pooled"}).json()["items"]
    assert order["id"] in {item["id"] for item in pool}

    assert act(handler, order, "claim").status_code == 200
    late = act(other, order, "claim")
    assert (late.status_code, late.json()["code"]) == (409, "order_already_claimed")
    assert act(handler, order, "meet", {"mode": "on_site", "note": "已到现场"}).status_code == 200
    assert act(handler, order, "start").status_code == 200
    bare = act(handler, order, "resolve", {"note": "修好了", "photos": []})
    assert (bare.status_code, bare.json()["errors"][0]["name"]) == (422, "body.photos")
    assert act(handler, order, "resolve", {"note": "修好了", "photos": [upload(handler)]}).status_code == 200
    assert act(handler, order, "callback", CONTENT).status_code == 403
    closed = act(agent, order, "callback", CONTENT)
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")

    eventually(lambda: balance(handler) == before + 35)
    [account] = handler.get("/api/points/accounts", params={"owner": "me", "ledger": "staff"}).json()["items"]
    entries = handler.get(f"/api/points/accounts/{account['id']}/entries").json()["items"]
    mine = [item for item in entries if item["order"] and item["order"]["id"] == order["id"]]
    assert sorted((item["amount"], item["rule"]["code"]) for item in mine) == [
        (2, "order.claim"),
        (3, "order.meet"),
        (10, "order.base"),
        (20, "order.double_yes"),
    ]
    assert {item["rule"]["version"] for item in mine} == {1}
    assert act(agent, order, "callback", CONTENT).status_code == 409
    assert balance(handler) == before + 35

    with running.client() as resident:
        token = order["tracking_url"].rsplit("/", 1)[1]
        seen = resident.get(f"/api/orders/track/{token}")
        assert seen.json()["state"] == "closed"
        staff = handler.get("/api/identity/me").json()
        page = resident.get(f"/t/{token}")
        for text in (seen.text, page.text):
            assert staff["name"] not in text
            assert staff["id"] not in text
        assert "<b>急</b>" not in page.text
        assert "&lt;b&gt;急&lt;/b&gt;" in page.text


@pytest.mark.parametrize(("mode", "satisfied", "points"), [("phone", "satisfied", 32), ("on_site", "fairly", 15)])
def test_what_was_not_done_is_not_paid(
    running: Running,
    code: dict[str, Any],
    handlers: list[httpx2.Client],
    agent: httpx2.Client,
    mode: str,
    satisfied: str,
    points: int,
) -> None:
    handler, _ = handlers
    before = balance(handler)
    order = report(running, code)
    handle(handler, order, mode=mode)
    assert act(agent, order, "callback", CONTENT | {"satisfied": satisfied}).json()["state"] == "closed"
    eventually(lambda: balance(handler) == before + points)


def test_released_and_claimed_by_another_each_gets_what_is_theirs(
    running: Running, code: dict[str, Any], handlers: list[httpx2.Client], agent: httpx2.Client
) -> None:
    first, second = handlers
    before = balance(first), balance(second)
    order = report(running, code)
    assert act(first, order, "claim").status_code == 200
    assert act(first, order, "release", {"reason": "人手不足"}).status_code == 200
    handle(second, order)
    assert act(agent, order, "callback", CONTENT).status_code == 200
    eventually(lambda: balance(second) == before[1] + 35)
    assert balance(first) == before[0]


def test_an_unsolved_report_goes_back_to_work_and_pays_once_in_the_end(
    running: Running, code: dict[str, Any], handlers: list[httpx2.Client], agent: httpx2.Client
) -> None:
    handler, _ = handlers
    before = balance(handler)
    order = report(running, code)
    handle(handler, order)
    back = act(agent, order, "callback", CONTENT | {"solved": False, "satisfied": "dissatisfied"})
    assert back.json()["state"] == "in_progress"
    assert act(handler, order, "resolve", {"note": "返工", "photos": [upload(handler)]}).status_code == 200
    assert act(agent, order, "callback", CONTENT).json()["state"] == "closed"
    eventually(lambda: balance(handler) == before + 35)


def test_of_fifty_handlers_who_claim_at_once_one_gets_the_order(running: Running) -> None:
    by_company: dict[str, list[str]] = {}
    for item in running.town["accounts"]:
        if item["role"] == "handler" and item["level"] == "property":
            by_company.setdefault(item["organisation"], []).append(item["phone"])
    company, phones = next((name, phones) for name, phones in by_company.items() if len(phones) >= 50)
    code = next(code for code in running.town["qr_codes"] if code["property_company"] == company)
    order = report(running, code)
    with ThreadPoolExecutor(50) as pool, ExitStack() as stack:
        clients = list(pool.map(running.signed_in, phones[:50]))
        for client in clients:
            stack.enter_context(client)
        answers = list(pool.map(lambda client: act(client, order, "claim"), clients))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"order_already_claimed"}


def test_a_report_by_the_page_needs_no_account_and_is_followed_by_its_private_link(
    running: Running, code: dict[str, Any]
) -> None:
    with running.client() as phone:
        page = phone.get(f"/q/{code['code']}")
        assert page.status_code == 200
        sent = phone.post(
            f"/q/{code['code']}",
            data={"subitem": "H0101", "description": "楼顶漏雨", "phone": "10099887766", "name": "孙测试"},
            files={"photos": ("a.jpg", photo(), "image/jpeg")},
        )
        assert sent.status_code == 303, sent.text
        assert sent.headers["Location"].startswith("/t/")
        followed = phone.get(sent.headers["Location"])
        assert followed.status_code == 200
        assert "楼顶漏雨" in followed.text
        assert followed.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in followed.headers["Cache-Control"]
        assert "10099887766" not in followed.text
