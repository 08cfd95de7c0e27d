"""Bad input gets a clear error that names the field, and changes nothing; never a server error."""

import json
from typing import Any

import pytest

from tests.orders.neighbourhood import Neighbourhood
from tests.town import actor, new_phone

LONG = "长" * 2001
NASTY = ["nul \0 in it", "lone \ud800 surrogate", "bell \x07", "turned \u202e round", "", " ", LONG, 5, True, None, []]


def report(hood: Neighbourhood, **over: Any) -> dict[str, Any]:
    return {"qr_code": hood.code, "subitem_code": "P0104", "description": "门坏了"} | over


async def fields(hood: Neighbourhood, path: str, body: Any, who: Any = None, status: int = 422) -> list[str]:
    async with hood.client(who) as client:
        answer = await client.post(
            f"/api/orders{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == status, (body, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["name"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("bad", NASTY, ids=lambda value: repr(value)[:20])
async def test_text_that_no_person_types_is_refused_by_field(hood: Neighbourhood, bad: Any) -> None:
    assert await fields(hood, "/reports", report(hood, description=bad)) == ["body.description"]
    if bad is not None:
        assert await fields(hood, "/reports", report(hood, contact={"name": bad})) == ["body.contact.name"]
        assert await fields(hood, "/reports", report(hood, contact={"phone": bad})) == ["body.contact.phone"]
    assert await fields(hood, "/reports", report(hood, qr_code=bad)) == ["body.qr_code"]
    assert await fields(hood, "/reports", report(hood, subitem_code=bad)) == ["body.subitem_code"]
    assert (await hood.get("", hood.auditor, community=hood.community)).json()["items"] == []


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"surprise": 1}, ["body.surprise"]),
        ({"contact": {"name": "张三", "fax": "1"}}, ["body.contact.fax"]),
        ({"contact": {"phone": "12345"}}, ["body.contact.phone"]),
        ({"contact": {"phone": "２３８１２３４１２３４"}}, ["body.contact.phone"]),
        ({"contact": "张三"}, ["body.contact"]),
        ({"photos": ["x"]}, ["body.photos.0"]),
        ({"photos": [7]}, ["body.photos.0"]),
        ({"photos": "x"}, ["body.photos"]),
        ({"visit": {"from": "tomorrow", "to": "later"}}, ["body.visit.from", "body.visit.to"]),
        ({"visit": {"from": 10**400, "to": -(10**400)}}, ["body.visit.from", "body.visit.to"]),
        ({"visit": {}}, ["body.visit.from", "body.visit.to"]),
        (
            {"visit": {"from_": "2026-11-25T14:00:00Z", "to": "2026-11-25T15:00:00Z"}},
            ["body.visit.from", "body.visit.from_"],
        ),
        ({"source": "hotline"}, ["body.source"]),
        ({"subitem_code": "P9999"}, ["body.subitem_code"]),
        ({"subitem_code": "' OR 1=1 --"}, ["body.subitem_code"]),
    ],
)
async def test_a_report_that_is_not_well_formed_names_what_is_wrong(
    hood: Neighbourhood, over: dict[str, Any], expected: list[str]
) -> None:
    assert await fields(hood, "/reports", report(hood, **over)) == expected


@pytest.mark.parametrize("body", [None, [], "x", 5, {}])
async def test_a_body_that_is_no_report_is_refused(hood: Neighbourhood, body: Any) -> None:
    assert await fields(hood, "/reports", body)


async def test_a_body_that_is_not_json_is_a_bad_request(hood: Neighbourhood) -> None:
    async with hood.client() as client:
        for content in (b"{", b"\xff\xfe", b'{"a": NaN'):
            answer = await client.post(
                "/api/orders/reports", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400, answer.text


async def test_what_looks_like_code_is_kept_as_the_words_it_is(hood: Neighbourhood) -> None:
    words = "<script>alert(1)</script> '; DROP TABLE report; -- 🛗👩‍🦽 {{7*7}} %s \\u0000"
    made = await hood.report(description=words, contact={"name": "O'Brien <b>", "phone": new_phone()})
    assert (await hood.track(made))["description"] == words
    await hood.act(made, "claim", hood.handler)
    assert (await hood.get(f"/{made['id']}/contact", hood.handler)).json()["name"] == "O'Brien <b>"


ACTIONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("claim", "handler", {"x": 1}, "body.x"),
    ("release", "handler", {}, "body.reason"),
    ("release", "handler", {"reason": "\0"}, "body.reason"),
    ("release", "handler", {"reason": "长" * 501}, "body.reason"),
    ("meet", "handler", {}, "body.mode"),
    ("meet", "handler", {"mode": "by_pigeon"}, "body.mode"),
    ("start", "handler", {"reason": 5}, "body.reason"),
    ("start", "handler", {"when": "now"}, "body.when"),
    ("resolve", "handler", {"note": "好"}, "body.photos"),
    ("resolve", "handler", {"note": "好", "photos": [None]}, "body.photos.0"),
    ("callback", "agent", {}, "body.contacted"),
    ("callback", "agent", {"contacted": None}, "body.contacted"),
    ("review", "supervisor", {"decision": "maybe", "note": "好"}, "body.decision"),
    ("pool", "subdistrict_dispatcher", {"unit_id": "x"}, "body.unit_id"),
]


@pytest.mark.parametrize(("action", "who", "body", "field"), ACTIONS)
async def test_actions_name_the_field_that_is_wrong(
    hood: Neighbourhood, action: str, who: str, body: dict[str, Any], field: str
) -> None:
    made = await hood.report()
    before = await hood.detail(made)
    assert await fields(hood, f"/{made['id']}/{action}", body, getattr(hood, who)) == [field]
    assert await hood.detail(made) == before


LINK_ACTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("additions", {}, "body.text"),
    ("additions", {"text": LONG}, "body.text"),
    ("additions", {"text": "好", "photos": ["x"]}, "body.photos.0"),
    ("callback", {"solved": True}, "body.satisfied"),
    ("callback", {"solved": "true", "satisfied": "satisfied"}, "body.solved"),
    ("withdraw", {}, "body.reason"),
    ("settled", {"x": 1}, "body.x"),
]


@pytest.mark.parametrize(("action", "body", "field"), LINK_ACTIONS)
async def test_so_do_actions_through_the_link(
    hood: Neighbourhood, action: str, body: dict[str, Any], field: str
) -> None:
    made = await hood.report()
    assert await fields(hood, f"/track/{made['token']}/{action}", body) == [field]


@pytest.mark.parametrize("bad", ["x", "0", "..%2f", "%00", "00000000-0000-0000-0000-00000000000g"])
async def test_an_id_that_is_none_names_the_path(hood: Neighbourhood, bad: str) -> None:
    for path in (f"/{bad}", f"/{bad}/contact", f"/photos/{bad}"):
        answer = await hood.get(path, hood.handler)
        assert answer.status_code in {404, 422}, (path, answer.text)
    answer = await hood.get(f"/places/{bad}")
    assert answer.status_code in {404, 422}


async def test_an_id_that_names_nothing_is_not_found_whatever_the_action(hood: Neighbourhood) -> None:
    nothing = {"id": "00000000-0000-4000-8000-000000000000"}
    bodies: dict[str, tuple[Any, dict[str, Any]]] = {
        "claim": (hood.handler, {}),
        "release": (hood.handler, {"reason": "不"}),
        "meet": (hood.handler, {"mode": "on_site"}),
        "start": (hood.handler, {}),
        "resolve": (hood.handler, {"note": "好", "photos": [nothing["id"]]}),
        "callback": (hood.agent, {"contacted": False}),
        "review": (hood.supervisor, {"decision": "back", "note": "好"}),
        "pool": (hood.subdistrict_dispatcher, {"unit_id": str(hood.company)}),
    }
    for action, (who, body) in bodies.items():
        answer = await hood.post(f"/{nothing['id']}/{action}", body, who)
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found"), action
    for path in ("", "/contact"):
        assert (await hood.get(f"/{nothing['id']}{path}", hood.handler)).status_code == 404
    assert (await hood.get(f"/photos/{nothing['id']}", hood.handler)).status_code == 404


async def test_a_token_that_is_not_valid_is_refused_even_where_none_is_needed(hood: Neighbourhood) -> None:
    async with hood.client() as client:
        client.headers["Authorization"] = "Bearer nonsense"
        answer = await client.post("/api/orders/reports", json=report(hood))
    assert answer.status_code == 401


async def test_staff_without_an_organisation_are_nobodys(hood: Neighbourhood) -> None:
    made = await hood.resolved()
    lost = actor("handler", "dispatcher", "supervisor", "callback_agent")
    for action, body in (
        ("claim", {}),
        ("callback", {"contacted": False}),
        ("review", {"decision": "back", "note": "好"}),
        ("pool", {"unit_id": str(hood.company)}),
    ):
        assert (await hood.post(f"/{made['id']}/{action}", body, lost)).status_code == 404, action
    assert (await hood.get("", lost)).json()["items"] == []
