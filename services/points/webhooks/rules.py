"""What goes out and when, and when an endpoint is told no more. Pure."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from standardwebhooks import Webhook

from chassis.core.beijing import BEIJING
from services.points.webhooks.tables import WebhookDelivery, WebhookEndpoint
from services.points.webhooks.terms import DeliveryState, Due, EndpointState, Tried

ENDPOINTS = 5
"""So many a merchant may have."""
GIVEN_UP_IN_A_ROW = 3
"""So many deliveries given up, and nothing delivered in between, disable an endpoint."""
TESTS = 10
TESTS_WITHIN = timedelta(minutes=1)
"""So many tests a merchant may ask for within that: endpoints are not there to have others called at will."""
OVERLAP = timedelta(hours=24)
"""For so long the old secret signs beside the new one, unless asked otherwise."""
SECRET_BYTES = 32
_PREFIX = "whsec_"

PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (15, 15, 30, 180, 600, 1200, *[1800] * 3, 3600, *[3 * 3600] * 3, *[6 * 3600] * 2)
)
"""From one try to the next: sixteen tries in a good day."""

KEY_NOTICE_DAYS = (30, 7, 1)
"""So many days before a key is over its merchant is told."""


def written(secret: bytes) -> str:
    """A secret as whoever checks signatures is given it."""
    return _PREFIX + base64.b64encode(secret).decode()


def body(due: Due) -> bytes:
    """What goes out, the same bytes at every try and every endpoint."""
    told = {
        "id": str(due.event_id),
        "create_time": due.created_at.astimezone(BEIJING).isoformat(),
        "event_type": due.event_type,
        "resource": due.resource,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def headers(due: Due, content: bytes, at: datetime) -> Mapping[str, str]:
    """The headers of Standard Webhooks: one signature for each of the endpoint's secrets, the newest first.

    `at` is aware and in UTC: the library would take the clock's hands for UTC's whatever the zone.
    """
    assert at.utcoffset() == timedelta(0), "in UTC"
    text = content.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "Harmony-Beiyuan-Webhooks/1",
        "webhook-id": str(due.event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(str(due.event_id), at, text) for secret in due.secrets),
    }


def note(endpoint: WebhookEndpoint, delivery: WebhookDelivery, tried: Tried) -> None:
    """Write down how a try went: with the delivery what comes next, with the endpoint how it is doing."""
    delivery.attempts += 1
    endpoint.tried_at = tried.at
    if tried.failure is None:
        delivery.state, delivery.next_attempt_at, delivery.delivered_at = DeliveryState.DELIVERED, None, tried.at
        endpoint.delivered_at, endpoint.failing_since, endpoint.given_up = tried.at, None, 0
        return
    endpoint.failing_since = endpoint.failing_since or tried.at
    delivery.failures += 1
    if delivery.failures <= len(PAUSES):
        delivery.next_attempt_at = tried.at + PAUSES[delivery.failures - 1]
        return
    delivery.state, delivery.next_attempt_at = DeliveryState.FAILED, None
    endpoint.given_up += 1


def is_hopeless(endpoint: WebhookEndpoint) -> bool:
    """Whether an endpoint that is told has taken nothing for so long that it is not to be told any more."""
    return endpoint.state is EndpointState.ACTIVE and endpoint.given_up >= GIVEN_UP_IN_A_ROW


def begin_anew(delivery: WebhookDelivery, at: datetime) -> None:
    """Have it tried at once, and from then on by the whole list of pauses again."""
    delivery.state, delivery.next_attempt_at, delivery.failures, delivery.delivered_at = (
        DeliveryState.PENDING,
        at,
        0,
        None,
    )


def set_active(endpoint: WebhookEndpoint) -> None:
    """Have it told again: what went wrong before does not count."""
    endpoint.state, endpoint.disabled_at = EndpointState.ACTIVE, None
    endpoint.failing_since, endpoint.given_up = None, 0


def wait_for_test(latest: Sequence[datetime], at: datetime) -> timedelta | None:
    """How long a merchant has to wait for its next test; None where it need not. `latest` are the latest ones first."""
    return latest[TESTS - 1] + TESTS_WITHIN - at if len(latest) >= TESTS else None


def notice_due(not_after: datetime, at: datetime) -> int:
    """Which notice of a key's end is due, by how many days before it: the one that comes closest to it.

    The key is over within the longest of them, and is not yet.
    """
    return min(days for days in KEY_NOTICE_DAYS if not_after - at <= timedelta(days=days))
