"""Base classes and field types of request and response bodies."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

# Characters that no person types and that break displays, logs or PostgreSQL: C0 and C1 controls (but tab and
# newline), DEL, lone surrogates, and the bidirectional overrides that make one text look like another.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# What shows nothing by itself: spaces, what formats (zero-width characters, tags), marks that need a letter under them,
# and the few that are called letters or symbols though they are blank. A character too new to be known may well show.
_BLANK_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"}
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"

T = TypeVar("T")


class In(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Nothing(In):
    """A body of an action that needs no more than its path: an empty object."""


class Out(BaseModel):
    """A response body or message: no field has a default, so every field is always present."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Page(Out, Generic[T]):
    """A page of a list. `next_cursor` is null on the last page; it carries the filters it was made with."""

    items: list[T]
    next_cursor: str | None


def clean(value: str) -> str:
    """The text itself, or ValueError where it holds a character that no person types."""
    if found := _FORBIDDEN.search(value):
        raise ValueError(f"contains a character that is not allowed here (U+{ord(found.group()):04X})")
    return value


def shows(value: str) -> str:
    """The text itself, or ValueError where it is not empty and yet nobody would see anything of it."""
    if value and all(c in _BLANK_LETTERS or unicodedata.category(c) in _BLANK_CATEGORIES for c in value):
        raise ValueError("shows nothing")
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """People's words as a field type: `Annotated[str, Text(500)]`.

    Newlines become \\n, the ends are stripped, the length in characters is checked; control characters are refused,
    and so is text that shows nothing (zero-width characters alone); emoji that are joined by such are not.
    """

    max_length: int
    min_length: int = 1

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _normalise_newlines,
            core_schema.no_info_after_validator_function(
                lambda value: shows(clean(value)),
                core_schema.str_schema(
                    strict=True, strip_whitespace=True, min_length=self.min_length, max_length=self.max_length
                ),
            ),
        )


def _normalise_newlines(value: object) -> object:
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


def normalise_phone(value: str) -> str:
    """A mainland mobile number as eleven digits: `+86 138-1234-5678` becomes `13812345678`.

    Raises ValueError for anything else.
    """
    digits = re.sub(r"[\s\-()]", "", value)
    digits = re.sub(r"^(?:\+|00)?86(?=1\d{10}$)", "", digits)
    if not re.fullmatch(r"1[0-9]{10}", digits):
        raise ValueError("is not a mobile number of eleven digits")
    return digits


Phone = Annotated[
    str, StringConstraints(strict=True, max_length=40), AfterValidator(clean), AfterValidator(normalise_phone)
]
