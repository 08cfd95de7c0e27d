"""What this service's routes ask for by type, besides the chassis's own. Declare these before the session."""

from collections.abc import AsyncIterator, Collection
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from chassis.core.actor import Actor
from chassis.core.turnstile import Turnstile
from chassis.web.auth import runtime_of
from chassis.web.deps import take_turn
from services.events.households import actions as households
from services.events.permissions import Resident


async def _turn(request: Request, activity_id: UUID) -> AsyncIterator[None]:
    async with take_turn(request, _turnstile(request), activity_id):
        yield


def _turnstile(request: Request) -> Turnstile:
    turnstile: Turnstile = request.app.state.turnstile
    return turnstile


async def household_of(request: Request, actor: Actor, members: Collection[UUID] = ()) -> UUID:
    """The actor's household as it stands, of which identity is asked if our copy does not suffice for these members.

    For dependencies that come before the session. Raises NoHousehold, Unavailable.
    """
    runtime = runtime_of(request)
    return await households.ask_household(runtime.db, runtime.client, _turnstile(request), actor, members)


async def _household(request: Request, actor: Resident) -> UUID:
    return await household_of(request, actor)


TurnDep = Annotated[None, Depends(_turn, scope="function")]
"""The request's turn at the activity in its path, held until it is committed."""

HouseholdDep = Annotated[UUID, Depends(_household)]
"""The resident's household as it stands, of which identity was asked if our copy did not suffice."""
