"""Who is asking, as actions see them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person, as their access token describes them.

    `roles` are the names of the posts they hold; `organisation_id` and `level` say where; `household_id` is the
    household whose civic wallet is theirs. A service makes its own sense of the role names.
    """

    id: UUID
    roles: frozenset[str]
    organisation_id: UUID | None
    level: str | None
    household_id: UUID | None

    def has(self, *roles: str) -> bool:
        """Whether they hold any of these roles."""
        return not self.roles.isdisjoint(roles)
