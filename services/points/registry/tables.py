"""What was changed about merchants. The service's role may neither update nor delete it (see the migration)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from services.points.registry.terms import MerchantEventKind
from services.points.tables import Base, words


class MerchantEvent(Base):
    """Who changed what about a merchant, when, and why. Ids grow with time."""

    __tablename__ = "merchant_event"
    __table_args__ = (Index(None, "merchant_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    kind: Mapped[MerchantEventKind] = mapped_column(words(MerchantEventKind))
    at: Mapped[datetime]
    actor_id: Mapped[UUID]
    subject: Mapped[str | None]
    """The store's id, the key's serial number or the clerk's id that it was about."""
    reason: Mapped[str | None]
