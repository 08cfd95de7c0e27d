"""Endpoints as merchants' managers see to them: whose they are, their secrets, and how they are doing."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.webhooks.terms import EventType
from tests.points.webhooks.conftest import NOON, Merchant, PostOffice, given_up
from tests.points.webhooks.test_sending import signatures, signed_by_hand
from tests.receiver import Receiver
from tests.town import actor

URL = "https://shop.example.org/hooks"
ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"description": "不是我的"}),
    ("DELETE", "", None),
    ("POST", "/rotate-secret", {}),
    ("POST", "/test", None),
    ("GET", "/deliveries", None),
    ("POST", "/deliveries/replay", {"since": NOON.isoformat()}),
    ("GET", f"/deliveries/{UUID(int=7)}", None),
    ("POST", f"/deliveries/{UUID(int=7)}/replay", None),
]


async def test_the_secret_is_answered_once_and_kept_sealed(office: PostOffice, merchant: Merchant) -> None:
    made = await merchant.endpoint(URL, "COUPON.USED", "BILL.READY", "COUPON.USED", description="收银系统")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert len(raw) == 32
    shown = await merchant.shown(made)
    assert shown == made
    assert (shown["state"], shown["event_types"]) == ("active", ["BILL.READY", "COUPON.USED"])
    listed = (await merchant.ask("GET", merchant_id=str(merchant.id))).json()["items"]
    assert listed == [shown]
    stored = (await office.secrets())[UUID(made["id"])]
    assert raw not in stored
    assert raw.hex().encode() not in stored


@pytest.mark.parametrize(
    ("method", "path", "body"), ROUTES, ids=[f"{method} {path[:20]}" for method, path, _ in ROUTES]
)
async def test_another_merchants_endpoints_are_as_if_there_were_none(
    office: PostOffice, merchant: Merchant, method: str, path: str, body: Any
) -> None:
    endpoint = await merchant.endpoint(URL)
    other = await office.merchant()
    answer = await other.ask(method, f"/{endpoint['id']}{path}", body)
    nothing = await other.ask(method, f"/{new_id()}{path}", body)
    assert answer.status_code == nothing.status_code == 404
    assert answer.json()["code"] == nothing.json()["code"] == "webhook_endpoint_not_found"
    assert await merchant.shown(endpoint) == {name: value for name, value in endpoint.items() if name != "secret"}


async def test_a_manager_neither_sees_nor_makes_endpoints_of_another_merchant(
    office: PostOffice, merchant: Merchant
) -> None:
    other = await office.merchant()
    seen = await other.ask("GET", merchant_id=str(merchant.id))
    made = await other.ask("POST", body={"merchant_id": str(merchant.id), "url": URL})
    assert [seen.status_code, made.status_code] == [404, 404]
    assert (await merchant.ask("GET", merchant_id=str(merchant.id))).json()["items"] == []


async def test_administrators_see_to_every_merchant_and_auditors_look(office: PostOffice, merchant: Merchant) -> None:
    administrator, auditor = actor("administrator"), actor("auditor")
    made = await office.ask(administrator, "POST", body={"merchant_id": str(merchant.id), "url": URL})
    assert made.status_code == 201, made.text
    endpoint = made.json()
    for who in (administrator, auditor):
        listed = (await office.ask(who, "GET", merchant_id=str(merchant.id))).json()["items"]
        assert [each["id"] for each in listed] == [endpoint["id"]]
        assert "secret" not in listed[0]
        assert (await office.ask(who, "GET", f"/{endpoint['id']}/deliveries")).status_code == 200
    assert (await office.ask(auditor, "POST", f"/{endpoint['id']}/rotate-secret", {})).status_code == 403
    nobody = {"merchant_id": str(new_id()), "url": URL}
    assert (await office.ask(administrator, "POST", body=nobody)).json()["code"] == "merchant_not_found"


async def test_a_merchant_has_five_endpoints_at_most_however_many_are_asked_for_at_once(merchant: Merchant) -> None:
    body = {"merchant_id": str(merchant.id), "url": URL}
    answers = await asyncio.gather(*[merchant.ask("POST", body=body) for _ in range(8)])
    assert sorted(answer.status_code for answer in answers) == 5 * [201] + 3 * [409]
    listed = (await merchant.ask("GET", merchant_id=str(merchant.id))).json()["items"]
    await merchant.ask("DELETE", f"/{listed[0]['id']}")
    assert (await merchant.ask("POST", body=body)).status_code == 201, "what was removed does not count"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://shop.example.org/"}, "body.url"),
        ({"url": "https://name:secret@shop.example.org/"}, "body.url"),
        ({"url": ""}, "body.url"),
        ({"event_types": ["COUPON.LOST"]}, "body.event_types.0"),
        ({"description": 201 * "长"}, "body.description"),
        ({"state": "disabled"}, "body.state"),
        ({"secret": "whsec_AAAA"}, "body.secret"),
    ],
    ids=lambda each: each if isinstance(each, str) else next(iter(each)),
)
async def test_what_cannot_be_meant_is_refused_by_its_field(
    merchant: Merchant, change: dict[str, Any], field: str
) -> None:
    endpoint = await merchant.endpoint(URL)
    answer = await merchant.ask("PATCH", f"/{endpoint['id']}", change)
    assert answer.status_code == 422
    assert [each["name"] for each in answer.json()["errors"]] == [field]


async def test_a_paused_endpoint_misses_what_happens_and_goes_on_with_what_waited(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint("http://127.0.0.1:1/nobody")
    await office.announce(merchant.told(number=1))
    assert (await merchant.ask("PATCH", f"/{endpoint['id']}", {"state": "paused"})).json()["state"] == "paused"
    await office.announce(merchant.told(number=2))
    await office.send()
    assert (await merchant.shown(endpoint))["tried_at"] is None
    changed = await merchant.ask("PATCH", f"/{endpoint['id']}", {"state": "active", "url": receiver.url("/new")})
    assert changed.json()["url"] == receiver.url("/new")
    await office.send()
    assert [(request.target, b'"number":1' in request.body) for request in receiver.received] == [("/new", True)]


async def test_a_removed_endpoint_is_gone_with_its_secret_and_what_waited_for_it(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    await office.announce(merchant.told())
    assert (await merchant.ask("DELETE", f"/{endpoint['id']}")).status_code == 204
    await office.announce(merchant.told())
    await office.send()
    assert receiver.received == []
    assert (await merchant.ask("GET", f"/{endpoint['id']}")).status_code == 404
    assert (await merchant.ask("GET", merchant_id=str(merchant.id))).json()["items"] == []
    assert (await office.secrets())[UUID(endpoint["id"])] is None


async def test_for_the_overlap_both_secrets_sign_and_then_the_new_one_alone(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        rotated = (await merchant.ask("POST", f"/{endpoint['id']}/rotate-secret", {"overlap_hours": 2})).json()
        old, new = endpoint["secret"], rotated["secret"]
        assert datetime.fromisoformat(rotated["old_secret_until"]) == NOON + timedelta(hours=2)
        await office.announce(merchant.told())
        await office.send()
    with clock.frozen(NOON + timedelta(hours=2)):
        await office.announce(merchant.told())
        await office.send()
    during, after = receiver.received
    assert signatures(during) == [signed_by_hand(during, new), signed_by_hand(during, old)]
    assert signatures(after) == [signed_by_hand(after, new)]


async def test_a_secret_that_others_know_signs_no_more_at_once(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    second = (await merchant.ask("POST", f"/{endpoint['id']}/rotate-secret", {})).json()
    third = (await merchant.ask("POST", f"/{endpoint['id']}/rotate-secret", {"overlap_hours": 0})).json()
    await office.announce(merchant.told())
    await office.send()
    [request] = receiver.received
    assert signatures(request) == [signed_by_hand(request, third["secret"])]
    assert len({endpoint["secret"], second["secret"], third["secret"]}) == 3
    assert third["old_secret_until"] is None


async def test_a_test_is_sent_to_one_endpoint_whatever_it_chose(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url("/one"), "BILL.READY")
    await merchant.endpoint(receiver.url("/other"))
    answer = await merchant.ask("POST", f"/{endpoint['id']}/test")
    assert (answer.status_code, answer.json()["event_type"], answer.json()["tries"]) == (202, "TEST", [])
    await office.send()
    assert [request.target for request in receiver.received] == ["/one"]
    delivery = await merchant.delivery(endpoint)
    assert (delivery["state"], delivery["tries"][0]["status"]) == ("delivered", 204)
    assert delivery["resource"] == {"endpoint_id": endpoint["id"]}
    await merchant.ask("PATCH", f"/{endpoint['id']}", {"state": "paused"})
    assert (await merchant.ask("POST", f"/{endpoint['id']}/test")).json()["code"] == "webhook_endpoint_inactive"


async def test_a_merchant_has_no_more_than_ten_tests_a_minute_sent_wherever_they_go(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoints = [(await merchant.endpoint(receiver.url()))["id"] for _ in range(2)]
    with clock.frozen(NOON):
        answers = await asyncio.gather(*[merchant.ask("POST", f"/{endpoints[n % 2]}/test") for n in range(12)])
    assert sorted(answer.status_code for answer in answers) == 10 * [202] + 2 * [429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("too_many_webhook_tests", "60")
    await office.send_at(NOON)
    assert len(receiver.received) == 10
    other = await office.merchant()
    its_own = (await other.endpoint(receiver.url()))["id"]
    with clock.frozen(NOON + timedelta(seconds=59.5)):
        late = await merchant.ask("POST", f"/{endpoints[0]}/test")
        assert (late.status_code, late.headers["Retry-After"]) == (429, "1")
        assert (await other.ask("POST", f"/{its_own}/test")).status_code == 202
    with clock.frozen(NOON + timedelta(seconds=60)):
        assert (await merchant.ask("POST", f"/{endpoints[0]}/test")).status_code == 202


async def test_an_endpoint_that_takes_nothing_is_disabled_and_its_merchant_is_told_elsewhere(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    async with Receiver() as broken:
        broken.say(500)
        with clock.frozen(NOON):
            dead = await merchant.endpoint(broken.url(), "COUPON.USED")
            await merchant.endpoint(receiver.url(), "ENDPOINT.DISABLED")
            await office.announce(*[merchant.told(number=number) for number in range(2)])
        at = NOON + timedelta(days=1)
        await office.send_at(NOON)
        await given_up(office, dead, at)
        shown = await merchant.shown(dead)
        assert (shown["state"], shown["given_up"]) == ("active", 2)
        with clock.frozen(at):
            await office.announce(merchant.told(number=3), merchant.told(number=4))
        await given_up(office, dead, at)
        shown = await merchant.shown(dead)
        assert (shown["state"], shown["given_up"], shown["pending"]) == ("disabled", 4, 0)
        assert datetime.fromisoformat(shown["failing_since"]) == NOON
        tried = len(broken.received)
        await office.send_at(at)
        [told] = receiver.received
        assert b'"ENDPOINT.DISABLED"' in told.body
        assert dead["id"].encode() in told.body
        with clock.frozen(at):
            await office.announce(merchant.told(number=5))
            assert (await merchant.ask("POST", f"/{dead['id']}/test")).status_code == 409
            again = (await merchant.ask("PATCH", f"/{dead['id']}", {"state": "active"})).json()
            assert (again["state"], again["given_up"], again["disabled_at"]) == ("active", 0, None)
            broken.say(200)
            await office.announce(merchant.told(number=6))
        await office.send_at(at)
        assert [b'"number":6' in request.body for request in broken.received[tried:]] == [True]


async def test_one_thing_taken_in_between_shows_that_an_endpoint_lives(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.answers = lambda request: b"HTTP/1.1 %d Told\r\n\r\n" % (204 if b'"good"' in request.body else 500)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        for kinds in (["bad", "bad"], ["good"], ["bad", "bad"]):
            await office.announce(*[merchant.told(kind=kind) for kind in kinds])
            await given_up(office, endpoint, NOON)
    shown = await merchant.shown(endpoint)
    assert (shown["state"], shown["given_up"]) == ("active", 2)


def test_every_event_is_one_that_merchants_were_promised() -> None:
    assert {each.value for each in EventType} == {
        *("COUPON.USED", "COUPON.RETURNED", "BILL.READY", "ENDPOINT.DISABLED", "TEST"),
        *("KEY.ADDED", "KEY.REVOKED", "KEY.EXPIRING"),
        *("STATEMENT.DRAFTED", "STATEMENT.CONFIRMED", "STATEMENT.PAID"),
    }
