"""What this service does with what identity tells of households."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.points.households import actions
from services.points.households.schemas import HouseholdChanged

subscriptions = Subscriptions()


@subscriptions.on("identity.household_changed.v1", HouseholdChanged)
async def follow(session: AsyncSession, household: HouseholdChanged, envelope: Envelope) -> None:
    """Take the household over as it now is."""
    await actions.follow(session, household)
