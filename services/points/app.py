"""The points service 双向积分+, put together."""

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.web.app import Service, build_service
from services.points.awards.routes import router as rules
from services.points.awards.subscribers import subscriptions
from services.points.settings import PointsSettings
from services.points.statements.routes import router as accounts

SERVICE = Service(
    parts=Parts(name="points", subscriptions=subscriptions.by_type),
    title="Two-way points 双向积分+",
    description="Two ledgers: `staff` measures the handling of orders, `civic` is earned and spent by households.",
    routers=[accounts, rules],
)


def create_app(settings: PointsSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application."""
    return build_service(SERVICE, settings, directory)
