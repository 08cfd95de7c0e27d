"""What this service does with the facts that the identity service tells."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.orders.places import actions
from services.orders.places.schemas import OrganisationRecorded

subscriptions = Subscriptions()


@subscriptions.on("identity.organisation_recorded.v1", OrganisationRecorded)
async def on_organisation_recorded(session: AsyncSession, fact: OrganisationRecorded, envelope: Envelope) -> None:
    """Keep our own record of the units that orders are routed to."""
    await actions.record_unit(
        session,
        fact.id,
        name=fact.name,
        kind=fact.kind,
        level=fact.level,
        parent_id=fact.parent_id,
        remit=fact.remit,
    )
