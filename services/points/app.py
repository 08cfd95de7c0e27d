"""The points service 双向积分+, put together."""

from dataclasses import replace
from functools import partial

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.core.turnstile import Turnstile
from chassis.web.app import Service, build_service
from services.points.awards.routes import router as rules
from services.points.awards.subscribers import subscriptions as facts
from services.points.households.subscribers import subscriptions as households
from services.points.merchants import door, openapi
from services.points.merchants.jobs import jobs as merchant_jobs
from services.points.merchants.platform import read_platform_keys
from services.points.merchants.queries import WAIT_SECONDS
from services.points.merchants.routes import OPEN_PATHS
from services.points.merchants.routes import router as merchants
from services.points.rewards.jobs import jobs as rewards_jobs
from services.points.rewards.routes import coupons, rewards
from services.points.settings import PointsSettings
from services.points.statements.routes import router as accounts

SERVICE = Service(
    parts=Parts(
        name="points",
        subscriptions=facts.by_type | households.by_type,
        jobs=[*rewards_jobs.declared, *merchant_jobs.declared],
    ),
    title="Two-way points 双向积分+",
    description="Two ledgers: `staff` measures the handling of orders, `civic` is earned and spent by households.",
    routers=[accounts, rules, rewards, coupons, merchants],
    describe=openapi.describe,
)


def create_app(settings: PointsSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application. Raises KeysMissing without its key files."""
    keys = read_platform_keys(settings.keys_path)
    limits = door.Limits(
        per_address=settings.merchant_requests_per_address, per_merchant=settings.merchant_requests_per_merchant
    )
    at_the_door = partial(door.Door, keys=keys, limits=limits, routes=merchants.routes, open_paths=OPEN_PATHS)
    app = build_service(replace(SERVICE, middleware=[at_the_door]), settings, directory)
    app.state.turnstile = Turnstile()
    app.state.merchant_numbers = Turnstile(wait_seconds=WAIT_SECONDS)
    app.state.platform_keys = keys
    return app
