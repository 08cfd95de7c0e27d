"""The identity service, put together."""

from fastapi import FastAPI

from chassis.core import keys
from chassis.core.client import Directory
from chassis.core.runtime import Parts
from chassis.core.turnstile import Turnstile
from chassis.web.app import Service, build_service
from services.identity.deletion.messages import PersonDeleted
from services.identity.deletion.routes import router as deletion
from services.identity.guardianship.jobs import jobs as guardianship_jobs
from services.identity.guardianship.routes import children, consents
from services.identity.households.jobs import jobs as household_jobs
from services.identity.households.messages import HouseholdChanged
from services.identity.households.routes import internal as internal_households
from services.identity.households.routes import router as households
from services.identity.organisations.messages import OrganisationRecorded
from services.identity.people.routes import internal as internal_people
from services.identity.people.routes import router as people
from services.identity.settings import IdentitySettings
from services.identity.signin.desk import Desk
from services.identity.signin.jobs import jobs as signin_jobs
from services.identity.signin.routes import router as signin
from services.identity.signin.senders import ConsoleSender, SmsSender

SERVICE = Service(
    parts=Parts(
        name="identity",
        publishes=[OrganisationRecorded, HouseholdChanged, PersonDeleted],
        jobs=[*signin_jobs.declared, *household_jobs.declared, *guardianship_jobs.declared],
    ),
    title="Identity 身份",
    description="People, households, children and their guardians' consents, organisations and posts; signing in with "
    "a code by SMS.",
    routers=[signin, people, deletion, households, children, consents, internal_people, internal_households],
)


def create_app(
    settings: IdentitySettings,
    directory: Directory,
    *,
    sender: SmsSender | None = None,
    demo_code: str | None = None,
) -> FastAPI:
    """The service's ASGI application.

    `demo_code` makes every sign-in code that one: for demonstrations on loopback, and there is no other way to set it.
    """
    app = build_service(SERVICE, settings, directory)
    app.state.turnstile = Turnstile()
    app.state.desk = Desk(
        settings=settings,
        signing_keys=keys.read_signing_keys(settings.keys_path / "access-tokens.json"),
        sender=sender or ConsoleSender(),
        demo_code=demo_code,
    )
    return app
