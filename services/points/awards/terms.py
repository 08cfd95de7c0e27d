"""What earns points, for what, and how far a cap reaches."""

from enum import StrEnum


class SubjectKind(StrEnum):
    """What a fact is about. A rule gives one standing award a subject."""

    ORDER = "order"
    ATTENDANCE = "attendance"  # that one member took part in one activity


class CapScope(StrEnum):
    """Whose awards a cap counts together: those that are credited to the same one."""

    PERSON = "person"
    HOUSEHOLD = "household"
    UNIT = "unit"


class Period(StrEnum):
    """Over what a cap counts: a calendar period (Asia/Shanghai) of when facts happened, or a campaign."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    CAMPAIGN = "campaign"


class RuleState(StrEnum):
    """How far a version of a rule has come."""

    DRAFT = "draft"  # waits for a second administrator
    SCHEDULED = "scheduled"  # approved, and not yet in force
    IN_FORCE = "in_force"
    ENDED = "ended"  # the next version has taken its place
