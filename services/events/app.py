"""The events service, put together."""

from fastapi import FastAPI

from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.core.turnstile import Turnstile
from chassis.web.app import Service, build_service
from services.events.activities.jobs import jobs as activity_jobs
from services.events.activities.routes import organisations
from services.events.activities.routes import router as activities
from services.events.attendance.jobs import jobs as attendance_jobs
from services.events.attendance.messages import AttendanceVerified, AttendanceWithdrawn
from services.events.attendance.routes import router as attendance
from services.events.households.subscribers import subscriptions
from services.events.settings import EventsSettings
from services.events.signups.errors import AlreadySignedUp
from services.events.signups.routes import router as signups

WAIT_SECONDS = 25.0
"""How long a family may stand in the queue in front of an activity: less than the gateway waits for an answer."""

SERVICE = Service(
    parts=Parts(
        name="events",
        publishes=[AttendanceVerified, AttendanceWithdrawn],
        subscriptions=subscriptions.by_type,
        jobs=[*activity_jobs.declared, *attendance_jobs.declared],
    ),
    title="Activities 宝贝计划",
    description="Activities, who signs up for them with which members of the household, and whose hours are verified.",
    routers=[activities, signups, attendance, organisations],
    constraint_errors={"uq_signup_member_living": AlreadySignedUp},
)


def create_app(settings: EventsSettings, directory: Directory) -> FastAPI:
    """The service's ASGI application."""
    app = build_service(SERVICE, settings, directory)
    app.state.turnstile = Turnstile(wait_seconds=WAIT_SECONDS)
    return app
