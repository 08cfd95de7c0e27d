"""Facts about wallets. They hold ids and points; of nobody a name."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from chassis.core.messages import Message


class PointsExpiring(Message):
    """即将到期: so many points of a household cannot be spent any more from `expires_at` on.

    Told once for a household and a moment of expiry, thirty days ahead of it (or as soon as they are there). Points
    that are held are not counted: they do not expire while they are.
    """

    type: ClassVar[str] = "points.points_expiring.v1"
    to: ClassVar[tuple[str, ...]] = ()  # no service tells residents of it yet

    household_id: UUID
    points: Annotated[int, Field(gt=0)]
    expires_at: AwareDatetime

    @property
    def aggregate(self) -> str:
        return f"household/{self.household_id}"
