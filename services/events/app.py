"""The events service, put together."""

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.web.app import Service, build_service
from services.events.activities import tables as _activities  # noqa: F401
from services.events.attendance import tables as _attendance  # noqa: F401
from services.events.households import tables as _households  # noqa: F401
from services.events.settings import EventsSettings
from services.events.signups import tables as _signups  # noqa: F401

SERVICE = Service(
    parts=Parts(name="events"),
    title="Activities 宝贝计划",
    description="Activities, who signs up for them with which members of the household, and whose hours are verified.",
    routers=[],
)


def create_app(settings: EventsSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application."""
    return build_service(SERVICE, settings, directory)
