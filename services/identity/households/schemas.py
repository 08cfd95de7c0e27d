"""Bodies about households and invitations."""

import re
import unicodedata
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from chassis.core.schema import In, Out, clean
from services.identity.households.terms import CODE_ALPHABET, CODE_LENGTH
from services.identity.terms import ConsentPurpose

_CODE = re.compile(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}")


def normalise_code(value: str) -> str:
    """An invitation code as it is stored: `acde fgh-3` becomes `ACDEFGH3`. Raises ValueError for anything else."""
    code = re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", value)).upper()
    if not _CODE.fullmatch(code):
        raise ValueError(f"is not an invitation code of {CODE_LENGTH} letters and digits")
    return code


class ConsentInForce(Out):
    """A guardian's consent that is alive."""

    id: UUID
    purpose: ConsentPurpose
    text_version: str
    given_at: AwareDatetime


class Member(Out):
    """A member of one's own household. Only a guardian is shown the date of birth; it is kept until the 14th birthday.

    `child` means under fourteen. Guardians and consents are empty for adults.
    """

    id: UUID
    name: str
    child: bool
    birth_date: date | None
    guardian_ids: list[UUID]
    consents: list[ConsentInForce]


class OpenInvitation(Out):
    """An invitation that can still be used. Its code was shown once, to whoever made it."""

    id: UUID
    created_by: UUID
    expires_at: AwareDatetime


class OwnHousehold(Out):
    """One's own household, oneself included."""

    id: UUID
    members: list[Member]
    invitations: list[OpenInvitation]


class NewHousehold(OwnHousehold):
    """The household that one belongs to from now on."""

    refresh_tokens: Literal[True] = Field(
        description="The access token in hand names the former household: get a new one now, by the refresh token."
    )


class InvitationOut(Out):
    """A code that lets one person in, to be handed on in confidence: it is shown only here."""

    id: UUID
    code: str = Field(description="Eight letters and digits, none of which looks like another.")
    expires_at: AwareDatetime


class JoinIn(In):
    """An invitation code; small letters, spaces and hyphens are fine."""

    code: Annotated[
        str, StringConstraints(strict=True, max_length=40), AfterValidator(clean), AfterValidator(normalise_code)
    ]


class MemberFlags(Out):
    """What other services know of a member. `child`: under fourteen. `consented`: a guardian's consent to taking part
    in activities is alive; false for adults, who need none.
    """

    person_id: UUID
    child: bool
    consented: bool


class HouseholdSnapshot(Out):
    """The whole household as of `version`: ids and flags, no names, no ages.

    `version` counts every change, from 1. `dissolved_into`: the household that everybody joined, if they did.
    """

    occurred_at: AwareDatetime
    household_id: UUID
    version: int
    members: list[MemberFlags]
    dissolved_into: UUID | None
