"""What is ranked, and over which time."""

from enum import StrEnum


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
