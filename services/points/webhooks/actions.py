"""What managers do about webhooks, and what is noted of telling merchants."""

import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.beijing import day_of
from chassis.core.crypto import Vault
from chassis.core.ids import new_id
from chassis.core.outbound import fault_of
from services.points.merchants.errors import MerchantNotFound
from services.points.registry.rules import check_may_change, check_may_see
from services.points.settlement.rules import is_ready
from services.points.webhooks import queries, rules
from services.points.webhooks.announcing import Announcement, announce
from services.points.webhooks.errors import (
    DeliveryNotFound,
    DeliveryPending,
    EndpointInactive,
    EndpointNotFound,
    TooManyEndpoints,
    TooManyTests,
    UrlNotAcceptable,
)
from services.points.webhooks.schemas import (
    DeliveryDetail,
    EndpointChange,
    EndpointIn,
    EndpointOut,
    EndpointWithSecret,
    ReplayedOut,
)
from services.points.webhooks.tables import WebhookEndpoint, WebhookEvent
from services.points.webhooks.terms import DeliveryState, EndpointState, EventType, Tried

log = structlog.get_logger(__name__)

_REPLAYED_AT_ONCE = 1000


async def create_endpoint(
    session: AsyncSession, vault: Vault, actor: Actor, wanted: EndpointIn, *, local_addresses: bool
) -> EndpointWithSecret:
    """An endpoint for a merchant, told from now on. Raises MerchantNotFound, UrlNotAcceptable, TooManyEndpoints."""
    check_may_change(actor, wanted.merchant_id)
    _check_url(wanted.url, local_addresses=local_addresses)
    await queries.lock_merchant(session, wanted.merchant_id)
    if len(await queries.endpoints_of(session, wanted.merchant_id)) >= rules.ENDPOINTS:
        raise TooManyEndpoints(f"There may be {rules.ENDPOINTS}.")
    at, secret = clock.now(), secrets.token_bytes(rules.SECRET_BYTES)
    endpoint = WebhookEndpoint(id=new_id(), merchant_id=wanted.merchant_id, created_by=actor.id, created_at=at)
    endpoint.url, endpoint.event_types, endpoint.description = (
        wanted.url,
        _words(wanted.event_types),
        wanted.description,
    )
    endpoint.secret_sealed = vault.seal(secret.hex(), queries.secret_context(endpoint.id))
    endpoint.old_secret_sealed = endpoint.old_secret_until = None
    endpoint.tried_at = endpoint.delivered_at = None
    rules.set_active(endpoint)
    _sign(endpoint, actor, at)
    session.add(endpoint)
    await session.flush()
    return EndpointWithSecret.showing(endpoint, 0, secret)


async def show_endpoint(session: AsyncSession, actor: Actor, endpoint_id: UUID) -> EndpointOut:
    """An endpoint as whoever may see to its merchant sees it. Raises EndpointNotFound."""
    endpoint = await queries.endpoint_by_id(session, endpoint_id)
    try:
        check_may_see(actor, endpoint.merchant_id)
    except MerchantNotFound:
        raise EndpointNotFound from None
    return await _shown(session, endpoint)


async def list_endpoints(session: AsyncSession, actor: Actor, merchant_id: UUID) -> list[EndpointOut]:
    """A merchant's endpoints. Raises MerchantNotFound."""
    check_may_see(actor, merchant_id)
    found = await queries.endpoints_of(session, merchant_id)
    waiting = await queries.pending(session, [endpoint.id for endpoint in found])
    return [EndpointOut.of(endpoint, waiting[endpoint.id]) for endpoint in found]


async def change_endpoint(
    session: AsyncSession, actor: Actor, endpoint_id: UUID, change: EndpointChange, *, local_addresses: bool
) -> EndpointOut:
    """What waits for it goes to its new address, and goes on once it is active. Raises as `lock_own`."""
    endpoint = await lock_own(session, actor, endpoint_id)
    if change.url is not None:
        _check_url(change.url, local_addresses=local_addresses)
        endpoint.url = change.url
    if change.event_types is not None:
        endpoint.event_types = _words(change.event_types)
    if change.description is not None:
        endpoint.description = change.description
    if change.state is EndpointState.ACTIVE:
        rules.set_active(endpoint)
    elif change.state is not None:
        endpoint.state = change.state
    _sign(endpoint, actor, clock.now())
    await session.flush()
    return await _shown(session, endpoint)


async def remove_endpoint(session: AsyncSession, actor: Actor, endpoint_id: UUID) -> None:
    """It is not told any more, of nothing, and its secrets are forgotten. Raises as `lock_own`."""
    endpoint = await lock_own(session, actor, endpoint_id)
    endpoint.state = EndpointState.REMOVED
    endpoint.secret_sealed = endpoint.old_secret_sealed = endpoint.old_secret_until = None
    _sign(endpoint, actor, clock.now())
    await session.flush()


async def rotate_secret(
    session: AsyncSession, vault: Vault, actor: Actor, endpoint_id: UUID, overlap: timedelta
) -> EndpointWithSecret:
    """A new secret; the present one signs beside it for the overlap. One that did so until now signs no more.

    Raises as `lock_own`.
    """
    endpoint = await lock_own(session, actor, endpoint_id)
    at, secret = clock.now(), secrets.token_bytes(rules.SECRET_BYTES)
    endpoint.old_secret_sealed = endpoint.secret_sealed if overlap else None
    endpoint.old_secret_until = at + overlap if overlap else None
    endpoint.secret_sealed = vault.seal(secret.hex(), queries.secret_context(endpoint.id))
    _sign(endpoint, actor, at)
    await session.flush()
    waiting = await queries.pending(session, [endpoint.id])
    return EndpointWithSecret.showing(endpoint, waiting[endpoint.id], secret)


async def send_test(session: AsyncSession, actor: Actor, endpoint_id: UUID) -> DeliveryDetail:
    """A TEST event for this endpoint, whatever it chose to be told.

    Raises as `lock_own`; EndpointInactive, TooManyTests.
    """
    endpoint = await _lock_active(session, actor, endpoint_id)
    await queries.lock_merchant(session, endpoint.merchant_id)
    at = clock.now()
    latest = await queries.tests_since(session, endpoint.merchant_id, at - rules.TESTS_WITHIN)
    if wait := rules.wait_for_test(latest, at):
        raise TooManyTests(retry_after_seconds=math.ceil(wait.total_seconds()))
    event = WebhookEvent(id=new_id(), merchant_id=endpoint.merchant_id, event_type=EventType.TEST.value, created_at=at)
    event.resource = {"endpoint_id": str(endpoint.id)}
    delivery = await queries.keep_event(session, event, endpoint.id, at)
    return DeliveryDetail.with_tries(delivery, event, [])


async def replay(session: AsyncSession, actor: Actor, endpoint_id: UUID, event_id: UUID) -> DeliveryDetail:
    """Send an event again, and by the whole list of pauses if need be, whether or not it was delivered before.

    Raises as `lock_own`; DeliveryNotFound, DeliveryPending, EndpointInactive.
    """
    endpoint = await _lock_active(session, actor, endpoint_id)
    delivery = (await queries.lock_deliveries(session, endpoint.id, [event_id])).get(event_id)
    if delivery is None:
        raise DeliveryNotFound
    if delivery.state is DeliveryState.PENDING:
        raise DeliveryPending
    rules.begin_anew(delivery, clock.now())
    await session.flush()
    return await queries.delivery_detail(session, endpoint.id, event_id)


async def replay_failed(session: AsyncSession, actor: Actor, endpoint_id: UUID, since: datetime) -> ReplayedOut:
    """Send everything again that was given up of the events since then. Raises as `lock_own`, and EndpointInactive."""
    endpoint = await _lock_active(session, actor, endpoint_id)
    found = await queries.lock_failed(session, endpoint.id, since, _REPLAYED_AT_ONCE + 1)
    at = clock.now()
    for delivery in found[:_REPLAYED_AT_ONCE]:
        rules.begin_anew(delivery, at)
    await session.flush()
    return ReplayedOut(replayed=len(found[:_REPLAYED_AT_ONCE]), more=len(found) > _REPLAYED_AT_ONCE)


async def note(session: AsyncSession, endpoint_id: UUID, tries: Sequence[Tried]) -> None:
    """Write down how tries at one endpoint went; where they were the last straw, its merchant is told elsewhere."""
    endpoint = await queries.lock_endpoint(session, endpoint_id)
    deliveries = await queries.lock_deliveries(session, endpoint_id, [tried.due.event_id for tried in tries])
    attempts = []
    for tried in tries:
        delivery = deliveries.get(tried.due.event_id)
        if delivery is None or delivery.state is not DeliveryState.PENDING or delivery.attempts != tried.due.attempts:
            continue  # it took so long that somebody else has sent it again, or it was forgotten
        rules.note(endpoint, delivery, tried)
        attempts.append(
            {
                "endpoint_id": endpoint_id,
                "event_id": delivery.event_id,
                "number": delivery.attempts,
                "at": tried.at,
                "milliseconds": tried.milliseconds,
                "status": tried.status,
                "failure": tried.failure,
            }
        )
    await session.flush()
    await queries.keep_attempts(session, attempts)
    if rules.is_hopeless(endpoint):
        await _disable(session, endpoint)


async def tell_by_calendar(session: AsyncSession, at: datetime) -> None:
    """Tell merchants of the latest bill that is there, and of keys that are about to be over, once each."""
    told = await _bills_ready(session, at) | await _keys_ending(session, at)
    new = await queries.take_notices(session, sorted(told), at)
    await announce(session, [told[notice] for notice in sorted(new)])


async def _bills_ready(session: AsyncSession, at: datetime) -> dict[tuple[UUID, str], Announcement]:
    yesterday = day_of(at) - timedelta(days=1)
    latest = yesterday if is_ready(yesterday, at) else yesterday - timedelta(days=1)
    subject, resource = f"bill/{latest}", {"bill_date": latest}
    return {
        (merchant_id, subject): Announcement(merchant_id, EventType.BILL_READY, resource, at)
        for merchant_id in await queries.merchants_told(session)
    }


async def _keys_ending(session: AsyncSession, at: datetime) -> dict[tuple[UUID, str], Announcement]:
    told = {}
    for key in await queries.keys_ending(session, at):
        subject = f"key/{key.serial_no}/{key.not_after.isoformat()}/{rules.notice_due(key.not_after, at)}"
        resource = {"serial_no": key.serial_no, "sandbox": key.sandbox, "not_after": key.not_after}
        told[key.merchant_id, subject] = Announcement(key.merchant_id, EventType.KEY_EXPIRING, resource, at)
    return told


async def lock_own(session: AsyncSession, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    """An endpoint that the actor may see to, locked until the transaction ends. Raises EndpointNotFound."""
    endpoint = await queries.endpoint_by_id(session, endpoint_id, lock=True)
    try:
        check_may_change(actor, endpoint.merchant_id)
    except MerchantNotFound:
        raise EndpointNotFound from None
    return endpoint


async def _lock_active(session: AsyncSession, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = await lock_own(session, actor, endpoint_id)
    if endpoint.state is not EndpointState.ACTIVE:
        raise EndpointInactive
    return endpoint


async def _disable(session: AsyncSession, endpoint: WebhookEndpoint) -> None:
    at = clock.now()
    endpoint.state, endpoint.disabled_at = EndpointState.DISABLED, at
    await session.flush()
    log.warning("webhook_endpoint_disabled", endpoint=str(endpoint.id), merchant=str(endpoint.merchant_id))
    resource = {"endpoint_id": endpoint.id, "failing_since": endpoint.failing_since}
    await announce(session, [Announcement(endpoint.merchant_id, EventType.ENDPOINT_DISABLED, resource, at)])


async def _shown(session: AsyncSession, endpoint: WebhookEndpoint) -> EndpointOut:
    waiting = await queries.pending(session, [endpoint.id])
    return EndpointOut.of(endpoint, waiting[endpoint.id])


def _check_url(url: str, *, local_addresses: bool) -> None:
    if fault := fault_of(url, local_addresses=local_addresses):
        raise UrlNotAcceptable(fault)


def _words(event_types: Sequence[EventType]) -> list[str]:
    return [each.value for each in event_types]


def _sign(endpoint: WebhookEndpoint, actor: Actor, at: datetime) -> None:
    endpoint.changed_by, endpoint.changed_at = actor.id, at
