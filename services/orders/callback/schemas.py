"""Bodies about the call-back and the review."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import StrictBool

from chassis.core.schema import In, Out, Text
from services.orders.callback.tables import Callback
from services.orders.terms import Satisfied


class AnswerIn(In):
    """What the resident says."""

    solved: StrictBool
    satisfied: Satisfied


class CallbackIn(In):
    """One try to reach the resident. `solved` and `satisfied` are given exactly where they were reached."""

    contacted: StrictBool
    solved: StrictBool | None = None
    satisfied: Satisfied | None = None


class ReviewIn(In):
    """复核: the supervisor closes the order as truthfully handled, or sends it back to work."""

    decision: Literal["close", "back"]
    note: Annotated[str, Text(1000)]


class CallbackOut(Out):
    """One try to learn what the resident says. `by_link`: the resident answered through the private link."""

    at: datetime
    round: int
    by_link: bool
    contacted: bool
    solved: bool | None
    satisfied: Satisfied | None

    @classmethod
    def of(cls, callback: Callback) -> Self:
        """The try."""
        return cls(
            at=callback.at,
            round=callback.round,
            by_link=callback.by_id is None,
            contacted=callback.contacted,
            solved=callback.solved,
            satisfied=callback.satisfied,
        )
