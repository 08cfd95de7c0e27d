"""Bodies about children, guardians and consents."""

import re
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from chassis.core.schema import In, Out, Text
from services.identity.guardianship.tables import Consent
from services.identity.terms import ConsentPurpose

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_date(value: object) -> object:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("is not a date like 2018-06-01")
    return value


Name = Annotated[str, Text(50)]
TextVersion = Annotated[str, Text(40)]


class ChildIn(In):
    """A child under fourteen, and the version of the text that its guardian read and consents to."""

    name: Name
    birth_date: Annotated[date, BeforeValidator(_iso_date)]
    text_version: TextVersion = Field(description="Of the text for the purpose `child_record`.")


class ChildPatch(In):
    """A child's name, corrected."""

    name: Name


class GuardianIn(In):
    """Another guardian: an adult of the household."""

    person_id: UUID


class ConsentIn(In):
    """A guardian's consent."""

    child_id: UUID
    purpose: ConsentPurpose
    text_version: TextVersion


class ConsentOut(Out):
    """A consent as it was given, and when and by whom it was withdrawn.

    One that ended by itself, since the child turned fourteen, was withdrawn by nobody.
    """

    id: UUID
    child_id: UUID
    purpose: ConsentPurpose
    text_version: str
    given_at: AwareDatetime
    given_by: UUID
    withdrawn_at: AwareDatetime | None
    withdrawn_by: UUID | None

    @classmethod
    def of(cls, consent: Consent) -> Self:
        """The consent."""
        return cls(
            id=consent.id,
            child_id=consent.child_id,
            purpose=ConsentPurpose(consent.purpose),
            text_version=consent.text_version,
            given_at=consent.given_at,
            given_by=consent.given_by,
            withdrawn_at=consent.ended_at,
            withdrawn_by=consent.ended_by,
        )


class ConsentText(Out):
    """What a guardian consents to."""

    purpose: ConsentPurpose
    version: str
    text: str = Field(description="In Chinese.")


class ConsentTexts(Out):
    """The texts in force, one for each purpose."""

    items: list[ConsentText]
