"""Notices 通知 that the platform sends: whether they are genuine, and what they say."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from beiyuan_merchant.errors import BadWebhook


class Event(BaseModel):
    """Something that happened. `id` is the same each time that it is told: keep it, and do nothing twice.

    There may be types that this version does not know: leave them, and answer 2xx all the same.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    create_time: AwareDatetime
    event_type: str
    resource: dict[str, Any]


def read_webhook(secrets: str | Iterable[str], headers: Mapping[str, str], body: bytes) -> Event:
    """What a notice says, if it bears a signature by one of `secrets` (`whsec_…`; two while they are rotated).

    `body` is the raw body as it arrived. Answer 2xx within five seconds, once it is kept. Raises BadWebhook.
    """
    reasons = []
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        try:
            Webhook(secret).verify(body, dict(headers))
            return Event.model_validate_json(body)
        except ValidationError as error:
            raise BadWebhook(f"signed, but no event: {error}") from error
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)
    raise BadWebhook("; ".join(reasons) or "no secret to check it with")
