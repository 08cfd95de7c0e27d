"""Tables of the call-back."""

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chassis.core.db import Instant
from services.orders.tables import Base
from services.orders.terms import Satisfied


class Callback(Base):
    """回访: one try to learn what the resident says, by a call-back agent, or by private link (`by_id` is null)."""

    __tablename__ = "callback"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), index=True)
    round: Mapped[int]
    at: Mapped[Instant]
    by_id: Mapped[UUID | None]
    contacted: Mapped[bool]
    solved: Mapped[bool | None]
    satisfied: Mapped[Satisfied | None]
