"""What this service does with the facts that orders and events tell."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.inbox import Subscriptions
from chassis.core.messages import Envelope
from services.points.awards import actions
from services.points.awards.facts import FACTS, ToldFact

subscriptions = Subscriptions()


@subscriptions.on_many(FACTS)
async def accept(session: AsyncSession, told: Sequence[tuple[ToldFact, Envelope]]) -> None:
    """Award what the facts earn in the transaction that receives their messages."""
    await actions.accept_all(session, [fact for fact, _ in told])
