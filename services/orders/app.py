"""The orders service, put together."""

from dataclasses import replace

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.web.app import Service, build_service
from services.orders.callback.messages import OrderClosed
from services.orders.callback.routes import router as callback
from services.orders.intake.jobs import jobs as intake_jobs
from services.orders.intake.routes import router as intake
from services.orders.intake.routes import tracking
from services.orders.intake.subscribers import subscriptions as intake_subscriptions
from services.orders.photos.jobs import jobs as photo_jobs
from services.orders.photos.routes import router as photos
from services.orders.photos.storage import LocalFolder
from services.orders.places.subscribers import subscriptions as place_subscriptions
from services.orders.settings import OrdersSettings
from services.orders.workflow.errors import OrderAlreadyClaimed
from services.orders.workflow.messages import ClaimReleased, MeetingWithdrawn, OrderClaimed, OrderMet
from services.orders.workflow.routes import router as workflow

FORM_BYTES = 1 << 16
"""What a form may add around the one photo in it."""

SERVICE = Service(
    parts=Parts(
        name="orders",
        publishes=[OrderClaimed, ClaimReleased, OrderMet, MeetingWithdrawn, OrderClosed],
        subscriptions=place_subscriptions.by_type | intake_subscriptions.by_type,
        jobs=[*intake_jobs.declared, *photo_jobs.declared],
    ),
    title="Orders 接诉即办",
    description="Reports from residents (码上说), who handles them, by when, and what the resident says in the end.",
    routers=[photos, tracking, intake, workflow, callback],
    constraint_errors={"uq_claim_held": OrderAlreadyClaimed},
)


def create_app(settings: OrdersSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application."""
    service = replace(SERVICE, max_body_bytes=settings.photo_max_bytes + FORM_BYTES)
    app = build_service(service, settings, directory)
    app.state.photo_storage = LocalFolder(settings.photos_path)
    return app
