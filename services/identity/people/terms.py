"""Where sealed values belong: they open in no other place."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person as whoever keeps record of them knows them. `phone` is normalised (11 digits); a child has none.

    `child`: under fourteen, which `birth_date` may show to be no longer so.
    """

    id: UUID
    name: str
    phone: str | None = None
    child: bool = False
    birth_date: date | None = None


def name_context(person_id: UUID) -> str:
    """The place of a person's sealed name."""
    return f"person.name:{person_id}"


def phone_context(person_id: UUID) -> str:
    """The place of a person's sealed phone number."""
    return f"person.phone:{person_id}"


def birth_context(person_id: UUID) -> str:
    """The place of a child's sealed date of birth."""
    return f"person.birth:{person_id}"
