"""What this service does with what the identity service tells of households."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.events.households import actions
from services.events.households.schemas import HouseholdSnapshot

subscriptions = Subscriptions()


@subscriptions.on("identity.household_changed.v1", HouseholdSnapshot)
async def on_household_changed(session: AsyncSession, fact: HouseholdSnapshot, envelope: Envelope) -> None:
    """Bring our copy up to date; a withdrawn consent and a departure end what depends on them."""
    await actions.apply(session, fact)
