"""Facts about organisations."""

from typing import ClassVar
from uuid import UUID

from chassis.core.messages import Message
from services.identity.organisations.tables import Organisation
from services.identity.terms import Level, OrganisationKind


class OrganisationRecorded(Message):
    """An organisation was recorded, or its name, parent or remit changed: this is what it is now."""

    type: ClassVar[str] = "identity.organisation_recorded.v1"
    to: ClassVar[tuple[str, ...]] = ("orders",)

    id: UUID
    name: str
    kind: OrganisationKind
    level: Level
    parent_id: UUID | None
    remit: list[str]

    @property
    def aggregate(self) -> str:
        return f"organisation/{self.id}"

    @classmethod
    def of(cls, organisation: Organisation) -> "OrganisationRecorded":
        """As the organisation stands."""
        return cls(
            occurred_at=organisation.changed_at,
            id=organisation.id,
            name=organisation.name,
            kind=OrganisationKind(organisation.kind),
            level=Level(organisation.level),
            parent_id=organisation.parent_id,
            remit=organisation.remit,
        )
