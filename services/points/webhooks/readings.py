"""What operators see of webhooks, without being told of any merchant."""

from sqlalchemy import case, func, select

from chassis.core import clock
from chassis.core.db import Database
from chassis.core.metrics import Reading
from services.points.webhooks.tables import WebhookDelivery, WebhookEndpoint
from services.points.webhooks.terms import DeliveryState, EndpointState

_HEALTH = ("well", "failing", "paused", "disabled")
_Numbers = dict[tuple[str, ...], float]

# Of what waits for an endpoint that is not told nothing will come until somebody sets it active again.
_waits = (
    WebhookDelivery.state == DeliveryState.PENDING,
    WebhookEndpoint.id == WebhookDelivery.endpoint_id,
    WebhookEndpoint.state == EndpointState.ACTIVE,
)


async def _waiting(db: Database) -> _Numbers:
    async with db.transaction() as session:
        return {(): await session.scalar(select(func.count()).where(*_waits)) or 0}


async def _overdue(db: Database) -> _Numbers:
    async with db.transaction() as session:
        first = await session.scalar(select(func.min(WebhookDelivery.next_attempt_at)).where(*_waits))
    return {(): max(0.0, (clock.now() - first).total_seconds()) if first else 0.0}


async def _endpoints(db: Database) -> _Numbers:
    active = WebhookEndpoint.state == EndpointState.ACTIVE
    health = case(
        (active & WebhookEndpoint.failing_since.is_(None), "well"),
        (active, "failing"),
        (WebhookEndpoint.state == EndpointState.PAUSED, "paused"),
        else_="disabled",
    ).label("health")
    there = WebhookEndpoint.state != EndpointState.REMOVED
    async with db.transaction() as session:
        found = await session.execute(select(health, func.count().label("many")).where(there).group_by(health))
        return {(each,): 0.0 for each in _HEALTH} | {(row.health,): row.many for row in found}


READINGS = (
    Reading("beiyuan_webhooks_waiting", "Webhooks that wait for a try, their first or another", _waiting),
    Reading("beiyuan_webhooks_overdue_seconds", "How late the webhook is that is due longest", _overdue),
    Reading("beiyuan_webhook_endpoints", "Endpoints by how they are doing", _endpoints, ("health",)),
)
