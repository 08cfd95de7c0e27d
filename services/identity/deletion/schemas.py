"""Bodies about deleting an account."""

from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from chassis.core.schema import In


def _must_be_true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true")
    return value


class DeleteIn(In):
    """That one's account is to be deleted, and with it the children who would be left without a guardian."""

    confirm: Annotated[StrictBool, AfterValidator(_must_be_true)] = Field(description="Must be true.")
    with_children: StrictBool = False
