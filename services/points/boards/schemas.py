"""Boards as they are asked for and shown."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from chassis.core.schema import In, Out
from services.points.boards.rules import ranks
from services.points.boards.terms import BoardKind, BoardPeriod, Mark, Standing, Top, Which
from services.points.terms import LedgerName

Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
"""A moment that a calendar can be asked about, whatever its offset."""


class BoardFilters(In):
    """Which board of a period: of which ledger, whom it ranks, and a moment of the period (the present one if none)."""

    ledger: LedgerName = LedgerName.CIVIC
    kind: BoardKind = BoardKind.HOUSEHOLD
    at: Moment | None = None
    limit: int = Field(default=20, ge=1, le=100)


class SubjectFilters(In):
    """On which board of a period somebody's place is looked up, as in `BoardFilters`."""

    ledger: LedgerName = LedgerName.CIVIC
    kind: BoardKind = BoardKind.HOUSEHOLD
    at: Moment | None = None


class OwnFilters(In):
    """A moment of the period whose boards are meant (the present one if none)."""

    at: Moment | None = None


class AsOf(Out):
    """The ledger's number that the scores belong to, and when that transfer was posted (null before the first).

    All transfers up to it count, and none after it.
    """

    sequence: int
    posted_at: datetime | None

    @classmethod
    def of(cls, mark: Mark) -> Self:
        """The mark as it is shown."""
        return cls(sequence=mark.sequence, posted_at=mark.posted_at)


class LineOut(Out):
    """A place on a board. Who ties shares a rank, and the next is as many further.

    `subject_id` is null for who is not to be known to the caller. `own` is the caller's own place.
    """

    rank: int
    score: int
    subject_id: UUID | None
    own: bool


class BoardOut(Out):
    """The top of a board of `size` subjects, for the period that begins on a day in Beijing (null for all time)."""

    ledger: LedgerName
    kind: BoardKind
    period: BoardPeriod
    starts_on: date | None
    as_of: AsOf
    size: int
    items: list[LineOut]

    @classmethod
    def of(cls, which: Which, kind: BoardKind, top: Top, *, own: UUID | None, shown: bool) -> Self:
        """The board as it is shown: with everybody's ids, or with the caller's `own` alone."""
        places = ranks([score for _, score in top.lines])
        return cls(
            ledger=which.ledger,
            kind=kind,
            period=which.period,
            starts_on=_starts_on(which),
            as_of=AsOf.of(top.mark),
            size=top.size,
            items=[
                LineOut(
                    rank=rank, score=score, subject_id=subject if shown or subject == own else None, own=subject == own
                )
                for rank, (subject, score) in zip(places, top.lines, strict=True)
            ],
        )


class StandingOut(Out):
    """Somebody's place on a board of `size` subjects. Who has nothing on it has no rank."""

    ledger: LedgerName
    kind: BoardKind
    period: BoardPeriod
    starts_on: date | None
    as_of: AsOf
    size: int
    subject_id: UUID
    rank: int | None
    score: int

    @classmethod
    def of(cls, which: Which, mark: Mark, standing: Standing) -> Self:
        """The standing as it is shown."""
        return cls(
            ledger=which.ledger,
            kind=standing.kind,
            period=which.period,
            starts_on=_starts_on(which),
            as_of=AsOf.of(mark),
            size=standing.size,
            subject_id=standing.subject_id,
            rank=standing.rank,
            score=standing.score,
        )


class StandingsOut(Out):
    """One's own places."""

    items: list[StandingOut]

    @classmethod
    def of(cls, answers: Collection[tuple[Which, Mark, Sequence[Standing]]]) -> Self:
        """All places that were found, ledger by ledger."""
        return cls(items=[StandingOut.of(which, mark, one) for which, mark, found in answers for one in found])


def _starts_on(which: Which) -> date | None:
    return None if which.period is BoardPeriod.ALL else which.starts_on
