"""The fact that a person's data were erased."""

from typing import ClassVar
from uuid import UUID

from chassis.core.messages import Message


class PersonDeleted(Message):
    """A person's data were erased: an account was deleted, or a child's record. Whoever keeps a name, a phone or what
    somebody is erases it. The id stays as a pseudonym.
    """

    type: ClassVar[str] = "identity.person_deleted.v1"
    to: ClassVar[tuple[str, ...]] = ("orders", "points")

    person_id: UUID

    @property
    def aggregate(self) -> str:
        return f"person/{self.person_id}"
