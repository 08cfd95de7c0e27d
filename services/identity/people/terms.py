"""Where sealed values belong: they open in no other place."""

from uuid import UUID


def name_context(person_id: UUID) -> str:
    """The place of a person's sealed name."""
    return f"person.name:{person_id}"


def phone_context(person_id: UUID) -> str:
    """The place of a person's sealed phone number."""
    return f"person.phone:{person_id}"
