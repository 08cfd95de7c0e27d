"""What this service does with the facts that orders and events tell."""

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.messages import Envelope, Subscriptions
from services.points.awards import actions
from services.points.awards.schemas import FACTS, ToldFact

subscriptions = Subscriptions()


async def accept(session: AsyncSession, fact: ToldFact, envelope: Envelope) -> None:
    """Award what the fact earns in the transaction that receives its message."""
    await actions.accept(session, fact)


for _type, _view in FACTS.items():
    subscriptions.on(_type, _view)(accept)
