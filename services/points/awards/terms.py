"""What earns points, for what, and how far a cap reaches."""

from enum import StrEnum


class RuleCode(StrEnum):
    """The award rules that are in use."""

    ORDER_BASE = "order.base"  # handled to an end by the steps
    ORDER_DOUBLE_YES = "order.double_yes"  # 双是
    ORDER_CLAIM = "order.claim"  # 抢单
    ORDER_MEET = "order.meet"  # 见面
    REPORT_ACCEPTED = "report.accepted"  # a resident's report that proved real
    VOLUNTEER_HOUR = "volunteer.hour"  # 志愿时长: verified hours, in quarters


class SubjectKind(StrEnum):
    """What a fact is about. A rule gives one standing award a subject."""

    ORDER = "order"
    ATTENDANCE = "attendance"  # that one member took part in one activity


class Unit(StrEnum):
    """What a rule's points are given for."""

    FACT = "fact"  # each fact that meets the rule
    HOUR = "hour"  # each hour that the fact tells, in quarters


class CapScope(StrEnum):
    """Whose awards a cap counts together."""

    OWNER = "owner"  # of the wallet that the rule pays into
    PERSON = "person"  # to whom the award is credited


class Period(StrEnum):
    """The calendar period (Asia/Shanghai) over which a cap counts."""

    DAY = "day"
    MONTH = "month"
