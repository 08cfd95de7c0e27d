"""What this service does when identity tells that a person's data were erased."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.points.erasure import actions
from services.points.erasure.schemas import PersonDeleted

subscriptions = Subscriptions()


@subscriptions.on("identity.person_deleted.v1", PersonDeleted)
async def on_person_deleted(session: AsyncSession, fact: PersonDeleted, envelope: Envelope) -> None:
    """Erase what is kept of them here."""
    await actions.erase(session, fact.person_id)
