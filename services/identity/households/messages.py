"""Facts about households."""

from typing import ClassVar, Self

from chassis.core.messages import Message
from services.identity.households.schemas import HouseholdSnapshot


class HouseholdChanged(HouseholdSnapshot, Message):
    """A household was founded, joined, left or dissolved, a member turned fourteen, a consent was given or withdrawn:
    this is the whole of it as it now is.

    Of several the one with the highest version holds. While two households change, a person may for a moment stand in
    both copies, or in none.
    """

    type: ClassVar[str] = "identity.household_changed.v1"
    to: ClassVar[tuple[str, ...]] = ("events", "points")

    @property
    def aggregate(self) -> str:
        return f"household/{self.household_id}"

    @classmethod
    def of(cls, snapshot: HouseholdSnapshot) -> Self:
        """The household as it stands."""
        return cls(
            occurred_at=snapshot.occurred_at,
            household_id=snapshot.household_id,
            version=snapshot.version,
            members=snapshot.members,
            dissolved_into=snapshot.dissolved_into,
        )
