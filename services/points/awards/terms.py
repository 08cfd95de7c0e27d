"""What earns points, and for how long a cap counts."""

from enum import StrEnum


class RuleCode(StrEnum):
    """The award rules that are in use."""

    ORDER_BASE = "order.base"  # handled to an end by the steps
    ORDER_DOUBLE_YES = "order.double_yes"  # 双是
    ORDER_CLAIM = "order.claim"  # 抢单
    ORDER_MEET = "order.meet"  # 见面
    REPORT_ACCEPTED = "report.accepted"  # a resident's report that proved real


class Period(StrEnum):
    """The calendar period (Asia/Shanghai) over which a cap counts."""

    MONTH = "month"
