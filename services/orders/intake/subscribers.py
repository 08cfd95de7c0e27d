"""What becomes of reports when the identity service tells that a reporter deleted their account."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.orders.intake import actions
from services.orders.intake.schemas import PersonDeleted

subscriptions = Subscriptions()


@subscriptions.on("identity.person_deleted.v1", PersonDeleted)
async def on_person_deleted(session: AsyncSession, fact: PersonDeleted, envelope: Envelope) -> None:
    """Erase the contact of every report of theirs."""
    await actions.erase_contacts(session, fact.person_id)
