"""Reading and locking endpoints and deliveries."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select, text, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.merchants.errors import MerchantNotFound
from services.points.merchants.tables import Merchant, MerchantKey
from services.points.webhooks import rules
from services.points.webhooks.errors import DeliveryNotFound, EndpointNotFound
from services.points.webhooks.schemas import DeliveryDetail, DeliveryFilters, DeliveryOut
from services.points.webhooks.tables import Notice, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from services.points.webhooks.terms import DeliveryState, Due, EndpointState, EventType

_FORGET_AT_ONCE = 2000

# Endpoints that were tried longest ago come first, so that none keeps the others from their turn, however much waits
# for it. One that fails has fewer on their way at once. The tries are taken by moving their next one to where
# somebody else would take them up, should this process die.
_CLAIM = text(
    "WITH endpoint AS ("
    " SELECT id, CASE WHEN failing_since IS NULL THEN CAST(:each AS bigint) ELSE CAST(:failing AS bigint) END AS most"
    " FROM webhook_endpoint WHERE state = 'active' AND id <> ALL(CAST(:busy AS uuid[])) AND EXISTS ("
    "  SELECT FROM webhook_delivery waiting WHERE waiting.endpoint_id = webhook_endpoint.id"
    "  AND waiting.state = 'pending' AND waiting.next_attempt_at <= :now)"
    " ORDER BY tried_at NULLS FIRST, id LIMIT :endpoints"
    "), due AS ("
    " SELECT found.endpoint_id, found.event_id FROM endpoint CROSS JOIN LATERAL ("
    "  SELECT endpoint_id, event_id FROM webhook_delivery"
    "  WHERE endpoint_id = endpoint.id AND state = 'pending' AND next_attempt_at <= :now"
    "  ORDER BY next_attempt_at, event_id LIMIT endpoint.most FOR UPDATE SKIP LOCKED) found"
    ") UPDATE webhook_delivery taken SET next_attempt_at = :until FROM due"
    " WHERE taken.endpoint_id = due.endpoint_id AND taken.event_id = due.event_id"
    " RETURNING taken.endpoint_id, taken.event_id"
)


async def lock_merchant(session: AsyncSession, merchant_id: UUID) -> None:
    """Let nobody else add endpoints or tests to a merchant, and the ledgers' writer go on. Raises MerchantNotFound."""
    statement = select(Merchant.id).where(Merchant.id == merchant_id).with_for_update(key_share=True)
    if await session.scalar(statement) is None:
        raise MerchantNotFound


async def endpoints_of(session: AsyncSession, merchant_id: UUID) -> Sequence[WebhookEndpoint]:
    """A merchant's endpoints, the first made first."""
    statement = select(WebhookEndpoint).where(
        WebhookEndpoint.merchant_id == merchant_id, WebhookEndpoint.state != EndpointState.REMOVED
    )
    return (await session.scalars(statement.order_by(WebhookEndpoint.id))).all()


async def endpoint_by_id(session: AsyncSession, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
    """An endpoint, locked until the transaction ends if `lock`. Raises EndpointNotFound."""
    statement = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.state != EndpointState.REMOVED
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    endpoint = await session.scalar(statement.execution_options(populate_existing=True))
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


async def lock_endpoint(session: AsyncSession, endpoint_id: UUID) -> WebhookEndpoint:
    """An endpoint that there was at some time, removed or not, locked until the transaction ends."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).with_for_update(key_share=True)
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def pending(session: AsyncSession, endpoint_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many deliveries wait for each endpoint."""
    statement = (
        select(WebhookDelivery.endpoint_id, func.count())
        .where(WebhookDelivery.endpoint_id.in_(endpoint_ids), WebhookDelivery.state == DeliveryState.PENDING)
        .group_by(WebhookDelivery.endpoint_id)
    )
    counted = {row[0]: row[1] for row in await session.execute(statement)}
    return dict.fromkeys(endpoint_ids, 0) | counted


async def list_deliveries(
    session: AsyncSession, cursors: Cursors, endpoint_id: UUID, filters: DeliveryFilters
) -> Page[DeliveryOut]:
    """A page of an endpoint's deliveries, the latest event first. Raises InvalidCursor."""
    carried = {"list": "webhook_deliveries", "endpoint": str(endpoint_id), "state": filters.state}
    after = cursors.decode(filters.cursor, carried)
    last = aliased(WebhookAttempt)
    statement = (
        select(WebhookDelivery, WebhookEvent, last)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .outerjoin(last, and_(_is_of(last, WebhookDelivery), last.number == WebhookDelivery.attempts))
        .where(WebhookDelivery.endpoint_id == endpoint_id)
    )
    if filters.state is not None:
        statement = statement.where(WebhookDelivery.state == filters.state)
    if after is not None:
        statement = statement.where(WebhookDelivery.event_id < UUID(str(after[0])))
    rows = (await session.execute(statement.order_by(WebhookDelivery.event_id.desc()).limit(filters.limit + 1))).all()
    shown = rows[: filters.limit]
    more = len(rows) > filters.limit
    return Page(
        items=[DeliveryOut.of(row[0], row[1], row[2]) for row in shown],
        next_cursor=cursors.encode(carried, [str(shown[-1][0].event_id)]) if more else None,
    )


async def delivery_detail(session: AsyncSession, endpoint_id: UUID, event_id: UUID) -> DeliveryDetail:
    """A delivery with every try. Raises DeliveryNotFound."""
    delivery = await session.get(WebhookDelivery, (endpoint_id, event_id), populate_existing=True)
    event = await session.get(WebhookEvent, event_id)
    if delivery is None or event is None:
        raise DeliveryNotFound
    statement = select(WebhookAttempt).where(_is_of(WebhookAttempt, WebhookDelivery), _is(endpoint_id, [event_id]))
    tries = await session.scalars(statement.order_by(WebhookAttempt.number))
    return DeliveryDetail.with_tries(delivery, event, list(tries))


async def lock_deliveries(
    session: AsyncSession, endpoint_id: UUID, event_ids: Collection[UUID]
) -> dict[UUID, WebhookDelivery]:
    """Those of an endpoint's deliveries that there are, by their events, locked until the transaction ends."""
    statement = select(WebhookDelivery).where(_is(endpoint_id, event_ids)).order_by(WebhookDelivery.event_id)
    found = await session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    return {delivery.event_id: delivery for delivery in found}


async def lock_failed(
    session: AsyncSession, endpoint_id: UUID, since: datetime, at_most: int
) -> Sequence[WebhookDelivery]:
    """What was given up of the events since then, the earliest first, locked until the transaction ends."""
    statement = (
        select(WebhookDelivery)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.state == DeliveryState.FAILED,
            WebhookEvent.created_at >= since,
        )
        .order_by(WebhookDelivery.event_id)
        .limit(at_most)
        .with_for_update(of=WebhookDelivery)
    )
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def claim(
    session: AsyncSession,
    vault: Vault,
    at: datetime,
    *,
    busy: Collection[UUID],
    endpoints: int,
    each: int,
    failing: int,
    keep_for: timedelta,
) -> dict[UUID, list[Due]]:
    """Take up what is due, by endpoint: of at most so many endpoints but the busy ones, at most `each`, or `failing`.

    Nobody else takes these up for as long as `keep_for`.
    """
    values = {
        "busy": list(busy),
        "endpoints": endpoints,
        "each": each,
        "failing": failing,
        "now": at,
        "until": at + keep_for,
    }
    taken = [(row.endpoint_id, row.event_id) for row in await session.execute(_CLAIM, values)]
    if not taken:
        return {}
    statement = (
        select(WebhookDelivery, WebhookEvent, WebhookEndpoint)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(tuple_(WebhookDelivery.endpoint_id, WebhookDelivery.event_id).in_(taken))
        .order_by(WebhookDelivery.event_id)
    )
    found: dict[UUID, list[Due]] = {}
    for row in await session.execute(statement):
        due = _due(vault, row[0], row[1], row[2], at)
        if due.secrets:  # none of an endpoint that was removed just now
            found.setdefault(due.endpoint_id, []).append(due)
    return found


def secrets_of(vault: Vault, endpoint: WebhookEndpoint, at: datetime) -> tuple[bytes, ...]:
    """The secrets that sign at this moment, the newest first; none of an endpoint that was removed meanwhile."""
    sealed = [endpoint.secret_sealed]
    if endpoint.old_secret_until is not None and at < endpoint.old_secret_until:
        sealed.append(endpoint.old_secret_sealed)
    context = secret_context(endpoint.id)
    return tuple(bytes.fromhex(vault.open(each, context)) for each in sealed if each is not None)


def secret_context(endpoint_id: UUID) -> str:
    """What an endpoint's secrets are sealed for."""
    return f"webhook_endpoint.secret:{endpoint_id}"


async def keep_event(session: AsyncSession, event: WebhookEvent, endpoint_id: UUID, at: datetime) -> WebhookDelivery:
    """An event for one endpoint alone, whatever it chose to be told."""
    session.add(event)
    await session.flush()
    delivery = WebhookDelivery(endpoint_id=endpoint_id, event_id=event.id, state=DeliveryState.PENDING)
    delivery.attempts = delivery.failures = 0
    delivery.next_attempt_at, delivery.delivered_at = at, None
    session.add(delivery)
    await session.flush()
    return delivery


async def tests_since(session: AsyncSession, merchant_id: UUID, since: datetime) -> Sequence[datetime]:
    """When a merchant asked for tests after `since`, the latest first."""
    statement = select(WebhookEvent.created_at).where(
        WebhookEvent.created_at > since,
        WebhookEvent.merchant_id == merchant_id,
        WebhookEvent.event_type == EventType.TEST.value,
    )
    return (await session.scalars(statement.order_by(WebhookEvent.created_at.desc()).limit(rules.TESTS))).all()


async def keep_attempts(session: AsyncSession, attempts: Sequence[Mapping[str, Any]]) -> None:
    """Write tries down."""
    if attempts:
        await session.execute(insert(WebhookAttempt), list(attempts))


async def forget(session: AsyncSession, before: datetime) -> int:
    """Forget events of before with the log of their deliveries, some at a time; how many.

    What still waits for an endpoint that is told stays.
    """
    waits = exists().where(
        WebhookDelivery.event_id == WebhookEvent.id,
        WebhookDelivery.state == DeliveryState.PENDING,
        WebhookEndpoint.id == WebhookDelivery.endpoint_id,
        WebhookEndpoint.state == EndpointState.ACTIVE,
    )
    old = select(WebhookEvent.id).where(WebhookEvent.created_at < before, ~waits).limit(_FORGET_AT_ONCE)
    gone = await session.execute(delete(WebhookEvent).where(WebhookEvent.id.in_(old)).returning(WebhookEvent.id))
    return len(gone.all())


async def drop_old_secrets(session: AsyncSession, at: datetime) -> None:
    """Forget the secrets that do not sign any more."""
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.old_secret_until <= at)
        .values(old_secret_sealed=None, old_secret_until=None)
    )


async def keys_ending(session: AsyncSession, at: datetime) -> Sequence[MerchantKey]:
    """The keys that are over within the longest notice, and neither revoked nor over yet."""
    until = at + timedelta(days=max(rules.KEY_NOTICE_DAYS))
    statement = select(MerchantKey).where(
        MerchantKey.not_after > at, MerchantKey.not_after <= until, MerchantKey.revoked_at.is_(None)
    )
    return (await session.scalars(statement.order_by(MerchantKey.merchant_id, MerchantKey.serial_no))).all()


async def merchants_told(session: AsyncSession) -> Sequence[UUID]:
    """Merchants with an endpoint that is told."""
    statement = select(WebhookEndpoint.merchant_id).where(WebhookEndpoint.state == EndpointState.ACTIVE).distinct()
    return (await session.scalars(statement.order_by(WebhookEndpoint.merchant_id))).all()


async def take_notices(
    session: AsyncSession, notices: Sequence[tuple[UUID, str]], at: datetime
) -> set[tuple[UUID, str]]:
    """Those of the notices (merchant and subject) that nobody has given yet; they are given now."""
    if not notices:
        return set()
    rows = [{"merchant_id": merchant_id, "subject": subject, "given_at": at} for merchant_id, subject in notices]
    statement = postgresql.insert(Notice).on_conflict_do_nothing().returning(Notice.merchant_id, Notice.subject)
    return {(row.merchant_id, row.subject) for row in await session.execute(statement, rows)}


async def forget_notices(session: AsyncSession, before: datetime) -> None:
    """Forget which notices were given before then."""
    await session.execute(delete(Notice).where(Notice.given_at < before))


def _due(vault: Vault, delivery: WebhookDelivery, event: WebhookEvent, endpoint: WebhookEndpoint, at: datetime) -> Due:
    return Due(
        endpoint_id=endpoint.id,
        merchant_id=endpoint.merchant_id,
        event_id=event.id,
        url=endpoint.url,
        secrets=secrets_of(vault, endpoint, at),
        attempts=delivery.attempts,
        event_type=event.event_type,
        created_at=event.created_at,
        resource=event.resource,
    )


def _is(endpoint_id: UUID, event_ids: Collection[UUID]) -> ColumnElement[bool]:
    return and_(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.event_id.in_(event_ids))


def _is_of(attempt: type[WebhookAttempt], delivery: type[WebhookDelivery]) -> ColumnElement[bool]:
    return and_(attempt.endpoint_id == delivery.endpoint_id, attempt.event_id == delivery.event_id)
