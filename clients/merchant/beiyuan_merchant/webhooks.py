"""Notices 通知 that the platform sends: whether they are genuine, and what they say."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from beiyuan_merchant.errors import BadWebhook


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `id` is the same each time that it is told: keep it, and do nothing twice."""

    id: str
    create_time: str
    event_type: str
    resource: Mapping[str, Any]


def read_webhook(secrets: Iterable[str], headers: Mapping[str, str], body: bytes) -> Event:
    """What a notice says, if it bears a signature by one of `secrets` (`whsec_…`; two while they are rotated).

    Answer 2xx within five seconds, once it is kept. Raises BadWebhook.
    """
    reasons = []
    for secret in secrets:
        try:
            Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
            said = json.loads(body)
            return Event(said["id"], said["create_time"], said["event_type"], said["resource"])
        except (WebhookVerificationError, ValueError, KeyError, TypeError) as error:
            reasons.append(str(error) or type(error).__name__)
    raise BadWebhook("; ".join(reasons) or "no secret to check it with")
