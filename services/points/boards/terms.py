"""What is ranked, and over which time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from services.points.terms import LedgerName


class BoardPeriod(StrEnum):
    """Over which calendar period (Asia/Shanghai; a week begins on Monday) a board counts."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ALL = "all"


class BoardKind(StrEnum):
    """Whom a board ranks: to whom awards are credited."""

    PERSON = "person"
    UNIT = "unit"
    HOUSEHOLD = "household"
    COMMUNITY = "community"


@dataclass(frozen=True, slots=True)
class Mark:
    """The ledger's number that an answer belongs to, and what of the ledger is not in it yet."""

    sequence: int
    posted_at: datetime | None
    behind: int
    unmerged: bool

    @property
    def current(self) -> bool:
        """Whether everything that was committed is in it."""
        return self.behind == 0 and not self.unmerged


@dataclass(frozen=True, slots=True)
class Which:
    """A period's boards of a ledger."""

    ledger: LedgerName
    period: BoardPeriod
    starts_on: date


@dataclass(frozen=True, slots=True)
class Top:
    """The highest scores of a board, and how many are on it."""

    mark: Mark
    size: int
    lines: Sequence[tuple[UUID, int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody is on a board of `size` others and them. Who is not on it has no rank, and nothing."""

    kind: BoardKind
    subject_id: UUID
    size: int
    rank: int | None
    score: int
