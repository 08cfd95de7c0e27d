"""通知: webhooks over HTTP, for merchants' managers and administrators; auditors read."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Nothing, Page
from chassis.web.deps import CursorsDep, RuntimeDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.merchants.errors import MerchantNotFound
from services.points.permissions import MaySeeMerchants, MaySeeToMerchants
from services.points.settings import PointsSettings
from services.points.webhooks import actions, queries
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
    DeliveryFilters,
    DeliveryOut,
    EndpointChange,
    EndpointFilters,
    EndpointIn,
    EndpointOut,
    EndpointsOut,
    EndpointWithSecret,
    ReplayedOut,
    ReplayIn,
    RotationIn,
)

router = Router(prefix="/api/points/webhooks/endpoints", tags=["webhooks"])


@router.get("", responses=problems(MerchantNotFound))
async def list_webhook_endpoints(
    filters: Annotated[EndpointFilters, Query()], actor: MaySeeMerchants, session: SessionDep
) -> EndpointsOut:
    """通知地址: where a merchant is told, and how each address is doing."""
    return EndpointsOut(items=await actions.list_endpoints(session, actor, filters.merchant_id))


@router.post("", status_code=201, responses=problems(MerchantNotFound, UrlNotAcceptable, TooManyEndpoints))
async def create_webhook_endpoint(
    body: EndpointIn, actor: MaySeeToMerchants, session: SessionDep, vault: VaultDep, runtime: RuntimeDep
) -> EndpointWithSecret:
    """新增通知地址: tell a merchant at an address of its own, of some events or of all.

    The answer holds the secret by which what arrives there is checked (Standard Webhooks, HMAC-SHA256). It is not shown
    again.
    """
    return await actions.create_endpoint(session, vault, actor, body, local_addresses=_local_addresses(runtime))


@router.get("/{endpoint_id}", responses=problems(EndpointNotFound))
async def show_webhook_endpoint(endpoint_id: UUID, actor: MaySeeMerchants, session: SessionDep) -> EndpointOut:
    """One endpoint and how it is doing."""
    return await actions.show_endpoint(session, actor, endpoint_id)


@router.patch("/{endpoint_id}", responses=problems(EndpointNotFound, UrlNotAcceptable))
async def change_webhook_endpoint(
    endpoint_id: UUID, body: EndpointChange, actor: MaySeeToMerchants, session: SessionDep, runtime: RuntimeDep
) -> EndpointOut:
    """Give it another address or other events, pause it, or set it active again, also where we disabled it.

    What happens while it is not active is not kept for it; what waited for it before goes on.
    """
    local = _local_addresses(runtime)
    return await actions.change_endpoint(session, actor, endpoint_id, body, local_addresses=local)


@router.delete("/{endpoint_id}", status_code=204, responses=problems(EndpointNotFound))
async def remove_webhook_endpoint(endpoint_id: UUID, actor: MaySeeToMerchants, session: SessionDep) -> None:
    """Tell this address no more, not even of what waits for it."""
    await actions.remove_endpoint(session, actor, endpoint_id)


@router.post("/{endpoint_id}/rotate-secret", responses=problems(EndpointNotFound))
async def rotate_webhook_secret(
    endpoint_id: UUID, body: RotationIn, actor: MaySeeToMerchants, session: SessionDep, vault: VaultDep
) -> EndpointWithSecret:
    """轮换密钥: a new secret. For some hours the present one signs beside it: each webhook then bears two signatures.

    Two secrets sign at most: one that was on its way out already is out at once.
    """
    return await actions.rotate_secret(session, vault, actor, endpoint_id, timedelta(hours=body.overlap_hours))


@router.post(
    "/{endpoint_id}/test", status_code=202, responses=problems(EndpointNotFound, EndpointInactive, TooManyTests)
)
async def send_test_webhook(
    endpoint_id: UUID, actor: MaySeeToMerchants, session: SessionDep, body: Nothing | None = None
) -> DeliveryDetail:
    """发送测试通知: a TEST event, to this endpoint alone; a merchant may have ten a minute.

    What came of it stands in its log a moment later.
    """
    return await actions.send_test(session, actor, endpoint_id)


@router.get("/{endpoint_id}/deliveries", responses=problems(EndpointNotFound, InvalidCursor))
async def list_webhook_deliveries(
    endpoint_id: UUID,
    filters: Annotated[DeliveryFilters, Query()],
    actor: MaySeeMerchants,
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[DeliveryOut]:
    """通知记录: what this endpoint was told, or is to be, the latest event first; for thirty days."""
    await actions.show_endpoint(session, actor, endpoint_id)
    return await queries.list_deliveries(session, cursors, endpoint_id, filters)


@router.post("/{endpoint_id}/deliveries/replay", responses=problems(EndpointNotFound, EndpointInactive))
async def replay_failed_webhooks(
    endpoint_id: UUID, body: ReplayIn, actor: MaySeeToMerchants, session: SessionDep
) -> ReplayedOut:
    """重发失败通知: send everything again that was given up of the events since a moment, a thousand at a time."""
    return await actions.replay_failed(session, actor, endpoint_id, body.since)


@router.get("/{endpoint_id}/deliveries/{event_id}", responses=problems(EndpointNotFound, DeliveryNotFound))
async def show_webhook_delivery(
    endpoint_id: UUID, event_id: UUID, actor: MaySeeMerchants, session: SessionDep
) -> DeliveryDetail:
    """One delivery: what is told, and every try. Of what the endpoint answered only the status is known."""
    await actions.show_endpoint(session, actor, endpoint_id)
    return await queries.delivery_detail(session, endpoint_id, event_id)


@router.post(
    "/{endpoint_id}/deliveries/{event_id}/replay",
    responses=problems(EndpointNotFound, DeliveryNotFound, DeliveryPending, EndpointInactive),
)
async def replay_webhook(
    endpoint_id: UUID, event_id: UUID, actor: MaySeeToMerchants, session: SessionDep, body: Nothing | None = None
) -> DeliveryDetail:
    """重发: send an event again under the same id, one that was delivered too. If need be, by all the pauses again."""
    return await actions.replay(session, actor, endpoint_id, event_id)


def _local_addresses(runtime: RuntimeDep) -> bool:
    assert isinstance(runtime.settings, PointsSettings)
    return runtime.settings.webhook_local_addresses
