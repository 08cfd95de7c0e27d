"""What a merchant's server receives, when, and how it knows that it is from us."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.webhooks.actions import remove_endpoint, rotate_secret
from services.points.webhooks.announcing import announce
from services.points.webhooks.jobs import send_webhooks
from tests import openssl
from tests.points.webhooks.conftest import NOON, Merchant, PostOffice
from tests.receiver import Received, Receiver, answer

SECONDS = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]
"""From one try to the next, as it is promised to merchants."""


def signatures(request: Received) -> list[bytes]:
    return [base64.b64decode(each.removeprefix("v1,")) for each in request.headers["webhook-signature"].split(" ")]


def signed_by_hand(request: Received, secret: str) -> bytes:
    """The signature by the specification's words, without the library."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    by_python = hmac.new(key, signed, hashlib.sha256).digest()
    assert by_python == openssl.hmac_sha256(key, signed)
    return by_python


async def test_what_arrives_is_signed_and_says_what_happened(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url("/hooks?shop=1"))
        await office.announce(merchant.told(store_id="门店-1", used_at=NOON, day=NOON.date(), person=None, fen=1500))
    await office.send_at(NOON + timedelta(seconds=7))
    [request] = receiver.received
    body = json.loads(request.body)
    assert body == {
        "id": request.headers["webhook-id"],
        "create_time": "2026-03-05T12:00:00+08:00",
        "event_type": "COUPON.USED",
        "resource": {
            "coupon_id": "12345678901234",
            "store_id": "门店-1",
            "used_at": "2026-03-05T12:00:00+08:00",
            "day": "2026-03-05",
            "person": None,
            "fen": 1500,
        },
    }
    assert request.target == "/hooks?shop=1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-timestamp"] == str(int(NOON.timestamp()) + 7)
    assert signatures(request) == [signed_by_hand(request, endpoint["secret"])]


async def test_the_library_of_a_receiver_believes_it_and_nothing_that_was_altered(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    await office.announce(merchant.told())
    await office.send()
    [request] = receiver.received
    assert Webhook(endpoint["secret"]).verify(request.body, request.headers) == json.loads(request.body)
    for body, headers in (
        (request.body.replace(b"USED", b"LOST"), request.headers),
        (request.body, request.headers | {"webhook-id": str(new_id())}),
        (request.body, request.headers | {"webhook-timestamp": str(int(request.headers["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(endpoint["secret"]).verify(body, headers)


async def test_what_was_undone_is_told_to_nobody(office: PostOffice, merchant: Merchant, receiver: Receiver) -> None:
    await merchant.endpoint(receiver.url())
    async with office.db.sessions() as session:
        await announce(session, [merchant.told()])
        await session.rollback()
    await office.send()
    assert receiver.received == []


async def test_each_endpoint_is_told_of_its_own_merchants_events_that_it_chose(
    office: PostOffice, receiver: Receiver
) -> None:
    one, other, silent = [await office.merchant() for _ in range(3)]
    await one.endpoint(receiver.url("/all"))
    await one.endpoint(receiver.url("/bills"), "BILL.READY", "STATEMENT.PAID")
    await other.endpoint(receiver.url("/other"))
    await office.announce(
        *[one.told("COUPON.USED", number=number) for number in range(3)],
        one.told("BILL.READY"),
        other.told("COUPON.RETURNED"),
        silent.told("COUPON.USED"),
    )
    await office.send()
    told = sorted((request.target, json.loads(request.body)["event_type"]) for request in receiver.received)
    assert told == [
        ("/all", "BILL.READY"),
        *3 * [("/all", "COUPON.USED")],
        ("/bills", "BILL.READY"),
        ("/other", "COUPON.RETURNED"),
    ]
    by_id = {json.loads(request.body)["id"] for request in receiver.received}
    assert len(by_id) == 5  # the bill is one event, told at two places


async def test_a_webhook_is_tried_sixteen_times_with_the_promised_pauses_and_then_given_up(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.say(500)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
    at = NOON
    for number, pause in enumerate(SECONDS, start=1):
        await office.send_at(at)
        assert len(receiver.received) == number
        [shown] = await merchant.log(endpoint)
        due = at + timedelta(seconds=pause)
        assert (shown["state"], datetime.fromisoformat(shown["next_attempt_at"])) == ("pending", due)
        await office.send_at(due - timedelta(seconds=1))
        assert len(receiver.received) == number, "not before its time"
        at = due
    await office.send_at(at)
    await office.send_at(at + timedelta(days=20))
    assert len(receiver.received) == 16
    delivery = await merchant.delivery(endpoint)
    assert (delivery["state"], delivery["next_attempt_at"], delivery["attempts"]) == ("failed", None, 16)
    assert [(each["status"], each["failure"]) for each in delivery["tries"]] == 16 * [(500, "status")]
    assert len({request.body for request in receiver.received}) == 1
    assert len({request.headers["webhook-signature"] for request in receiver.received}) == 16


async def test_a_webhook_that_is_taken_at_last_is_not_sent_again(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.say(503, 200)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
    for seconds in (0, 15, 30, 60, 7200):
        await office.send_at(NOON + timedelta(seconds=seconds))
    delivery = await merchant.delivery(endpoint)
    assert [each["status"] for each in delivery["tries"]] == [503, 200]
    assert delivery["state"] == "delivered"
    assert datetime.fromisoformat(delivery["delivered_at"]) == NOON + timedelta(seconds=15)
    shown = await merchant.shown(endpoint)
    assert (shown["failing_since"], shown["given_up"], shown["pending"]) == (None, 0, 0)


async def test_a_redirect_is_a_failure_and_leads_nowhere(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    async with Receiver() as elsewhere:
        receiver.answers = lambda _: answer(308, f"Location: {elsewhere.url()}")
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
        await office.send()
        assert (len(receiver.received), elsewhere.connections) == (1, 0)
    [each] = (await merchant.delivery(endpoint))["tries"]
    assert (each["status"], each["failure"]) == (308, "status")


async def test_an_endpoint_that_does_not_answer_is_not_waited_for(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.answers = lambda _: None
    endpoint = await merchant.endpoint(receiver.url())
    await office.announce(merchant.told())
    with clock.frozen(clock.now()):
        await office.courier(timeout_seconds=0.3).send_all()
    [each] = (await merchant.delivery(endpoint))["tries"]
    assert (each["status"], each["failure"]) == (None, "timeout")


async def test_an_endpoint_that_hangs_keeps_no_other_waiting(office: PostOffice, receiver: Receiver) -> None:
    slow, quick = [await office.merchant() for _ in range(2)]
    async with Receiver() as hanging:
        hanging.answers = lambda _: None
        await slow.endpoint(hanging.url())
        await office.announce(*[slow.told(number=number) for number in range(20)])
        courier = office.courier()
        assert await courier.set_out() == 1
        async with asyncio.timeout(60):
            await hanging.arrived.wait()
        endpoint = await quick.endpoint(receiver.url())
        await office.announce(quick.told())
        assert await courier.set_out() == 1, "the one that hangs has its hands full"
        await courier.wait(60)
        assert (await quick.delivery(endpoint))["state"] == "delivered"
        assert len(receiver.received) == 1
        await courier.stop()


async def test_what_a_process_had_taken_up_when_it_died_is_sent_by_another_under_the_same_id(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    dying = office.courier()
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
        receiver.answers = lambda _: None
        await dying.set_out()
        async with asyncio.timeout(60):
            await receiver.arrived.wait()
        await dying.stop()
    receiver.say(200)
    await office.send_at(NOON + timedelta(seconds=59))
    assert len(receiver.received) == 1, "whoever took it up may still be at it"
    await office.send_at(NOON + timedelta(seconds=60))
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert (await merchant.delivery(endpoint))["attempts"] == 1


async def test_who_comes_back_after_another_has_taken_over_changes_nothing(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    late = office.courier()
    receiver.say(500, 503)
    receiver.gate, gate = asyncio.Event(), receiver.gate
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
        await late.set_out()
        async with asyncio.timeout(60):
            await receiver.arrived.wait()
    receiver.gate, held = gate, receiver.gate
    await office.send_at(NOON + timedelta(seconds=60))
    held.set()
    await late.wait(60)
    delivery = await merchant.delivery(endpoint)
    assert (delivery["state"], [each["status"] for each in delivery["tries"]]) == ("pending", [503])
    assert datetime.fromisoformat(delivery["next_attempt_at"]) == NOON + timedelta(seconds=75)


async def test_several_processes_share_the_work_and_send_nothing_twice(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    await office.announce(*[merchant.told(number=number) for number in range(40)])
    await asyncio.gather(*[office.courier().send_all() for _ in range(4)])
    assert sorted(json.loads(request.body)["resource"]["number"] for request in receiver.received) == list(range(40))
    assert (await merchant.shown(endpoint))["pending"] == 0


async def test_who_changes_an_endpoint_does_not_hold_the_ledger_up(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    """An announcement is part of a posting: were it to wait here, everybody's points would."""
    endpoint = await merchant.endpoint(receiver.url())
    async with office.db.sessions() as changing:
        await rotate_secret(changing, office.vault, merchant.manager, _id(endpoint), timedelta(hours=1))
        await remove_endpoint(changing, merchant.manager, _id(endpoint))
        async with asyncio.timeout(30):  # a lock would be waited for twice as long
            await office.announce(merchant.told())
        await changing.commit()
    await office.announce(merchant.told())
    await office.send()
    assert receiver.received == [], "it was removed"


async def test_what_the_service_itself_sends_in_the_background_arrives(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    await merchant.endpoint(receiver.url())
    await office.announce(merchant.told())
    follower = asyncio.create_task(send_webhooks(office.points.town.runtime("points")))
    try:
        async with asyncio.timeout(60):
            await receiver.arrived.wait()
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
    assert len(receiver.received) == 1


def _id(endpoint: dict[str, Any]) -> UUID:
    return UUID(endpoint["id"])
