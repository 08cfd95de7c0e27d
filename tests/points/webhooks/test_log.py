"""The log of deliveries, sending again what failed, and what goes by the calendar."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.merchants import actions as merchants
from services.points.merchants.terms import Algorithm
from services.points.webhooks import jobs, queries
from services.points.webhooks.actions import tell_by_calendar
from services.points.webhooks.tables import WebhookAttempt, WebhookDelivery, WebhookEvent
from tests import openssl
from tests.points.webhooks.conftest import NOON, Merchant, PostOffice, given_up
from tests.receiver import Receiver


async def failed_delivery(office: PostOffice, merchant: Merchant, receiver: Receiver) -> dict[str, Any]:
    """An endpoint with one delivery that was given up at noon."""
    receiver.say(500)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told())
    await given_up(office, endpoint, NOON)
    return endpoint


async def test_what_failed_is_replayed_under_its_id_and_by_all_the_pauses_again(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint, at = await failed_delivery(office, merchant, receiver), NOON + timedelta(days=1)
    receiver.say(500, 200)
    [delivery] = await merchant.log(endpoint)
    replay = f"/{endpoint['id']}/deliveries/{delivery['event_id']}/replay"
    with clock.frozen(at):
        answer = await merchant.ask("POST", replay)
        assert (answer.status_code, answer.json()["state"]) == (200, "pending")
        assert (await merchant.ask("POST", replay)).json()["code"] == "webhook_delivery_pending"
        await office.send()
    await office.send_at(at + timedelta(seconds=15))
    shown = await merchant.delivery(endpoint)
    assert (shown["state"], shown["attempts"]) == ("delivered", 18)
    assert [(each["number"], each["status"]) for each in shown["tries"]] == [(16, 500), (17, 500), (18, 200)]
    assert len({(request.headers["webhook-id"], request.body) for request in receiver.received}) == 1


async def test_what_was_delivered_may_be_asked_for_again(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    await office.announce(merchant.told())
    await office.send()
    [delivery] = await merchant.log(endpoint, state="delivered")
    await merchant.ask("POST", f"/{endpoint['id']}/deliveries/{delivery['event_id']}/replay")
    await office.send()
    assert len(receiver.received) == 2
    missing = await merchant.ask("POST", f"/{endpoint['id']}/deliveries/{new_id()}/replay")
    assert missing.json()["code"] == "webhook_delivery_not_found"


async def test_everything_that_failed_since_a_moment_is_replayed_at_once(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.say(500)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told(number=1))
    with clock.frozen(NOON + timedelta(hours=1)):
        await office.announce(merchant.told(number=2))
    at = NOON + timedelta(days=1)
    await given_up(office, endpoint, at)
    seen = len(receiver.received)
    receiver.say(200)
    with clock.frozen(at):
        since = {"since": (NOON + timedelta(minutes=1)).isoformat()}
        answer = await merchant.ask("POST", f"/{endpoint['id']}/deliveries/replay", since)
        assert answer.json() == {"replayed": 1, "more": False}
        await office.send()
    assert [b'"number":2' in request.body for request in receiver.received[seen:]] == [True]
    states = [(each["state"], each["attempts"]) for each in await merchant.log(endpoint)]
    assert states == [("delivered", 17), ("failed", 16)]


async def test_nothing_is_replayed_to_an_endpoint_that_is_not_told(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await failed_delivery(office, merchant, receiver)
    [delivery] = await merchant.log(endpoint)
    await merchant.ask("PATCH", f"/{endpoint['id']}", {"state": "paused"})
    for path, body in ((f"{delivery['event_id']}/replay", None), ("replay", {"since": NOON.isoformat()})):
        answer = await merchant.ask("POST", f"/{endpoint['id']}/deliveries/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_inactive")


async def test_the_log_is_read_page_by_page_the_latest_first(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.answers = lambda request: b"HTTP/1.1 %d Told\r\n\r\n" % (500 if b'"number":2' in request.body else 204)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        for number in range(5):
            await office.announce(merchant.told(number=number))
        await office.send()
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await merchant.ask("GET", f"/{endpoint['id']}/deliveries", limit=2, **cursor)).json()
        ids += [item["event_id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids)) == 5
    [waiting] = await merchant.log(endpoint, state="pending")
    assert waiting["event_id"] == ids[2]
    last = waiting["last_attempt"]
    assert (last["number"], last["status"], last["failure"]) == (1, 500, "status")
    assert len(await merchant.log(endpoint, state="delivered")) == 4
    other = await merchant.ask("GET", f"/{endpoint['id']}/deliveries", state="pending", **cursor)
    assert other.json()["code"] == "invalid_cursor"
    unknown = await merchant.ask("GET", f"/{endpoint['id']}/deliveries", status="pending")
    assert unknown.status_code == 422


async def test_after_thirty_days_the_log_is_forgotten_but_for_what_still_waits(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.say(200)
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        await office.announce(merchant.told(number=1))
        await office.send()
        await office.announce(merchant.told(number=2))
    with clock.frozen(NOON + timedelta(days=1)):
        await office.announce(merchant.told(number=3))
        await office.send()
        rotated = await merchant.ask("POST", f"/{endpoint['id']}/rotate-secret", {})
        assert rotated.json()["old_secret_until"]
    receiver.say(500)
    with clock.frozen(NOON + timedelta(days=1)):
        await office.announce(merchant.told(number=4))
        await office.send()
    before = await merchant.log(endpoint)
    assert [each["state"] for each in before] == ["pending", "delivered", "delivered", "delivered"]
    with clock.frozen(NOON + jobs.KEPT + timedelta(hours=1)):
        await jobs.forget(office.points.town.runtime("points"))
    after = await merchant.log(endpoint)
    assert [each["event_id"] for each in after] == [each["event_id"] for each in before[:2]]
    assert (await merchant.shown(endpoint))["old_secret_until"] is None
    with clock.frozen(NOON + jobs.KEPT + timedelta(days=2)):
        await jobs.forget(office.points.town.runtime("points"))
    assert [each["state"] for each in await merchant.log(endpoint)] == ["pending"]


async def test_what_is_forgotten_leaves_nothing_behind(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url())
    with clock.frozen(NOON):
        await office.announce(merchant.told())
        await office.send()
    [delivery] = await merchant.log(endpoint)
    async with office.db.transaction() as session:
        await queries.forget(session, NOON + timedelta(seconds=1))
    async with office.db.transaction() as session:
        for table, column in (
            (WebhookEvent, WebhookEvent.id),
            (WebhookDelivery, WebhookDelivery.event_id),
            (WebhookAttempt, WebhookAttempt.event_id),
        ):
            found = select(func.count()).select_from(table).where(column == delivery["event_id"])
            assert await session.scalar(found) == 0


async def hourly(office: PostOffice, at: datetime) -> None:
    """What happens every hour."""
    with clock.frozen(at):
        async with office.db.transaction() as session:
            await tell_by_calendar(session, at)


@pytest.fixture(scope="module")
def public_key() -> str:
    return openssl.new_ed25519_key()[1]


class Ring:
    """A merchant's keys."""

    def __init__(self, office: PostOffice, merchant: Merchant, public_key: str) -> None:
        self._office, self._merchant, self._key = office, merchant, public_key
        self.mchid = f"{merchant.id.int % 10**10:010d}"

    async def record(self, serial_no: str, not_after: datetime) -> None:
        """A key of this number, good until then."""
        async with self._office.db.transaction() as session:
            await merchants.record_key(
                session,
                self.mchid,
                serial_no=serial_no,
                algorithm=Algorithm.ED25519,
                public_key_pem=self._key,
                not_before=NOON - timedelta(days=300),
                not_after=not_after,
            )

    async def revoke(self, serial_no: str) -> None:
        """From now on it is good for nothing."""
        async with self._office.db.transaction() as session:
            await merchants.revoke_key(session, self.mchid, serial_no)


async def test_a_merchant_is_told_of_a_keys_end_a_month_a_week_and_a_day_before(
    office: PostOffice, merchant: Merchant, receiver: Receiver, public_key: str
) -> None:
    ring = Ring(office, merchant, public_key)
    endpoint = await merchant.endpoint(receiver.url(), "KEY.EXPIRING")
    with clock.frozen(NOON):
        await ring.record("A" * 40, NOON + timedelta(days=40))
        await ring.record("B" * 40, NOON + timedelta(days=35))
        await ring.revoke("B" * 40)
    told = []
    for day in (0, 9, 10, 11, 32, 33, 34, 38, 39, 40):
        before = len(await merchant.log(endpoint, limit=200))
        for _ in range(2):  # of several processes, or after a crash
            await hourly(office, NOON + timedelta(days=day))
        told += [day] * (len(await merchant.log(endpoint, limit=200)) - before)
    assert told == [10, 33, 39]
    with clock.frozen(NOON + timedelta(days=39)):
        await ring.record("A" * 40, NOON + timedelta(days=60))
    await hourly(office, NOON + timedelta(days=40))
    assert len(await merchant.log(endpoint)) == 4, "its end was moved: it is told of anew"
    [latest, *_] = await merchant.log(endpoint)
    shown = (await merchant.ask("GET", f"/{endpoint['id']}/deliveries/{latest['event_id']}")).json()
    resource = shown["resource"]
    assert shown["event_type"] == "KEY.EXPIRING"
    assert (resource["serial_no"], resource["sandbox"]) == ("A" * 40, False)
    assert datetime.fromisoformat(resource["not_after"]).astimezone(UTC) == NOON + timedelta(days=60)


async def test_from_ten_in_the_morning_a_merchant_is_told_once_that_yesterdays_bill_is_there(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    endpoint = await merchant.endpoint(receiver.url(), "BILL.READY")
    midnight = datetime(2026, 3, 5, 16, tzinfo=UTC)
    told = []
    for hour in (0, 9.9, 10, 11, 23, 24, 34):
        before = len(await merchant.log(endpoint))
        await hourly(office, midnight + timedelta(hours=hour))
        told += [hour] * (len(await merchant.log(endpoint)) - before)
    assert told == [0, 10, 34], "at midnight it is late for the day before, which nobody has told of yet"
    shown = [
        (await merchant.ask("GET", f"/{endpoint['id']}/deliveries/{each['event_id']}")).json()["resource"]
        for each in await merchant.log(endpoint)
    ]
    assert shown == [{"bill_date": f"2026-03-0{day}"} for day in (6, 5, 4)]
