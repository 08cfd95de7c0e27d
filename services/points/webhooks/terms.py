"""Words of webhooks: what merchants are told, and what became of telling them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventType(StrEnum):
    """What a merchant is told of. Locks are not among them: they are the merchant's own, and lapse without an event."""

    COUPON_USED = "COUPON.USED"  # 核销: one of its stores took a coupon, at a till or at the counter
    COUPON_RETURNED = "COUPON.RETURNED"  # 撤销核销: such a use was undone, by the merchant or by staff
    BILL_READY = "BILL.READY"  # 日账单: yesterday's bill can be fetched
    STATEMENT_DRAFTED = "STATEMENT.DRAFTED"  # 月结单: a month was drawn up and may be disputed
    STATEMENT_CONFIRMED = "STATEMENT.CONFIRMED"  # the month is settled: nothing of it changes any more
    STATEMENT_PAID = "STATEMENT.PAID"  # the month was paid
    KEY_ADDED = "KEY.ADDED"  # a key was put on record: who did not ask for it revokes it at once
    KEY_REVOKED = "KEY.REVOKED"  # nothing signed by the key is taken any more
    KEY_EXPIRING = "KEY.EXPIRING"  # a key that the merchant signs with is about to be over
    ENDPOINT_DISABLED = "ENDPOINT.DISABLED"  # another endpoint of the merchant's is not told any more
    TEST = "TEST"  # asked for by hand, to see whether an endpoint answers


class EndpointState(StrEnum):
    """Whether an endpoint is told. What happens while it is not is not kept for it."""

    ACTIVE = "active"
    PAUSED = "paused"  # by whoever manages it
    DISABLED = "disabled"  # by us, since it took nothing for too long
    REMOVED = "removed"  # for good; its log stays until it is forgotten


class DeliveryState(StrEnum):
    """What became of telling one endpoint of one event."""

    PENDING = "pending"  # it is being tried, or waits for its next try
    DELIVERED = "delivered"
    FAILED = "failed"  # given up after the last try; may be replayed


class Failure(StrEnum):
    """Why a try brought no answer, or why its answer does not count."""

    STATUS = "status"  # answered, but not with 2xx; a redirect is not followed
    TIMEOUT = "timeout"  # no answer within five seconds
    ADDRESS = "address"  # the host's address is private, loopback or otherwise not to be called
    HOST = "host"  # the host's name has no address
    CONNECTION = "connection"  # nobody listens there, or the connection broke off
    TLS = "tls"  # no encrypted connection, or a certificate that is not good for the host
    ANSWER = "answer"  # what came back is no HTTP


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose turn it is, with all that it takes to send it."""

    endpoint_id: UUID
    merchant_id: UUID
    event_id: UUID
    url: str
    secrets: tuple[bytes, ...]
    attempts: int
    event_type: str
    created_at: datetime
    resource: dict[str, object]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try went: at its end, `at`. There is a failure, or it was taken."""

    due: Due
    at: datetime
    milliseconds: int
    status: int | None
    failure: Failure | None
