"""The points service 双向积分+, put together."""

from dataclasses import replace
from functools import partial

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts, Runtime
from chassis.core.turnstile import Turnstile
from chassis.web.app import Service, build_service
from services.points.awards.routes import router as rules
from services.points.awards.subscribers import subscriptions as facts
from services.points.boards.jobs import follow as follow_ledgers
from services.points.boards.routes import router as boards
from services.points.catalogue.routes import catalogue, rolls
from services.points.counter.clerk_routes import clerks, joining
from services.points.counter.jobs import jobs as counter_jobs
from services.points.counter.routes import router as counter
from services.points.coupons.jobs import jobs as coupon_jobs
from services.points.coupons.routes import coupons, redemptions
from services.points.downloads import Spreadsheets
from services.points.erasure.subscribers import subscriptions as erasures
from services.points.households.subscribers import subscriptions as households
from services.points.ledger.jobs import jobs as ledger_jobs
from services.points.ledger.messages import PointsExpiring
from services.points.ledger.writer import Writer
from services.points.merchants import door, openapi
from services.points.merchants.jobs import jobs as merchant_jobs
from services.points.merchants.numbers import WAIT_SECONDS
from services.points.merchants.platform import PlatformKeys
from services.points.merchants.routes import OPEN_PATHS
from services.points.merchants.routes import router as merchants
from services.points.outlook.routes import outlook
from services.points.postings.actions import ByHand
from services.points.postings.routes import holds, proposals, transfers
from services.points.registry.routes import router as registry
from services.points.rewards.routes import rewards
from services.points.seals.demand import OnDemand
from services.points.seals.jobs import follow as seal
from services.points.seals.jobs import sealing_of
from services.points.seals.routes import router as seals
from services.points.settings import PointsSettings
from services.points.settlement.jobs import jobs as settlement_jobs
from services.points.settlement.routes import router as settlement
from services.points.statements.routes import router as accounts
from services.points.webhooks.jobs import jobs as webhook_jobs
from services.points.webhooks.jobs import send_webhooks
from services.points.webhooks.readings import READINGS as WEBHOOK_READINGS
from services.points.webhooks.routes import router as webhooks

MAX_BODY_BYTES = 4 << 20
"""A batch of 5,000 transfers whose accounts are named by what they are."""

SERVICE = Service(
    parts=Parts(
        name="points",
        subscriptions=facts.by_type | households.by_type | erasures.by_type,
        publishes=[PointsExpiring],
        jobs=[
            *ledger_jobs.declared,
            *coupon_jobs.declared,
            *merchant_jobs.declared,
            *settlement_jobs.declared,
            *webhook_jobs.declared,
            *counter_jobs.declared,
        ],
        followers=[follow_ledgers, seal, send_webhooks],
        readings=WEBHOOK_READINGS,
    ),
    title="Two-way points 双向积分+",
    description="Two ledgers: `staff` measures the handling of orders, `civic` is earned and spent by households.",
    # The first that are looked at are those that are asked for most.
    routers=[
        transfers,
        accounts,
        rewards,
        redemptions,
        coupons,
        outlook,
        merchants,
        joining,
        counter,
        registry,
        clerks,
        boards,
        rules,
        holds,
        proposals,
        seals,
        webhooks,
        settlement,
        catalogue,
        rolls,
    ],
    max_body_bytes=MAX_BODY_BYTES,
    describe=openapi.describe,
)


def create_app(settings: PointsSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application. Raises KeysMissing without its key files."""
    keys = PlatformKeys(settings.keys_path)
    limits = door.Limits(
        per_address=settings.merchant_requests_per_address, per_merchant=settings.merchant_requests_per_merchant
    )
    at_the_door = partial(door.Door, keys=keys, limits=limits, routes=merchants.routes, open_paths=OPEN_PATHS)
    app = build_service(replace(SERVICE, middleware=[at_the_door]), settings, directory)
    runtime: Runtime = app.state.runtime
    app.state.writer = Writer(runtime.db, runtime.vault, runtime.metrics)
    runtime.closing.append(app.state.writer.close)
    app.state.by_hand = ByHand(settings.hand_posting_limit, settings.hand_posting_day_limit)
    app.state.merchant_numbers = Turnstile(wait_seconds=WAIT_SECONDS)
    app.state.platform_keys = keys
    app.state.spreadsheets = Spreadsheets()
    app.state.seals = OnDemand(sealing_of(runtime))
    runtime.closing.append(app.state.seals.close)
    return app
