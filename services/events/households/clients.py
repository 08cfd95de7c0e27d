"""Calls to the identity service about households."""

from uuid import UUID

import structlog

from chassis.core.client import CallRefused, ServiceClient
from chassis.core.errors import Unavailable
from services.events.households.schemas import HouseholdSnapshot

log = structlog.get_logger(__name__)


async def fetch_household(client: ServiceClient, household_id: UUID) -> HouseholdSnapshot | None:
    """The household as it is now; None where there is none. Raises Unavailable where identity does not tell."""
    try:
        answer = await client.get("identity", f"/internal/households/{household_id}")
    except CallRefused as refusal:
        if refusal.status == 404:
            return None
        log.warning("household_not_told", status=refusal.status, code=refusal.code)
        raise Unavailable("The identity service does not tell about the household.") from refusal
    return HouseholdSnapshot.model_validate(answer)
